"""Two models on the same images: the test is that of statsmodels, the intervals are those of resampled images."""

import numpy as np
import pytest
from fixtures.run_folders import answers_of
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar as of_statsmodels

from keras_azure.comparing.paired import FEW, RESAMPLES, changes, mcnemar
from keras_azure.evaluation.figures import figures_of


def right_of(table: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Whether each model is right: rows of the table are the first, columns the other; right comes before wrong."""
    (both, first_only), (other_only, neither) = table
    first = np.repeat([True, True, False, False], (both, first_only, other_only, neither))
    other = np.repeat([True, False, True, False], (both, first_only, other_only, neither))
    return first, other


COUNTS = st.integers(0, 60)


@given(st.tuples(COUNTS, COUNTS, COUNTS, COUNTS))
def test_the_test_is_that_of_statsmodels(counts):
    table = [[*counts[:2]], [*counts[2:]]]
    found = mcnemar(*right_of(table))
    expected = of_statsmodels(np.array(table), exact=found.exact, correction=True)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-12)
    assert (found.first_only, found.other_only) == (counts[1], counts[2])
    assert found.exact == (counts[1] + counts[2] < FEW)
    order = np.random.default_rng(0).permutation(sum(counts))
    assert mcnemar(*(each[order] for each in right_of(table))) == found


@pytest.mark.parametrize(("first_only", "other_only", "exact"), [(12, 12, True), (12, 13, False), (0, 0, True)])
def test_few_images_are_tested_exactly(first_only, other_only, exact):
    found = mcnemar(*right_of([[5, first_only], [other_only, 5]]))
    assert (found.exact, found.p_value <= 1) == (exact, True)


def random_answers(task: str, seed: int, noise: float = 0.6, images: int = 300, names: int = 4):
    random = np.random.default_rng(7)
    truth = {
        "classify": random.integers(0, names - 1, images),  # the last class does not occur
        "multilabel": random.random((images, names)) < [0.5, 0.2, 0.05, 0],
        "regress": random.normal(size=(images, names)),
    }[task]
    whole = np.eye(names)[truth] if task == "classify" else truth.astype(float)
    said = whole + noise * np.random.default_rng(seed).normal(size=whole.shape)
    return answers_of(truth, said, task, [f"name {number}" for number in range(names)])


TASKS = {
    "classify": ("accuracy", "macro_f1"),
    "multilabel": ("macro_f1", "micro_f1", "subset_accuracy"),
    "regress": ("mae", "rmse"),
}


@pytest.mark.parametrize("task", TASKS)
def test_the_scores_are_those_of_the_figures(task):
    first, other = random_answers(task, 1), random_answers(task, 2)
    found = changes(first, other)
    assert set(found) == set(TASKS[task])
    for name, change in found.items():
        assert change.first == pytest.approx(figures_of(first).scores()[name])
        assert change.other == pytest.approx(figures_of(other).scores()[name])
        assert change.low <= change.difference <= change.high
        assert change.difference == change.other - change.first


@pytest.mark.parametrize("task", TASKS)
def test_intervals_are_the_same_each_time_and_turn_with_the_models(task):
    first, other = random_answers(task, 1), random_answers(task, 2)
    assert changes(first, other) == changes(first, other)
    for name, turned in changes(other, first).items():
        change = changes(first, other)[name]
        width = change.high - change.low
        assert (turned.low, turned.high) == pytest.approx((-change.high, -change.low), abs=0.1 * width)


@pytest.mark.parametrize("task", TASKS)
def test_equal_models_differ_by_nothing(task):
    first = random_answers(task, 1)
    for change in changes(first, first).values():
        assert (change.difference, change.low, change.high) == (0, 0, 0)


def plain_scores(task: str, truth: np.ndarray, given: np.ndarray) -> dict[str, float]:
    """By scikit-learn, of images one by one."""
    if task == "classify":
        said = given.argmax(axis=1)
        macro = metrics.f1_score(truth, said, labels=np.unique(truth), average="macro", zero_division=0)
        return {"accuracy": (said == truth).mean(), "macro_f1": macro}
    if task == "multilabel":
        said, present = given >= 0.5, np.flatnonzero(truth.any(axis=0))
        macro, micro = (
            metrics.f1_score(truth[:, kept], said[:, kept], average=kind, zero_division=0)
            for kind, kept in (("macro", present), ("micro", slice(None)))
        )
        return {"macro_f1": macro, "micro_f1": micro, "subset_accuracy": (said == truth).all(axis=1).mean()}
    return {"mae": np.abs(given - truth).mean(), "rmse": np.sqrt(((given - truth) ** 2).mean(axis=0)).mean()}


@pytest.mark.parametrize("task", TASKS)
def test_intervals_are_those_of_resampled_images(task):
    first, other = random_answers(task, 1), random_answers(task, 2)
    random, differences = np.random.default_rng(3), {name: [] for name in TASKS[task]}
    for _ in range(300):
        drawn = random.integers(0, len(first), len(first))
        of_first, of_other = (plain_scores(task, each.truth[drawn], each.given[drawn]) for each in (first, other))
        for name, found in differences.items():
            found.append(of_other[name] - of_first[name])
    for name, change in changes(first, other).items():
        expected, width = np.percentile(differences[name], (2.5, 97.5)), change.high - change.low
        assert (change.low, change.high) == pytest.approx(tuple(expected), abs=0.15 * width), name


def test_an_interval_has_the_better_model_where_it_is_clear():
    truth = np.arange(200) % 3
    better, worse = truth.copy(), truth.copy()
    better[:5], worse[:60] = 2, 0
    change = changes(answers_of(truth, worse), answers_of(truth, better))["accuracy"]
    assert 0 < change.low < change.difference < change.high < 0.3


def test_progress_is_told():
    told = []
    first = random_answers("regress", 1, images=5000)
    changes(first, random_answers("regress", 2, images=5000), lambda *done: told.append(done))
    assert told == sorted(told)
    assert told[-1] == (RESAMPLES, RESAMPLES)
    assert len(told) > 1
