import keras
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from kaz_features import features
from keras_azure import FeatureClassifier
from keras_azure.errors import WrongOption
from keras_azure.models.fitting import fit
from keras_azure.models.inspection import describe_model
from keras_azure.registry.registry import MODELS
from keras_azure.testing import check_model

SMALL = {"backbone": "mobilenetv3small", "weights": "none"}
CLASSIFIERS = {
    "svm": LinearSVC,
    "logistic": LogisticRegression,
    "knn": KNeighborsClassifier,
    "boosting": HistGradientBoostingClassifier,
}


@pytest.mark.parametrize("classifier", ["svm", "knn", pytest.param("best", marks=pytest.mark.slow)])
def test_keeps_the_contract(classifier):
    check_model("features", classifier=classifier, **SMALL)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_classifier_is_named(classifier):
    model = features((28, 28, 1), 3, classifier=classifier, **SMALL)
    assert isinstance(model, FeatureClassifier)
    assert type(model.estimator) is CLASSIFIERS[classifier]
    assert (model.num_classes, model.choices) == (3, ())


def test_the_best_is_among_all():
    model = features((28, 28, 1), 3, classifier="best", **SMALL)
    assert [type(each) for each in (model.estimator, *model.choices)] == [*CLASSIFIERS.values()]


def test_the_features_are_those_of_the_backbone():
    keras.utils.set_random_seed(0)
    model = features((28, 28, 1), 3, image_size=40, **SMALL)
    assert model.features.get_layer("backbone").input_shape == (None, 40, 40, 3)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1)).astype(np.uint8)
    vectors = model.vectors(pictures)
    assert vectors.shape == (5, *model.features.get_layer("backbone").output_shape[1:])
    assert len(np.unique(vectors, axis=0)) == 5
    before = [weight.copy() for weight in model.features.get_weights()]
    fitted = fit(model, vectors, np.array([0, 1, 2, 0, 1]), seed=0).classifier
    assert fitted.predict(pictures).shape == (5, 3)
    assert all(np.array_equal(*pair) for pair in zip(before, model.features.get_weights(), strict=True))


def test_options_go_to_the_classifiers_that_have_them():
    model = features((28, 28, 1), 3, classifier="best", regularization=4.0, neighbors=7, **SMALL)
    svm, logistic, knn, _ = (model.estimator, *model.choices)
    assert (svm.C, logistic.C, knn.n_neighbors) == (0.25, 0.25, 7)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"regularization": 0.0}, r"regularization=0\.0"),
        ({"regularization": -1.0}, r"regularization=-1\.0"),
        ({"regularization": float("inf")}, "regularization=inf"),
        ({"regularization": float("nan")}, "regularization=nan"),
        ({"neighbors": 0}, "neighbors=0"),
        ({"classifier": "svn"}, "classifier='svn' must be one of svm, logistic, knn, boosting and best"),
    ],
)
def test_refuses_options_out_of_range(options, problem):
    with pytest.raises(ValueError, match=problem):
        features((28, 28, 1), 2, **options)  # before any weights are fetched


def test_a_wrong_classifier_shows_the_signature():
    with pytest.raises(WrongOption, match="'svn'") as caught:
        MODELS.build("features(classifier='svn')", (28, 28, 1), 2)
    assert "Literal['svm', 'logistic', 'knn', 'boosting', 'best']" in str(caught.value)


def test_it_is_shown_with_its_classifiers_as_a_last_layer():
    spec = "features(backbone='mobilenetv3small', weights='none', classifier='best')"
    shown = describe_model(spec, (28, 28, 1), 3)
    assert [layer["name"] for layer in shown["layers"]][-2:] == ["backbone", "classifier"]
    assert shown["layers"][-1]["type"] == " or ".join(each.__name__ for each in CLASSIFIERS.values())
    assert shown["layers"][-1]["output_shape"] == [None, 3]
    assert shown["trainable_parameters"] == 0
    assert shown["parameters"] == 939_120
