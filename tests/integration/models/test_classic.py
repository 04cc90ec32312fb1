"""A classifier of scikit-learn on features: fitted, chosen, asked for probabilities."""

import numpy as np
import pytest
from keras import Sequential, layers
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC, LinearSVC

from keras_azure.data.digits import digits
from keras_azure.errors import DataError
from keras_azure.models import estimators
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.fitting import fit

ESTIMATORS = [
    LinearSVC(),
    LogisticRegression(max_iter=1000),
    KNeighborsClassifier(algorithm="brute"),
    HistGradientBoostingClassifier(max_iter=5, early_stopping=False),
]


def small_network(shape=(28, 28, 1)):
    """The mean levels of 7x7 squares."""
    pool = layers.AveragePooling2D(4, name="pool")
    return Sequential([layers.Input(shape, name="pixels"), pool, layers.Flatten(name="flatten")], name="features")


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def samples(network):
    """400 digits to learn from and 100 to be tested on: vectors (n, 49) and labels (n,)."""
    pictures, labels = digits().arrays("train")
    vectors = FeatureClassifier(network, None, 10).vectors(pictures[:500])
    return (vectors[:400], labels[:400]), (vectors[400:], labels[400:500])


def blobs(classes, count=30, seed=0):
    """`count` vectors (2,) around a point of its own for each class."""
    random = np.random.default_rng(seed)
    labels = np.repeat(classes, count)
    return (random.normal(size=(len(labels), 2)) + 8 * labels[:, None] ** [1, 2]).astype(np.float32), labels


def test_vectors_are_what_the_network_gives_in_any_number(network):
    pictures = digits().arrays("train")[0][:70]
    vectors = FeatureClassifier(network, LinearSVC(), 10).vectors(pictures)
    assert (vectors.shape, vectors.dtype) == ((70, 49), np.float32)
    squares = pictures.reshape(70, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(70, 49)
    np.testing.assert_allclose(vectors, squares, rtol=1e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_every_classifier_learns_and_gives_probabilities(network, samples, estimator):
    (vectors, labels), (test_vectors, test_labels) = samples
    fitted = fit(FeatureClassifier(network, estimator, 10), vectors, labels, seed=0)
    assert (fitted.scores, fitted.folds, fitted.converged) == ({}, 0, True)
    probabilities = fitted.classifier.probabilities(test_vectors)
    assert (probabilities.shape, probabilities.dtype) == ((100, 10), np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert probabilities.min() >= 0
    predicted = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(predicted, fitted.classifier.estimator.predict(test_vectors))
    assert (predicted == test_labels).mean() > 0.6
    assert not hasattr(estimator, "classes_")  # what was given is not fitted


@pytest.mark.parametrize("estimator", [*ESTIMATORS, SVC(), RidgeClassifier()], ids=lambda each: type(each).__name__)
def test_two_classes(network, estimator):
    vectors, labels = blobs([0, 1])
    fitted = fit(FeatureClassifier(network, estimator, 2), vectors, labels, seed=0).classifier
    probabilities = fitted.probabilities(vectors)
    assert probabilities.shape == (60, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), labels)
    np.testing.assert_array_equal(fitted.estimator.predict(vectors), labels)


@pytest.mark.parametrize("classes", [[1, 3], [0, 2, 4]])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_a_class_that_was_not_there_has_no_probability(network, estimator, classes):
    vectors, labels = blobs(classes)
    probabilities = fit(FeatureClassifier(network, estimator, 5), vectors, labels, 0).classifier.probabilities(vectors)
    assert probabilities.shape == (len(labels), 5)
    assert not probabilities[:, np.setdiff1d(range(5), classes)].any()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), labels)


def test_the_probabilities_of_margins_are_their_softmax(network):
    vectors, labels = blobs([0, 1, 2])
    fitted = fit(FeatureClassifier(network, LinearSVC(), 3), vectors, labels, seed=0).classifier
    powers = np.exp(fitted.estimator.decision_function(vectors))
    np.testing.assert_allclose(fitted.probabilities(vectors), powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)


