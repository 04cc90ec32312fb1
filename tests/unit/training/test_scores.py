"""Scores of labels and numbers: those of scikit-learn, and right where a label never occurs."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics

from keras_azure.training.scores import best_thresholds, label_scores, number_scores

SHAPES = st.tuples(st.integers(1, 30), st.integers(1, 5))


@st.composite
def labelled(draw):
    """0 and 1, probabilities (some of them equal) and thresholds."""
    shape = draw(SHAPES)
    truth = draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    truth[:, draw(arrays.arrays(bool, shape[1]))] = 0  # labels that never occur
    probabilities = draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0, 0.1, 0.25, 0.5, 0.75, 1])))
    return truth, probabilities, draw(arrays.arrays(np.float64, shape[1], elements=st.sampled_from([0.1, 0.3, 0.5])))


@settings(max_examples=200, deadline=None)
@given(labelled())
def test_scores_of_labels_are_those_of_scikit_learn_over_the_labels_that_occur(case):
    truth, probabilities, thresholds = case
    names = [f"label {number}" for number in range(truth.shape[1])]
    scores, each = label_scores(truth, probabilities, thresholds, names)
    predicted = (probabilities >= thresholds).astype(np.uint8)
    present = np.flatnonzero(truth.sum(axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Label by label: of a matrix of one column scikit-learn takes the other class into the mean.
        f1 = [metrics.f1_score(truth[:, label], predicted[:, label], zero_division=0) for label in present]
        precision = [metrics.average_precision_score(truth[:, label], probabilities[:, label]) for label in present]
        micro = metrics.f1_score(truth.ravel(), predicted.ravel(), zero_division=0)
    assert scores["macro_f1"] == pytest.approx(np.mean(f1) if f1 else 0)
    assert scores["average_precision"] == pytest.approx(np.mean(precision) if precision else 0)
    assert scores["micro_f1"] == pytest.approx(micro)
    assert scores["subset_accuracy"] == pytest.approx((truth == predicted).all(axis=1).mean())
    for place, label in enumerate(present):
        assert each[names[label]]["f1"] == pytest.approx(f1[place])
        assert each[names[label]]["average_precision"] == pytest.approx(precision[place])
        assert each[names[label]]["images"] == truth[:, label].sum()
    absent = set(range(len(names))) - set(present.tolist())
    assert all("average_precision" not in each[names[label]] for label in absent)


def test_a_label_that_never_occurs_changes_no_average():
    rng = np.random.default_rng(0)
    truth, probabilities = rng.integers(0, 2, (50, 3)), rng.random((50, 3))
    before, _ = label_scores(truth, probabilities, [0.5] * 3, list("abc"))
    with_absent = np.insert(truth, 1, 0, axis=1), np.insert(probabilities, 1, 0.1, axis=1)
    after, each = label_scores(*with_absent, [0.5] * 4, list("axbc"))
    assert after == before
    assert each["x"]["images"] == 0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_scores_of_numbers_are_those_of_scikit_learn(data):
    shape = data.draw(SHAPES)
    numbers = arrays.arrays(np.float32, shape, elements=st.floats(-1000, 1000, width=32))
    truth, predicted = data.draw(numbers), data.draw(numbers)
    names = [str(number) for number in range(shape[1])]
    scores, each = number_scores(truth, predicted, names)
    truth, predicted = truth.astype(np.float64), predicted.astype(np.float64)
    expected = {"mae": metrics.mean_absolute_error, "rmse": metrics.root_mean_squared_error}
    if shape[0] > 1:
        expected["r2"] = metrics.r2_score
    assert scores == pytest.approx({name: measure(truth, predicted) for name, measure in expected.items()})
    for number, name in enumerate(names):
        columns = truth[:, number], predicted[:, number]
        assert each[name] == pytest.approx({measure: score(*columns) for measure, score in expected.items()})


@settings(max_examples=200, deadline=None)
@given(labelled())
def test_no_threshold_has_a_higher_f1_than_the_one_that_is_chosen(case):
    truth, probabilities, _ = case
    for label, threshold in enumerate(best_thresholds(truth, probabilities)):
        of_label, given_to_it = truth[:, label], probabilities[:, label]
        if of_label.sum() in (0, len(of_label)):
            assert threshold == 0.5
            continue
        scores = [
            metrics.f1_score(of_label, given_to_it >= each, zero_division=0)
            for each in (threshold, *np.unique(given_to_it).tolist())
        ]
        assert scores[0] == pytest.approx(max(scores))


def test_a_threshold_lies_halfway_and_of_equals_nearest_to_one_half():
    truth, probabilities = np.array([[1], [1], [0], [0]]), np.array([[0.9], [0.7], [0.4], [0.1]])
    assert best_thresholds(truth, probabilities) == [pytest.approx(0.55)]
