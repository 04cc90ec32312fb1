"""The test of a trained model: one pass over the test split, and the numbers that follow from it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.training.compiling import build_loss, build_metrics
from keras_azure.training.data import Batch
from keras_azure.training.interrupts import StopRequests

Predict = Callable[[np.ndarray], Any]  # from pictures (batch, height, width, channels) to what the model gives
SHOWN = 8  # pictures of which an autoencoder's evaluation keeps what came back


@dataclass(frozen=True)
class PictureEvaluation:
    """What an autoencoder made of the test pictures.

    Attributes:
        pictures, reconstructions: some of them, (n, height, width, channels) float32, 0..1.
        scores: "loss" and the config's further metrics.
    """

    pictures: np.ndarray
    reconstructions: np.ndarray
    scores: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """What the model said of every test picture, in the order of the split.

    Attributes:
        probabilities: (n, num_classes) float32.
        labels: the true classes, (n,) int64.
        scores: "loss", "accuracy" and the config's further metrics.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    scores: dict[str, float]

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each picture, (n,) int64."""
        return self.probabilities.argmax(axis=1)


def evaluate(
    predict: Predict,
    test_batches: Iterable[Batch],
    num_batches: int,
    config: RunConfig,
    observer: Observer,
    stop: StopRequests,
) -> Evaluation:
    """Tests what gives probabilities on batches of pictures and one-hot labels."""
    answers = _answers(predict, test_batches, num_batches, observer, stop)
    predicted, truth = (np.concatenate(each) for each in zip(*answers, strict=True))
    right = predicted.argmax(axis=1) == truth.argmax(axis=1)
    scores = {"loss": float(build_loss(config)(truth, predicted)), "accuracy": float(right.mean())}
    for metric in build_metrics(config):
        metric.update_state(truth, predicted)
        scores[metric.name] = float(np.mean(metric.result()))  # as in the history
    return Evaluation(predicted, truth.argmax(axis=1), scores)


def evaluate_pictures(
    predict: Predict,
    test_batches: Iterable[Batch],
    num_batches: int,
    config: RunConfig,
    observer: Observer,
    stop: StopRequests,
) -> PictureEvaluation:
    """Tests an autoencoder on batches of pictures 0..255 and the same in 0..1."""
    loss, metrics = build_loss(config, gives_pictures=True), build_metrics(config)
    total, count, shown = 0.0, 0, []
    for given, truth in _answers(predict, test_batches, num_batches, observer, stop):
        total, count = total + len(truth) * float(loss(truth, given)), count + len(truth)
        for metric in metrics:
            metric.update_state(truth, given)
        if sum(len(truths) for truths, _ in shown) < SHOWN:
            shown.append((truth, given))
    pictures, reconstructions = (np.concatenate(each)[:SHOWN] for each in zip(*shown, strict=True))
    scores = {"loss": total / count, **{metric.name: float(np.mean(metric.result())) for metric in metrics}}
    return PictureEvaluation(pictures, reconstructions, scores)


def _answers(
    predict: Predict, test_batches: Iterable[Batch], num_batches: int, observer: Observer, stop: StopRequests
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What is predicted of each batch, and what was to be."""
    for done, (images, truth) in enumerate(test_batches, start=1):
        # NumPy in between: tf.data gives TensorFlow's tensors, which no other engine takes.
        yield np.asarray(predict(np.asarray(images))), np.asarray(truth)
        observer.advance("Testing", done, num_batches)
        stop.check()