def test_pictures_are_predicted_by_their_vectors(network, samples):
    (vectors, labels), _ = samples
    fitted = fit(FeatureClassifier(network, LogisticRegression(max_iter=1000), 10), vectors, labels, seed=0).classifier
    pictures = digits().arrays("train")[0][:40]
    expected = fitted.probabilities(vectors[:40])
    np.testing.assert_allclose(fitted.predict(pictures), expected, atol=1e-5)
    np.testing.assert_allclose(fitted.predict(pictures.astype(np.float32)), expected, atol=1e-5)
    assert fitted.predict(pictures[:0]).shape == (0, 10)


def test_half_precision_makes_no_difference(network):
    vectors, labels = blobs([0, 1])
    halves = vectors.astype(np.float16)
    expected = fit(FeatureClassifier(network, LinearSVC(), 2), halves.astype(np.float32), labels, seed=0).classifier
    found = fit(FeatureClassifier(network, LinearSVC(), 2), halves, labels, seed=0).classifier
    assert estimators.to_bytes(found.estimator) == estimators.to_bytes(expected.estimator)
    np.testing.assert_array_equal(found.probabilities(halves), expected.probabilities(halves.astype(np.float32)))


def test_what_goes_by_size_is_behind_a_scaler(network):
    vectors, labels = blobs([0, 1])
    for estimator in (LinearSVC(), SVC(), LogisticRegression(), KNeighborsClassifier()):
        fitted = fit(FeatureClassifier(network, estimator, 2), vectors, labels, seed=0).classifier.estimator
        assert [type(step) for _, step in fitted.steps] == [StandardScaler, type(estimator)]
        larger = fit(FeatureClassifier(network, estimator, 2), vectors * [1, 1024], labels, seed=0).classifier.estimator
        np.testing.assert_array_equal(larger.predict(vectors * [1, 1024]), fitted.predict(vectors))


def test_what_brings_its_own_scaler_or_needs_none_stays_as_it_is(network):
    vectors, labels = blobs([0, 1])
    own = fit(FeatureClassifier(network, make_pipeline(MinMaxScaler(), LinearSVC()), 2), vectors, labels, seed=0)
    assert [type(step) for _, step in own.classifier.estimator.steps] == [MinMaxScaler, LinearSVC]
    trees = fit(FeatureClassifier(network, ESTIMATORS[-1], 2), vectors, labels, seed=0)
    assert not isinstance(trees.classifier.estimator, Pipeline)


def test_the_seed_is_the_start_of_all_that_is_random(network, samples):
    (vectors, labels), _ = samples
    random = HistGradientBoostingClassifier(max_iter=2, max_features=0.2, early_stopping=False)

    def fitted(seed):
        return estimators.to_bytes(
            fit(FeatureClassifier(network, random, 10), vectors, labels, seed).classifier.estimator
        )

    first = fitted(3)
    assert fitted(3) == first
    assert fitted(4) != first
    inner = fit(FeatureClassifier(network, LinearSVC(), 10), vectors, labels, 7).classifier.estimator
    assert inner.get_params()["linearsvc__random_state"] == 7


def test_the_best_is_chosen_by_cross_validation(network):
    # Rings: no straight line parts them, and a neighbour is nearly always of the same one.
    angles = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    labels = np.arange(120) % 2
    vectors = ((1 + labels)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)).astype(np.float32)
    choice = FeatureClassifier(network, LinearSVC(), 2, (KNeighborsClassifier(3), LogisticRegression()))
    fitted = fit(choice, vectors, labels, seed=0)
    assert fitted.folds == 5
    assert [*fitted.scores] == ["LinearSVC", "KNeighborsClassifier", "LogisticRegression"]
    assert fitted.scores["KNeighborsClassifier"] == max(fitted.scores.values()) > 0.9
    assert max(fitted.scores["LinearSVC"], fitted.scores["LogisticRegression"]) < 0.8
    assert type(fitted.classifier.estimator.steps[-1][1]) is KNeighborsClassifier
    assert fitted.classifier.choices == ()
    assert fitted.classifier.features is network
    assert fit(choice, vectors, labels, seed=0).scores == fitted.scores


