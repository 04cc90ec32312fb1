"""The figures of a model's answers: of classes, labels or numbers, as scikit-learn has them, with 95 % intervals."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_azure.errors import RunFailed
from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.calibration import Calibration, answered, calibration
from keras_azure.evaluation.intervals import Share
from keras_azure.training.scores import PerName, label_scores, number_scores

_TOP = (1, 3, 5)  # the k of top-k, where there are more classes


@dataclass(frozen=True)
class ClassRow:
    """The figures of one class. What cannot be said, as of a class without an image, is None.

    Attributes:
        name: of the class.
        support: how many images have it.
        precision: of the images that were taken for it, the share that have it.
        recall: of the images that have it, the share that were taken for it.
        f1: their harmonic mean.
        average_precision, roc_auc: of its probability, against all other classes.
    """

    name: str
    support: int
    precision: Share | None
    recall: Share | None
    f1: float | None
    average_precision: float | None
    roc_auc: float | None


@dataclass(frozen=True)
class Averages:
    """Means over the classes that occur.

    Attributes:
        precision, recall, f1: of a class that no image was taken for precision and F1 count 0.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """What is said of a classifier.

    Attributes:
        images: how many there are.
        accuracy: the share of those whose most probable class is right.
        top: the share of those whose class is among the k most probable, by k; a class counts after those with the
            same probability.
        rows: of each class.
        macro: each class counts the same.
        weighted: each counts as much as it has images.
        average_precision, roc_auc: means over the classes that occur, and of `roc_auc` that are not all.
        confusion: int64 (classes, classes): how many images of each class (row) were taken for each (column).
        calibration: of the most probable class.
        answered: the accuracy of the surest images, by their share.
    """

    images: int
    accuracy: Share
    top: dict[int, Share]
    rows: tuple[ClassRow, ...]
    macro: Averages
    weighted: Averages
    average_precision: float | None
    roc_auc: float | None
    confusion: np.ndarray
    calibration: Calibration
    answered: tuple[tuple[float, float], ...]

    def scores(self) -> dict[str, float]:
        """The figures of all images, by their names."""
        found: dict[str, float | None] = {
            "accuracy": self.accuracy.value,
            **{f"top_{k}": share.value for k, share in self.top.items() if k > 1},
            **{f"macro_{name}": value for name, value in vars(self.macro).items()},
            **{f"weighted_{name}": value for name, value in vars(self.weighted).items()},
            "average_precision": self.average_precision,
            "roc_auc": self.roc_auc,
            "ece": self.calibration.ece,
        }
        return {name: value for name, value in found.items() if value is not None}

    def to_json(self) -> dict[str, Any]:
        return {
            **dataclasses.asdict(dataclasses.replace(self, confusion=np.zeros(0))),
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True)
class LabelFigures:
    """What is said of a model for several labels.

    Attributes:
        images: how many there are.
        all_right: the share of those all of whose labels are right.
        averages: as `training.scores.label_scores` has them.
        each: the scores of each label, likewise.
        calibration: of all labels of all images: how often those of one probability are there.
    """

    images: int
    all_right: Share
    averages: dict[str, float]
    each: PerName
    calibration: Calibration

    def scores(self) -> dict[str, float]:
        """The figures of all images, by their names."""
        return {**self.averages, "ece": self.calibration.ece}

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class NumberFigures:
    """What is said of a model for numbers.

    Attributes:
        images: how many there are.
        averages: as `training.scores.number_scores` has them.
        each: the scores of each number, likewise.
    """

    images: int
    averages: dict[str, float]
    each: PerName

    def scores(self) -> dict[str, float]:
        """The figures of all images, by their names."""
        return dict(self.averages)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


Figures = ClassFigures | LabelFigures | NumberFigures


def figures_of(answers: Answers) -> Figures:
    """The figures of one image or more.

    Raises:
        RunFailed: the model gave something that is no number.
    """
    if wrong := int((~np.isfinite(answers.given)).any(axis=1).sum()):
        raise RunFailed(
            f"The model gives something that is no number for {wrong} of {len(answers)} images.",
            expected="finite numbers",
            hint="a lower learning rate, if its training lost its way",
        )
    if answers.task == "multilabel":
        averages, each = label_scores(answers.truth, answers.given, answers.thresholds, answers.names)
        right = answers.right
        known = calibration(answers.given.ravel(), answers.truth.ravel())
        return LabelFigures(len(answers), _share(int(right.sum()), len(right)), averages, each, known)
    if answers.task == "regress":
        averages, each = number_scores(answers.truth, answers.given, answers.names)
        return NumberFigures(len(answers), averages, each)
    return _class_figures(answers.given, answers.truth, answers.names)


def _class_figures(given: np.ndarray, truth: np.ndarray, names: tuple[str, ...]) -> ClassFigures:
    from sklearn.metrics import precision_recall_fscore_support  # with scipy, which no run's start needs to wait for

    images, classes = given.shape
    predicted = given.argmax(axis=1)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    present = np.flatnonzero(confusion.sum(axis=1))
    macro, weighted = (
        Averages(*map(float, precision_recall_fscore_support(truth, predicted, **options, zero_division=0)[:3]))
        for options in ({"labels": present, "average": kind} for kind in ("macro", "weighted"))
    )
    rows = tuple(_row(name, label, confusion, given, truth) for label, name in enumerate(names))
    to_truth = given[np.arange(images), truth]
    # As argmax does it: of equal ones the first is the more probable.
    rank = (given > to_truth[:, np.newaxis]).sum(axis=1)
    before = np.arange(classes) < truth[:, np.newaxis]
    rank += ((given == to_truth[:, np.newaxis]) & before).sum(axis=1)
    hit = predicted == truth
    return ClassFigures(
        images=images,
        accuracy=_share(int(hit.sum()), images),
        top={k: _share(int((rank < k).sum()), images) for k in _TOP if k < classes},
        rows=rows,
        macro=macro,
        weighted=weighted,
        average_precision=_mean([row.average_precision for row in rows]),
        roc_auc=_mean([row.roc_auc for row in rows]),
        confusion=confusion,
        calibration=calibration(given.max(axis=1), hit),
        answered=answered(given.max(axis=1), hit),
    )


def _row(name: str, label: int, confusion: np.ndarray, given: np.ndarray, truth: np.ndarray) -> ClassRow:
    from sklearn.metrics import average_precision_score, roc_auc_score

    right, support, taken = (int(each) for each in (confusion[label, label], *_sums(confusion, label)))
    has = truth == label
    return ClassRow(
        name,
        support,
        Share.of(right, taken),
        Share.of(right, support),
        2 * right / (support + taken) if support else None,
        float(average_precision_score(has, given[:, label])) if support else None,
        float(roc_auc_score(has, given[:, label])) if 0 < support < len(truth) else None,
    )


def _sums(confusion: np.ndarray, label: int) -> tuple[int, int]:
    """How many images have a class, and how many were taken for it."""
    return confusion[label].sum(), confusion[:, label].sum()


def _share(part: int, total: int) -> Share:
    found = Share.of(part, total)
    assert found is not None, "there is an image"
    return found


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
