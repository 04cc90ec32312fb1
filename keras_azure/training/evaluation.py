"""The test of a trained model: one pass over the test split, and the numbers that follow from it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_azure.data import Named, TaskName
from keras_azure.data.label_forms import LabelForm, Scaling
from keras_azure.evaluation.answers import Answers
from keras_azure.training.scores import PerName, label_scores, number_scores

Predict = Callable[[np.ndarray], np.ndarray]  # images (batch, height, width, channels) to what the model gives
Batches = Iterable[tuple[Any, Any]]  # images, and what is to be given
SHOWN = 8  # images of which an autoencoder's evaluation keeps what came back


@dataclass(frozen=True)
class Exam:
    """What a trained model is tested with.

    Attributes:
        predict: what it makes of images.
        batches: the test split, in order.
        loss: which it was trained with.
        metrics: those of the config, fresh.
        tell: hears how many batches are done.
    """

    predict: Predict
    batches: Batches
    loss: keras.losses.Loss
    metrics: list[keras.metrics.Metric]
    tell: Callable[[int], None]


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

    task: ClassVar[TaskName] = "classify"
    probabilities: np.ndarray
    labels: np.ndarray
    scores: dict[str, float]

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, (n,) int64."""
        return self.probabilities.argmax(axis=1)

    @property
    def given_and_truth(self) -> tuple[np.ndarray, np.ndarray]:
        return self.probabilities, self.labels


@dataclass(frozen=True)
class LabelsEvaluation:
    """The same where each image may have several labels.

    Attributes:
        probabilities: (n, labels) float32.
        labels: 0 and 1, (n, labels) uint8.
        thresholds: a label is predicted from so much on.
        scores: "loss", those of `scores.label_scores`, and the config's further metrics.
        each: the scores of each label.
    """

    task: ClassVar[TaskName] = "multilabel"
    probabilities: np.ndarray
    labels: np.ndarray
    thresholds: Sequence[float]
    scores: dict[str, float]
    each: PerName

    @property
    def given_and_truth(self) -> tuple[np.ndarray, np.ndarray]:
        return self.probabilities, self.labels


@dataclass(frozen=True)
class NumbersEvaluation:
    """The same of numbers, in their units.

    Attributes:
        predicted, truth: (n, numbers) float32.
        scores: "loss", those of `scores.number_scores`, and the config's further metrics.
        each: the scores of each number.
    """

    task: ClassVar[TaskName] = "regress"
    predicted: np.ndarray
    truth: np.ndarray
    scores: dict[str, float]
    each: PerName

    @property
    def given_and_truth(self) -> tuple[np.ndarray, np.ndarray]:
        return self.predicted, self.truth


def evaluate(exam: Exam) -> Evaluation:
    """Tests what gives probabilities on batches of images and one-hot labels."""
    predicted, truth = predictions(exam.predict, exam.batches, exam.tell)
    right = predicted.argmax(axis=1) == truth.argmax(axis=1)
    scores = {"loss": float(exam.loss(truth, predicted)), "accuracy": float(right.mean())}
    scores |= _further(exam.metrics, truth, predicted)
    return Evaluation(predicted, truth.argmax(axis=1), scores)


def evaluate_labels(exam: Exam, thresholds: Sequence[float], names: Sequence[str]) -> LabelsEvaluation:
    """Tests what gives a probability for each label."""
    predicted, truth = predictions(exam.predict, exam.batches, exam.tell)
    found, each = label_scores(truth, predicted, thresholds, names)
    scores = {"loss": float(exam.loss(truth, predicted)), **found, **_further(exam.metrics, truth, predicted)}
    return LabelsEvaluation(predicted, truth.astype(np.uint8), thresholds, scores, each)


def evaluate_numbers(exam: Exam, scaling: Scaling | None, names: Sequence[str]) -> NumbersEvaluation:
    """Tests what gives numbers.

    Args:
        scaling: the loss is of numbers that are scaled so, as in training.
    """
    predicted, truth = predictions(exam.predict, exam.batches, exam.tell)
    found, each = number_scores(truth, predicted, names)
    lost = (truth, predicted) if scaling is None else (scaling.apply(truth), scaling.apply(predicted))
    scores = {"loss": float(exam.loss(*lost)), **found, **_further(exam.metrics, truth, predicted)}
    return NumbersEvaluation(predicted, truth, scores, each)


def answers_of(
    test: Evaluation | LabelsEvaluation | NumbersEvaluation, named: Named, samples: np.ndarray, split: str, data: str
) -> Answers:
    """What the model said in a test, to be kept.

    Args:
        named: the data set, or what else has its class names.
        samples: the index of each image in the split, (n,).
        data: the digest of the split's images and labels; empty without.
    """
    given, truth = test.given_and_truth
    thresholds = tuple(test.thresholds) if isinstance(test, LabelsEvaluation) else ()
    form = LabelForm(test.task, len(named.class_names))
    given, truth = given.astype(np.float32, copy=False), truth.astype(form.dtype, copy=False)
    return Answers(form.task, tuple(named.class_names), given, truth, samples, split, data, thresholds)


def evaluate_images(exam: Exam) -> ImageEvaluation:
    """Tests an autoencoder on batches of images 0..255 and the same in 0..1."""
    total, count = 0.0, 0
    shown: list[tuple[np.ndarray, np.ndarray]] = []
    for given, truth in _answers(exam.predict, exam.batches, exam.tell):
        total, count = total + len(truth) * float(exam.loss(truth, given)), count + len(truth)
        for metric in exam.metrics:
            metric.update_state(truth, given)
        if sum(len(truths) for truths, _ in shown) < SHOWN:
            shown.append((truth, given))
    images, reconstructions = (np.concatenate(each)[:SHOWN] for each in zip(*shown, strict=True))
    scores = {"loss": total / count, **{metric.name: float(np.mean(metric.result())) for metric in exam.metrics}}
    return ImageEvaluation(images, reconstructions, scores)


def predictions(
    predict: Predict, batches: Batches, tell: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, np.ndarray]:
    """What is predicted of all images, and what was to be."""
    predicted, truth = (np.concatenate(each) for each in zip(*_answers(predict, batches, tell), strict=True))
    return predicted, truth


def _further(metrics: list[keras.metrics.Metric], truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    for metric in metrics:
        metric.update_state(truth, predicted)
    return {metric.name: float(np.mean(metric.result())) for metric in metrics}  # as in the history


def _answers(
    predict: Predict, batches: Batches, tell: Callable[[int], None]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What is predicted of each batch, and what was to be."""
    for done, (images, truth) in enumerate(batches, start=1):
        # NumPy in between: tf.data gives TensorFlow's tensors, which no other engine takes.
        yield predict(np.asarray(images)), np.asarray(truth)
        tell(done)
