"""Two models on the same images: whether one is better, or may be so by chance."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_azure.evaluation.answers import Answers

RESAMPLES = 2000
SEED = 0
FEW = 25  # images that one model alone is right on, below which the test is exact
_AT_ONCE = 4_000_000  # numbers of a block of resamples

Measure = Callable[[np.ndarray], dict[str, np.ndarray]]  # counts of groups, (resamples, groups), to scores (resamples,)


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of whether two models are right equally often.

    Attributes:
        first_only, other_only: how many images only the first model, or only the other, is right on.
        p_value: how likely so unequal numbers, or more so, are by chance.
        exact: whether it is that of the binomial distribution, and not of the chi-squared one, corrected for
            continuity: for fewer than 25 such images.
    """

    first_only: int
    other_only: int
    p_value: float
    exact: bool


@dataclass(frozen=True)
class Change:
    """A score of two models, on the same images.

    Attributes:
        first, other: the score of each.
        low, high: the 95 % interval of `other - first`: of 2,000 resamples of the images, with replacement and the
            same for both, 95 % are within. The seed is fixed.
    """

    first: float
    other: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        return self.other - self.first


def mcnemar(first: np.ndarray, other: np.ndarray) -> McNemar:
    """The test of two models on the same images, as statsmodels has it.

    Quinn McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12 (1947); with Edwards' correction.

    Args:
        first, other: whether each is right, bool (n,).
    """
    from scipy.stats import binom, chi2

    first_only, other_only = int((first & ~other).sum()), int((~first & other).sum())
    total = first_only + other_only
    if total < FEW:
        p_value = min(1.0, 2 * float(binom.cdf(min(first_only, other_only), total, 0.5)))
    else:
        p_value = float(chi2.sf((abs(first_only - other_only) - 1) ** 2 / total, 1))
    return McNemar(first_only, other_only, p_value, total < FEW)


def changes(
    first: Answers, other: Answers, tell: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Change]:
    """The scores of two models on the same images, with intervals of their differences, by name.

    Args:
        first, other: of the same images.
        tell: hears how many resamples are done, and how many there are to be.
    """
    measures, counts = _MEASURES[first.task](first, other)
    whole = [measure(counts[np.newaxis]) for measure in measures]
    resampled: dict[str, list[np.ndarray]] = {name: [] for name in whole[0]}
    done = 0
    for block in _resamples(counts):
        of_first, of_other = (measure(block) for measure in measures)
        for name, found in resampled.items():
            found.append(of_other[name] - of_first[name])
        done += len(block)
        tell(done, RESAMPLES)
    intervals = {name: np.percentile(np.concatenate(found), (2.5, 97.5)) for name, found in resampled.items()}
    return {
        name: Change(*(float(scores[name][0]) for scores in whole), *map(float, interval))
        for name, interval in intervals.items()
    }


def _resamples(counts: np.ndarray) -> Iterator[np.ndarray]:
    """How often each group is drawn, (some resamples, groups), if as many images are drawn as there are."""
    random, total = np.random.default_rng(SEED), int(counts.sum())
    rows = max(1, _AT_ONCE // len(counts))
    for begin in range(0, RESAMPLES, rows):
        yield random.multinomial(total, counts / total, size=min(rows, RESAMPLES - begin))


def _groups(*columns: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Images that are alike are counted: what differs between them is drawn once, and not image by image.

    Returns:
        The columns, (groups, ...), and how many images are in each group.
    """
    flat = [column.reshape(len(column), -1) for column in columns]
    ends = np.cumsum([each.shape[1] for each in flat])[:-1]
    rows, counts = np.unique(np.concatenate(flat, axis=1), axis=0, return_counts=True)
    return np.split(rows, ends, axis=1), counts


def _classes(first: Answers, other: Answers) -> tuple[list[Measure], np.ndarray]:
    from scipy.sparse import csr_array

    (truth, *both), counts = _groups(first.truth, first.predicted, other.predicted)
    classes, groups = len(first.names), np.arange(len(counts))

    def per_class(labels: np.ndarray, which: np.ndarray) -> Any:
        """For each class the groups among `which` that have it, as a matrix (groups, classes)."""
        return csr_array((which.astype(float), (groups, labels.ravel())), shape=(len(counts), classes))

    everything = np.ones(len(counts))

    def measure_of(predicted: np.ndarray) -> Measure:
        right = (predicted == truth).ravel()
        hits, has, taken = per_class(truth, right), per_class(truth, everything), per_class(predicted, everything)

        def measure(drawn: np.ndarray) -> dict[str, np.ndarray]:
            support = drawn @ has
            f1 = 2 * (drawn @ hits) / np.maximum(support + drawn @ taken, 1)
            return {"accuracy": drawn @ right / drawn.sum(axis=1), "macro_f1": _over_present(f1, support)}

        return measure

    return [measure_of(predicted) for predicted in both], counts


def _labels(first: Answers, other: Answers) -> tuple[list[Measure], np.ndarray]:
    (truth, *both), counts = _groups(first.truth, first.predicted, other.predicted)

    def measure_of(predicted: np.ndarray) -> Measure:
        hits, sums = (truth & predicted).astype(float), truth.astype(float) + predicted
        all_right = (truth == predicted).all(axis=1)

        def measure(drawn: np.ndarray) -> dict[str, np.ndarray]:
            found, both_sums = drawn @ hits, drawn @ sums
            return {
                "macro_f1": _over_present(2 * found / np.maximum(both_sums, 1), drawn @ truth.astype(float)),
                "micro_f1": 2 * found.sum(axis=1) / np.maximum(both_sums.sum(axis=1), 1),
                "subset_accuracy": drawn @ all_right / drawn.sum(axis=1),
            }

        return measure

    return [measure_of(predicted) for predicted in both], counts


def _numbers(first: Answers, other: Answers) -> tuple[list[Measure], np.ndarray]:
    def measure_of(answers: Answers) -> Measure:
        errors = np.abs(answers.given.astype(float) - answers.truth)

        def measure(drawn: np.ndarray) -> dict[str, np.ndarray]:
            total = drawn.sum(axis=1, keepdims=True)
            return {
                "mae": (drawn @ errors / total).mean(axis=1),
                "rmse": np.sqrt(drawn @ errors**2 / total).mean(axis=1),
            }

        return measure

    return [measure_of(each) for each in (first, other)], np.ones(len(first), int)


def _over_present(scores: np.ndarray, support: np.ndarray) -> np.ndarray:
    """The mean over the classes that occur; 0 where none does."""
    present = support > 0
    mean: np.ndarray = (scores * present).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    return mean


_MEASURES: Mapping[str, Callable[[Answers, Answers], tuple[list[Measure], np.ndarray]]] = {
    "classify": _classes,
    "multilabel": _labels,
    "regress": _numbers,
}
