"""Labels that are probably wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_azure.checking.confident import label_errors, noisy_joint


def made(seed: int, classes: int, size: int, wrong: int) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """Labels, the probabilities of a model that is mostly right about the true ones, and which labels are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, size)
    sure = rng.dirichlet(np.ones(classes), size)
    doubt = 0.4 * rng.random((size, 1)) ** 3  # of most there is hardly any
    probabilities = doubt * sure + (1 - doubt) * np.eye(classes)[true]
    labels, changed = true.copy(), rng.choice(size, wrong, replace=False)
    labels[changed] = (true[changed] + rng.integers(1, classes, wrong)) % classes
    return labels, probabilities, {*changed.tolist()}


@given(st.integers(0, 1000), st.integers(2, 10), st.integers(0, 20))
@settings(max_examples=40)
def test_what_is_found_was_planted(seed, classes, wrong):
    labels, probabilities, planted = made(seed, classes, 600, wrong)
    found = {*label_errors(labels, probabilities).tolist()}
    assert found <= planted
    assert len(found) >= 0.5 * wrong - 6  # how many there are is an estimate, too


@pytest.mark.parametrize("classes", [2, 5, 10])
def test_most_planted_errors_are_found(classes):
    found = [len(label_errors(*made(seed, classes, 600, 20)[:2])) for seed in range(20)]
    assert np.mean(found) > 0.75 * 20


def test_the_worst_come_first():
    labels, probabilities, _ = made(0, 3, 600, 15)
    found = label_errors(labels, probabilities)
    margins = probabilities[found, labels[found]] - probabilities[found].max(axis=1)
    assert (np.diff(margins) >= 0).all()


def test_the_joint_of_a_small_example():
    # Two labels of class 0 are as probable as usual for class 1, which usually has 0.8.
    labels = np.array([0, 0, 0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.2, 0.8], [0.2, 0.8]])
    np.testing.assert_allclose(noisy_joint(labels, probabilities), [[2 / 6, 2 / 6], [0, 2 / 6]])
    assert label_errors(labels, probabilities).tolist() == [2, 3]


@given(st.integers(0, 1000), st.integers(2, 6))
def test_the_joint_has_the_shares_of_the_labels(seed, classes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, 100)
    joint = noisy_joint(labels, rng.dirichlet(np.ones(classes), 100))
    np.testing.assert_allclose(joint.sum(axis=1), np.bincount(labels, minlength=classes) / 100)


def test_a_class_without_samples_is_nobodys_true_class():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.6, 0.1, 0.3], [0.1, 0.1, 0.8], [0.1, 0.6, 0.3], [0.1, 0.8, 0.1]])
    assert noisy_joint(labels, probabilities)[:, 2].tolist() == [0, 0, 0]
    assert label_errors(labels, probabilities).tolist() == []


def test_a_model_that_agrees_finds_nothing():
    labels = np.arange(50) % 5
    assert label_errors(labels, np.eye(5)[labels]).tolist() == []
