"""The test of a trained model: one pass over the test split, and the numbers that follow from it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]  # images (batch, height, width, channels) to what the model gives
SHOWN = 8  # images of which an autoencoder's evaluation keeps what came back


@dataclass(frozen=True)
class ImageEvaluation:
    """What an autoencoder made of the test images.

    Attributes:
        images, reconstructions: some of them, (n, height, width, channels) float32, 0..1.
        scores: "loss" and the config's further metrics.
    """

    images: np.ndarray
    reconstructions: np.ndarray
    scores: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """What the model said of every test image, in the order of the split.

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
        """The most probable class of each image, (n,) int64."""
        return self.probabilities.argmax(axis=1)


def evaluate(
    predict: Predict,
    batches: Iterable[tuple[Any, Any]],
    loss: keras.losses.Loss,
    metrics: list[keras.metrics.Metric],
    tell: Callable[[int], None],
) -> Evaluation:
    """Tests what gives probabilities on batches of images and one-hot labels; see `Task.evaluate`."""
    answers = _answers(predict, batches, tell)
    predicted, truth = (np.concatenate(each) for each in zip(*answers, strict=True))
    right = predicted.argmax(axis=1) == truth.argmax(axis=1)
    scores = {"loss": float(loss(truth, predicted)), "accuracy": float(right.mean())}
    for metric in metrics:
        metric.update_state(truth, predicted)
        scores[metric.name] = float(np.mean(metric.result()))  # as in the history
    return Evaluation(predicted, truth.argmax(axis=1), scores)


def evaluate_images(
    predict: Predict,
    batches: Iterable[tuple[Any, Any]],
    loss: keras.losses.Loss,
    metrics: list[keras.metrics.Metric],
    tell: Callable[[int], None],
) -> ImageEvaluation:
    """Tests an autoencoder on batches of images 0..255 and the same in 0..1; see `Task.evaluate`."""
    total, count = 0.0, 0
    shown: list[tuple[np.ndarray, np.ndarray]] = []
    for given, truth in _answers(predict, batches, tell):
        total, count = total + len(truth) * float(loss(truth, given)), count + len(truth)
        for metric in metrics:
            metric.update_state(truth, given)
        if sum(len(truths) for truths, _ in shown) < SHOWN:
            shown.append((truth, given))
    images, reconstructions = (np.concatenate(each)[:SHOWN] for each in zip(*shown, strict=True))
    scores = {"loss": total / count, **{metric.name: float(np.mean(metric.result())) for metric in metrics}}
    return ImageEvaluation(images, reconstructions, scores)


def _answers(
    predict: Predict, batches: Iterable[tuple[Any, Any]], tell: Callable[[int], None]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What is predicted of each batch, and what was to be."""
    for done, (images, truth) in enumerate(batches, start=1):
        # NumPy in between: tf.data gives TensorFlow's tensors, which no other engine takes.
        yield predict(np.asarray(images)), np.asarray(truth)
        tell(done)
