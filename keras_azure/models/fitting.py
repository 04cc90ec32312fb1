"""How a classifier of scikit-learn learns from features, and how the best of several is chosen."""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, LinearSVR

from keras_azure.data import TaskName
from keras_azure.errors import DataError
from keras_azure.models.classic import FeatureClassifier

MOST_FOLDS = 5
# To these a feature counts for more if its numbers are larger.
_NEED_ONE_SCALE = (
    *(LinearSVC, SVC, LogisticRegression, KNeighborsClassifier),
    *(LinearSVR, SVR, Ridge, KNeighborsRegressor),
)
SCORES: dict[TaskName, str] = {
    "classify": "accuracy",
    "multilabel": "macro F1",
    "regress": "negative MAE",
}  # of the choices
_CONSTANT_LABEL = "Label .* is present in all training"  # what OneVsRestClassifier says of one that does not change


@dataclass(frozen=True)
class Fitted:
    """What came of fitting.

    Attributes:
        classifier: with the estimator that was fitted, and no more choices.
        scores: if there was a choice, the score of each by its name, the mean over the folds: `SCORES` says which.
        left_out: what could not be among the choices, by its name, and why.
        folds: in how many parts the samples were for that; 0 without a choice, and where there are too few samples for
            one: then the first is taken that can be fitted.
        converged: whether the estimator came to the end of its search within its iterations.
    """

    classifier: FeatureClassifier
    scores: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    folds: int = 0
    converged: bool = True


def fit(classifier: FeatureClassifier, vectors: np.ndarray, labels: np.ndarray, seed: int) -> Fitted:
    """Fits the estimator, or the one of the choices that is right most often when it has not seen the samples.

    A class of one sample is in all parts that are learned from: nothing can be tested on it.

    Args:
        vectors: (n, d) float32.
        labels: (n,) integers; (n, labels) of 0 and 1, or (n, numbers).
        seed: the random seed; equal seeds give equal estimators.

    Raises:
        DataError: the samples are too few, or an estimator cannot be fitted to them.
    """
    vectors = np.asarray(vectors, np.float32)  # scikit-learn would compute in half precision, or not know it
    task = classifier.task
    if task == "classify" and len(np.unique(labels)) < 2:
        raise DataError("All training pictures are of one class.", expected="pictures of two classes or more")
    constants: dict[int, int] = {}
    if task == "multilabel":
        varies = labels.min(axis=0) < labels.max(axis=0)
        if not varies.any():
            raise DataError(
                "All training pictures have the same labels.", expected="a label that some have, and others have not"
            )
        constants = {label: int(labels[0, label]) for label in np.flatnonzero(~varies).tolist()}
        labels = labels[:, varies]
    if task != "classify" and labels.shape[1] == 1:
        labels = labels[:, 0]
    estimators = [
        _prepared(each, seed, task, several=labels.ndim > 1) for each in (classifier.estimator, *classifier.choices)
    ]
    candidates = dict(zip(_names(estimators), estimators, strict=True))
    folds = _folds(labels, task) if len(candidates) > 1 else 0
    scores: dict[str, float] = {}
    failures: dict[str, DataError] = {}
    for name, estimator in candidates.items():
        try:
            if folds:
                scores[name] = _score(estimator, vectors, labels, folds, seed, task)
        except DataError as error:
            failures[name] = error
    # The best first; of equal ones, and where nothing can be compared, the first.
    able = [name for name in candidates if name not in failures]
    for name in sorted(able, key=lambda name: -scores.get(name, -np.inf)):
        try:
            converged = _fit_estimator(candidates[name], vectors, labels)
        except DataError as error:
            failures[name] = error
            continue
        chosen = dataclasses.replace(classifier, estimator=candidates[name], choices=(), constants=constants)
        left_out = {name: error.problem for name, error in failures.items()}
        return Fitted(chosen, scores, left_out, folds, converged)
    raise failures[next(iter(candidates))]


def name_of(estimator: BaseEstimator) -> str:
    """`LinearSVC`, also behind a scaler, and where there is one for each label."""
    return type(_innermost(estimator)).__name__


def _innermost(estimator: BaseEstimator) -> BaseEstimator:
    while True:
        match estimator:
            case Pipeline():
                estimator = estimator.steps[-1][1]
            case TransformedTargetRegressor():
                estimator = estimator.regressor
            case OneVsRestClassifier() | MultiOutputRegressor():
                estimator = estimator.estimator
            case _:
                return estimator


