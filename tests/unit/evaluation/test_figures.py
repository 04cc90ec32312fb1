"""Figures equal those of scikit-learn and scipy on the same predictions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    classification_report,
    confusion_matrix,
    roc_auc_score,
    top_k_accuracy_score,
)

from keras_azure.errors import RunFailed
from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.calibration import answered, calibration, temperature
from keras_azure.evaluation.figures import ClassFigures, LabelFigures, NumberFigures, figures_of
from keras_azure.evaluation.intervals import Share


def answers_of_classes(seed: int, images: int, classes: int, present: int) -> Answers:
    """Answers of which some are right, and of classes of which only the first `present` occur."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, min(present, classes), images)
    logits = random.normal(size=(images, classes)) + 1.5 * np.eye(classes)[truth]
    given = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = tuple(f"class {label}" for label in range(classes))
    return Answers("classify", names, given.astype(np.float32), truth, np.arange(images))


@given(seed=st.integers(0, 2**32), images=st.integers(1, 60), classes=st.integers(2, 8), present=st.integers(1, 8))
@settings(deadline=None)
def test_the_figures_of_classes_are_scikit_learns(seed, images, classes, present):
    answers = answers_of_classes(seed, images, classes, present)
    figures = figures_of(answers)
    assert isinstance(figures, ClassFigures)
    truth, predicted = answers.truth, answers.given.argmax(axis=1)
    occurring = np.unique(truth)
    report = classification_report(truth, predicted, labels=occurring, output_dict=True, zero_division=0)
    assert figures.confusion.tolist() == confusion_matrix(truth, predicted, labels=range(classes)).tolist()
    for average, found in (("macro avg", figures.macro), ("weighted avg", figures.weighted)):
        assert [found.precision, found.recall, found.f1] == pytest.approx(
            [report[average][name] for name in ("precision", "recall", "f1-score")]
        )
    for label in occurring.tolist():
        row, expected = figures.rows[label], report[str(label)]
        assert row.recall is not None and row.recall.value == pytest.approx(expected["recall"])
        assert (row.precision.value if row.precision else 0) == pytest.approx(expected["precision"])
        assert (row.f1, row.support) == (pytest.approx(expected["f1-score"]), expected["support"])
        has = truth == label
        assert row.average_precision == pytest.approx(average_precision_score(has, answers.given[:, label]))
        if len(occurring) > 1:
            assert row.roc_auc == pytest.approx(roc_auc_score(has, answers.given[:, label]))
    for k, share in figures.top.items():
        if classes > 2:
            expected = top_k_accuracy_score(truth, answers.given, k=k, labels=range(classes))
            assert share.value == pytest.approx(expected)


def test_an_absent_class_has_no_figures_and_counts_in_no_average():
    answers = answers_of_classes(1, 200, 5, 3)
    figures = figures_of(answers)
    assert isinstance(figures, ClassFigures)
    absent = figures.rows[4]
    assert (absent.support, absent.recall, absent.f1, absent.average_precision, absent.roc_auc) == (0, *[None] * 4)
    assert figures.macro.recall == pytest.approx(np.mean([row.recall.value for row in figures.rows[:3] if row.recall]))
    values = [row.average_precision for row in figures.rows[:3]]
    assert figures.average_precision == pytest.approx(np.mean([value for value in values if value is not None]))


@given(part=st.integers(0, 300), more=st.integers(0, 300))
def test_intervals_are_those_of_scipy(part, more):
    share = Share.of(part, part + more)
    if part + more == 0:
        assert share is None
        return
    expected = binomtest(part, part + more).proportion_ci(method="wilson")
    assert share is not None and (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert share.low <= share.value <= share.high


@given(seed=st.integers(0, 2**32), images=st.integers(1, 400), levels=st.integers(2, 1000))
def test_ece_is_the_mean_distance_of_confidence_and_accuracy_in_bins_of_equal_mass(seed, images, levels):
    random = np.random.default_rng(seed)
    confidence = random.integers(1, levels, images) / levels  # some of them are equal
    right = random.random(images) < confidence
    found = calibration(confidence, right)
    assert sum(each.images for each in found.bins) == images
    assert sum(each.images * each.accuracy for each in found.bins) == pytest.approx(right.sum())
    assert sum(each.images * each.confidence for each in found.bins) == pytest.approx(confidence.sum())
    distances = [each.images * abs(each.confidence - each.accuracy) for each in found.bins]
    assert found.ece == pytest.approx(sum(distances) / images)
    confidences = [each.confidence for each in found.bins]
    assert len(found.bins) <= 15 and confidences == sorted({*confidences})


def test_bins_without_equal_probabilities_have_equal_mass():
    random = np.random.default_rng(0)
    found = calibration(random.permutation(3000) / 3000, random.random(3000) < 0.5)
    assert [each.images for each in found.bins] == [200] * 15


@given(seed=st.integers(0, 2**32), each=st.integers(2, 40))
@settings(deadline=None)
def test_the_reliability_curve_is_scikit_learns(seed, each):
    random = np.random.default_rng(seed)
    confidence = random.permutation(15 * each) / (15 * each)
    right = random.random(15 * each) < confidence
    accuracies, confidences = calibration_curve(right, confidence, n_bins=15, strategy="quantile")
    found = calibration(confidence, right)
    assert [each.confidence for each in found.bins] == pytest.approx(confidences)
    assert [each.accuracy for each in found.bins] == pytest.approx(accuracies)
    assert found.ece == pytest.approx(np.abs(accuracies - confidences).mean())


def test_the_surest_images_are_answered_first():
    points = answered(np.array([0.9, 0.2, 0.8, 0.4]), np.array([True, False, True, False]))
    assert points == ((0.25, 1.0), (0.5, 1.0), (0.75, pytest.approx(2 / 3)), (1.0, 0.5))


@given(seed=st.integers(0, 2**32), scale=st.floats(0.2, 5))
@settings(deadline=None, max_examples=20)
def test_the_temperature_is_what_logits_were_multiplied_by(seed, scale):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(20_000, 4)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (chances.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1).clip(0, 3)
    assert temperature(logits * scale, truth) == pytest.approx(scale, rel=0.1)
    labels = (random.random((20_000, 4)) < 1 / (1 + np.exp(-logits))).astype(np.uint8)
    assert temperature(logits * scale, labels) == pytest.approx(scale, rel=0.1)


def test_labels_and_numbers_have_figures_of_their_own():
    random = np.random.default_rng(3)
    truth = random.integers(0, 2, (50, 3)).astype(np.uint8)
    given = random.random((50, 3)).astype(np.float32)
    labels = figures_of(Answers("multilabel", ("a", "b", "c"), given, truth, np.arange(50), thresholds=(0.5,) * 3))
    assert isinstance(labels, LabelFigures)
    assert labels.all_right.value == labels.averages["subset_accuracy"]
    assert {*labels.each} == {"a", "b", "c"}
    numbers = figures_of(Answers("regress", ("x",), given[:, :1], given[:, :1] + 1, np.arange(50)))
    assert isinstance(numbers, NumberFigures)
    assert numbers.averages["mae"] == pytest.approx(1)


def test_what_is_no_number_is_refused():
    answers = answers_of_classes(0, 4, 3, 3)
    answers.given[2, 1] = np.nan
    with pytest.raises(RunFailed, match="1 of 4 images"):
        figures_of(answers)
