"""A classifier of scikit-learn on features of Keras: what was common before networks were trained to the end."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import scipy.special
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from keras_azure.errors import DataError
from keras_azure.transfer.archive import read_archive, write_archive
from keras_azure.transfer.features import BATCH_SIZE

MOST_FOLDS = 5
# To these a feature counts for more if its numbers are larger.
_NEED_ONE_SCALE = (LinearSVC, SVC, LogisticRegression, KNeighborsClassifier)


@dataclass(frozen=True, eq=False)
class FeatureClassifier:
    """A network that makes features, which stays as it is, and a classifier that learns from them.

    Attributes:
        features: from pixels 0..255, (batch, height, width, channels), to (batch, d).
        estimator: a classifier of scikit-learn.
        num_classes: how many probabilities come out; labels are 0 .. num_classes - 1.
        choices: other classifiers; if there are any, `fit` takes the best of all.
    """

    features: keras.Model
    estimator: Any
    num_classes: int
    choices: tuple[Any, ...] = ()

    def vectors(self, pictures: np.ndarray) -> np.ndarray:
        """The features of pictures (n, height, width, channels), 0..255: (n, d) float32."""
        found = np.empty((len(pictures), *self.features.output_shape[1:]), np.float32)
        for start in range(0, len(pictures), BATCH_SIZE):
            batch = np.asarray(pictures[start : start + BATCH_SIZE], np.float32)
            found[start : start + BATCH_SIZE] = np.asarray(self.features.predict_on_batch(batch))
        return found

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """What the fitted classifier says of vectors (n, d): (n, num_classes) float32.

        The softmax of its margins stands for probabilities where it gives none, as a linear SVM. A class that was not
        there when it was fitted has probability 0.
        """
        vectors = np.asarray(vectors, np.float32)
        if hasattr(self.estimator, "predict_proba"):
            known = self.estimator.predict_proba(vectors)
        else:
            margins = self.estimator.decision_function(vectors)
            if margins.ndim == 1:  # of two classes it gives the second one's; the first one's is the opposite
                margins = np.stack([-margins, margins], axis=1)
            known = scipy.special.softmax(margins, axis=1)
        found = np.zeros((len(vectors), self.num_classes), np.float32)
        found[:, self.estimator.classes_] = known
        return found

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """The probabilities, (n, num_classes) float32, of pictures (n, height, width, channels), 0..255."""
        if not len(pictures):
            return np.zeros((0, self.num_classes), np.float32)  # scikit-learn takes no empty arrays
        return self.probabilities(self.vectors(pictures))

    def save(self, path: Path) -> None:
        """Saves features and estimator, without the other choices, as one file; equal models give equal files.

        Raises:
            RunFailed: the disk is full or not writable, or the estimator cannot be written.
        """
        write_archive(path, self.features, self.estimator, self.num_classes)

    @classmethod
    def load(cls, path: Path) -> "FeatureClassifier":
        """What `save` wrote; no code from the file is run.

        Raises:
            RunFailed: the file is not there, damaged, unsafe, or another one.
        """
        return cls(*read_archive(path))


@dataclass(frozen=True)
class Fitted:
    """What came of fitting.

    Attributes:
        classifier: with the estimator that was fitted, and no more choices.
        scores: if there was a choice, the accuracy of each by its name, the mean over the folds.
        folds: in how many parts the samples were for that; 0 without a choice.
        converged: whether the estimator came to the end of its search within its iterations.
    """

    classifier: FeatureClassifier
    scores: Mapping[str, float] = field(default_factory=dict)
    folds: int = 0
    converged: bool = True


def fit(classifier: FeatureClassifier, vectors: np.ndarray, labels: np.ndarray, seed: int) -> Fitted:
    """Fits the estimator, or the one of the choices that is right most often when it has not seen the samples.

    Args:
        vectors: (n, d) float32.
        labels: (n,) integers.
        seed: the start of everything random; equal seeds give equal estimators.

    Raises:
        DataError: the samples are too few, or an estimator cannot be fitted to them.
    """
    vectors = np.asarray(vectors, np.float32)  # scikit-learn would compute in half precision, or not know it
    if len(np.unique(labels)) < 2:
        raise DataError("All training pictures are of one class.", expected="pictures of two classes or more")
    candidates = [_prepared(each, seed) for each in (classifier.estimator, *classifier.choices)]
    scores, folds = [], 0
    if len(candidates) > 1:
        folds = _folds(labels)
        scores = [_score(each, vectors, labels, folds, seed) for each in candidates]
    best = candidates[int(np.argmax(scores))] if scores else candidates[0]  # of equal ones, the first
    converged = _fit_estimator(best, vectors, labels)
    chosen = dataclasses.replace(classifier, estimator=best, choices=())
    return Fitted(chosen, dict(zip(_names(candidates), scores, strict=False)), folds, converged)


def name_of(estimator: Any) -> str:
    """`LinearSVC`, also behind a scaler."""
    return type(estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator).__name__


def _names(estimators: Sequence[Any]) -> list[str]:
    """The name of each, with a number if others before it have the same."""
    names = [name_of(each) for each in estimators]
    counts = [names[:number].count(name) for number, name in enumerate(names)]
    return [f"{name} ({count + 1})" if count else name for name, count in zip(names, counts, strict=True)]


def _prepared(estimator: Any, seed: int) -> Any:
    """A copy that is not fitted, behind a scaler if it needs one, with its random numbers from the seed."""
    copied = clone(estimator)
    if isinstance(copied, _NEED_ONE_SCALE):
        copied = make_pipeline(StandardScaler(), copied)
    random = [name for name in copied.get_params() if name.rpartition("__")[2] == "random_state"]
    return copied.set_params(**dict.fromkeys(random, seed))


def _folds(labels: np.ndarray) -> int:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise DataError(
            f"No classifier can be chosen by cross-validation: of class {classes[counts.argmin()]} there is only one "
            "training picture.",
            expected="two or more of each class",
            hint="one classifier instead of a choice: --set classifier=svm",
        )
    return int(min(MOST_FOLDS, counts.min()))


def _score(estimator: Any, vectors: np.ndarray, labels: np.ndarray, folds: int, seed: int) -> float:
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what counts is how often it is right
            return float(cross_val_score(estimator, vectors, labels, cv=split, error_score="raise").mean())
    except ValueError as error:
        raise _unfit(estimator, len(labels), error) from error


def _fit_estimator(estimator: Any, vectors: np.ndarray, labels: np.ndarray) -> bool:
    """Fits, and tells whether it converged."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            estimator.fit(vectors, labels)
        estimator.predict(vectors[:1])  # only here does k-NN find that there are too few neighbours
    except ValueError as error:
        raise _unfit(estimator, len(labels), error) from error
    return not any(issubclass(each.category, ConvergenceWarning) for each in caught)


def _unfit(estimator: Any, count: int, error: ValueError) -> DataError:
    return DataError(f"The classifier {name_of(estimator)} cannot learn from {count} training pictures: {error}")