def test_of_equal_ones_the_first_is_chosen_and_each_has_a_name(network):
    vectors, labels = blobs([0, 1])
    choice = FeatureClassifier(network, LinearSVC(C=2.0), 2, (LinearSVC(), LogisticRegression()))
    fitted = fit(choice, vectors, labels, seed=0)
    assert fitted.scores == {"LinearSVC": 1.0, "LinearSVC (2)": 1.0, "LogisticRegression": 1.0}
    assert fitted.classifier.estimator.steps[-1][1].C == 2.0


def test_there_are_as_many_folds_as_the_smallest_class_allows(network):
    vectors, labels = blobs([0, 1, 2])
    kept = np.r_[0:30, 30:60, 60:63]
    choice = FeatureClassifier(network, LinearSVC(), 3, (LogisticRegression(),))
    assert fit(choice, vectors[kept], labels[kept], seed=0).folds == 3
    assert fit(choice, vectors[:61], labels[:61], seed=0).folds == 5  # of a class of one, nothing is tested
    alone = FeatureClassifier(network, LinearSVC(), 3)
    assert fit(alone, vectors[:61], labels[:61], seed=0).classifier.probabilities(vectors).shape == (90, 3)


@pytest.mark.parametrize("counts", [(3, 2), (4, 1), (2, 2, 1), (3, 1, 1)])
def test_the_best_for_five_images_is_among_those_that_can_learn_from_them(network, counts):
    vectors, labels = blobs(range(len(counts)))
    chosen = np.concatenate([np.flatnonzero(labels == label)[:count] for label, count in enumerate(counts)])
    choice = FeatureClassifier(network, KNeighborsClassifier(5), len(counts), (LinearSVC(), LogisticRegression()))
    fitted = fit(choice, vectors[chosen], labels[chosen], seed=0)
    assert fitted.folds >= 2
    assert [*fitted.scores] == ["LinearSVC", "LogisticRegression"]
    assert "KNeighborsClassifier cannot learn from 5 training pictures" in fitted.left_out["KNeighborsClassifier"]
    assert type(fitted.classifier.estimator.steps[-1][1]) is LinearSVC
    assert fitted.classifier.probabilities(vectors[chosen]).argmax(axis=1).tolist() == labels[chosen].tolist()


def test_with_one_image_a_class_the_first_that_can_be_fitted_is_taken(network):
    vectors, labels = blobs(range(4))
    chosen = [int(np.argmax(labels == label)) for label in range(4)]
    choice = FeatureClassifier(network, KNeighborsClassifier(5), 4, (LogisticRegression(), LinearSVC()))
    fitted = fit(choice, vectors[chosen], labels[chosen], seed=0)
    assert (fitted.scores, fitted.folds, [*fitted.left_out]) == ({}, 0, ["KNeighborsClassifier"])
    assert type(fitted.classifier.estimator.steps[-1][1]) is LogisticRegression


def test_too_few_samples_are_refused(network):
    vectors, labels = blobs([0, 1], count=2)
    with pytest.raises(DataError, match="of one class"):
        fit(FeatureClassifier(network, LinearSVC(), 2), vectors[:2], labels[:2], seed=0)
    with pytest.raises(DataError, match=r"KNeighborsClassifier cannot learn from 4 training pictures: .*n_neighbors"):
        fit(FeatureClassifier(network, KNeighborsClassifier(), 2), vectors, labels, seed=0)
    with pytest.raises(DataError, match="KNeighborsClassifier cannot learn"):
        neighbours = FeatureClassifier(network, KNeighborsClassifier(), 2, (KNeighborsClassifier(6),))
        fit(neighbours, vectors, labels, seed=0)
    with pytest.raises(DataError, match="NaN"):
        fit(FeatureClassifier(network, LinearSVC(), 2), vectors * np.nan, labels, seed=0)


def test_a_search_that_was_cut_short_is_told(network, samples, recwarn):
    (vectors, labels), _ = samples
    hasty = LogisticRegression(max_iter=2)
    assert not fit(FeatureClassifier(network, hasty, 10), vectors, labels, seed=0).converged
    assert not fit(
        FeatureClassifier(network, hasty, 10, (LogisticRegression(max_iter=1),)), vectors, labels, 0
    ).converged
    assert not recwarn.list
