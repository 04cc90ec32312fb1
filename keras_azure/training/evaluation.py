"""The test of a trained model: one pass over the test split, and the numbers that follow from it."""

from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np

from keras_azure.config import RunConfig
from keras_azure.observers import Observer
from keras_azure.training.compiling import build_loss, build_metrics
from keras_azure.training.data import Batch
from keras_azure.training.interrupts import StopRequests


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
    model: keras.Model,
    test_batches: Iterable[Batch],
    num_batches: int,
    config: RunConfig,
    observer: Observer,
    stop: StopRequests,
) -> Evaluation:
    """Tests `model` on batches of pictures and one-hot labels."""
    probabilities, truths = [], []
    for done, (images, labels) in enumerate(test_batches, start=1):
        # NumPy in between: tf.data gives TensorFlow's tensors, which no other engine takes.
        probabilities.append(np.asarray(model.predict_on_batch(np.asarray(images))))
        truths.append(np.asarray(labels))
        observer.advance("Testing", done, num_batches)
        stop.check()
    predicted, truth = np.concatenate(probabilities), np.concatenate(truths)
    right = predicted.argmax(axis=1) == truth.argmax(axis=1)
    scores = {"loss": float(build_loss(config)(truth, predicted)), "accuracy": float(right.mean())}
    for metric in build_metrics(config):
        metric.update_state(truth, predicted)
        scores[metric.name] = float(np.mean(metric.result()))  # as in the history
    return Evaluation(predicted, truth.argmax(axis=1), scores)