def _names(estimators: Sequence[BaseEstimator]) -> list[str]:
    """The name of each, with a number if others before it have the same."""
    names = [name_of(each) for each in estimators]
    counts = [names[:number].count(name) for number, name in enumerate(names)]
    return [f"{name} ({count + 1})" if count else name for name, count in zip(names, counts, strict=True)]


def _prepared(estimator: BaseEstimator, seed: int, task: TaskName, *, several: bool) -> BaseEstimator:
    """A copy that is not fitted, behind a scaler if it needs one, with its random numbers from the seed.

    Of several labels or numbers there is one for each. Numbers are learned brought to mean 0 and deviation 1.

    Args:
        several: whether a label is a vector.
    """
    copied = clone(estimator)
    needs_one_scale = isinstance(_innermost(copied), _NEED_ONE_SCALE) and not isinstance(copied, Pipeline)
    if several and task == "multilabel" and not isinstance(copied, OneVsRestClassifier):
        copied = OneVsRestClassifier(copied)
    if several and task == "regress" and not isinstance(copied, MultiOutputRegressor):
        copied = MultiOutputRegressor(copied)
    if needs_one_scale:
        copied = make_pipeline(StandardScaler(), copied)
    if task == "regress" and not isinstance(copied, TransformedTargetRegressor):
        copied = TransformedTargetRegressor(copied, transformer=StandardScaler())
    random = [name for name in copied.get_params() if name.rpartition("__")[2] == "random_state"]
    return copied.set_params(**dict.fromkeys(random, seed))


def _folds(labels: np.ndarray, task: TaskName) -> int:
    """In how many parts the samples can be for a cross-validation; 0 where no class has two."""
    if task != "classify":
        return min(MOST_FOLDS, len(labels)) if len(labels) > 1 else 0
    counts = np.unique(labels, return_counts=True)[1]
    return int(min(MOST_FOLDS, counts[counts > 1].min(initial=MOST_FOLDS))) if (counts > 1).any() else 0


def _score(
    estimator: BaseEstimator, vectors: np.ndarray, labels: np.ndarray, folds: int, seed: int, task: TaskName
) -> float:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what counts is how often it is right
            warnings.filterwarnings("ignore", message=_CONSTANT_LABEL)
            warnings.simplefilter("ignore", UndefinedMetricWarning)  # of a label that a part has not
            parts = _parts(labels, folds, seed, task)
            found = cross_val_score(
                estimator, vectors, labels, cv=parts, scoring=_scorer(task, labels), error_score="raise"
            )
            return float(found.mean())
    except ValueError as error:
        raise _unfit(estimator, len(labels), error) from error


def _scorer(task: TaskName, labels: np.ndarray) -> str | None:
    """How choices are compared; the highest is the best."""
    if task == "multilabel":
        return "f1_macro" if labels.ndim > 1 else "f1"
    return "neg_mean_absolute_error" if task == "regress" else None


def _parts(labels: np.ndarray, folds: int, seed: int, task: TaskName) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each fold what is learned from and what is tested on."""
    if task != "classify":
        return list(KFold(folds, shuffle=True, random_state=seed).split(labels))
    classes, counts = np.unique(labels, return_counts=True)
    is_single = np.isin(labels, classes[counts == 1])
    alone, rest = np.flatnonzero(is_single), np.flatnonzero(~is_single)
    split = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rest, labels[rest])
    return [(np.concatenate([rest[learned], alone]), rest[tested]) for learned, tested in split]


def _fit_estimator(estimator: BaseEstimator, vectors: np.ndarray, labels: np.ndarray) -> bool:
    """Fits, and tells whether it converged."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            estimator.fit(vectors, labels)
        estimator.predict(vectors[:1])  # only here does k-NN find that there are too few neighbours
    except ValueError as error:
        raise _unfit(estimator, len(labels), error) from error
    return not any(issubclass(each.category, ConvergenceWarning) for each in caught)


def _unfit(estimator: BaseEstimator, count: int, error: ValueError) -> DataError:
    return DataError(f"The classifier {name_of(estimator)} cannot learn from {count} training pictures: {error}")
