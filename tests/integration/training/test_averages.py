"""Averages over classes are of those that occur in the labels, in training, in its validation and in the test."""

import json

import keras
import numpy as np
import pytest

import keras_azure
from keras_azure.description.config import RunConfig
from keras_azure.models.measures import over_present_classes
from keras_azure.training.compiling import build_metrics

SPECS = ["f1_score", "f1_score(average='macro')", "fbeta_score(beta=2.0)", "auc(multi_label=True, num_labels=4)"]


def of_labels(labels, num_classes=4):
    return np.eye(num_classes, dtype=np.float32)[labels]


def mean_of(metric, truth, predicted):
    metric.update_state(truth, predicted)
    return float(np.mean(metric.result()))


@pytest.mark.parametrize("spec", SPECS)
def test_a_perfect_classifier_has_one_also_where_a_class_does_not_occur(spec):
    (metric,) = build_metrics(RunConfig("cnn", metrics=(spec,)))
    truth = of_labels([0, 1, 3, 3])
    assert mean_of(metric, truth, truth) == pytest.approx(1.0, abs=1e-5)
    metric.reset_state()  # the next epoch has other labels
    truth = of_labels([0, 1])
    assert mean_of(metric, truth, truth) == pytest.approx(1.0, abs=1e-5)


def test_a_class_that_is_only_predicted_costs_the_others_and_is_none_itself():
    (metric,) = build_metrics(RunConfig("cnn", metrics=("f1_score",)))
    found = mean_of(metric, of_labels([0, 0, 1, 1]), of_labels([0, 0, 1, 2]))
    assert found == pytest.approx((1 + 2 / 3) / 2, abs=1e-6)


@pytest.mark.parametrize("spec", SPECS)
def test_with_all_classes_it_is_the_one_of_keras_to_the_bit(spec):
    (metric,) = build_metrics(RunConfig("cnn", metrics=(spec,)))
    plain = type(metric).from_config(metric.get_config())
    generator = np.random.default_rng(0)
    truth = of_labels(np.arange(40) % 4)
    predicted = generator.random((40, 4), np.float32)
    predicted /= predicted.sum(axis=1, keepdims=True)
    assert mean_of(metric, truth, predicted) == mean_of(plain, truth, predicted)


@pytest.mark.parametrize(
    "metric",
    [keras.metrics.F1Score(average="micro"), keras.metrics.F1Score(average="weighted"), keras.metrics.AUC()],
)
def test_what_counts_no_absent_class_anyway_is_as_it_is(metric):
    assert over_present_classes(metric) is metric
    assert "result" not in vars(metric)


def test_of_no_labels_it_is_nothing():
    (metric,) = build_metrics(RunConfig("cnn", metrics=("f1_score",)))
    assert mean_of(metric, np.zeros((2, 4), np.float32), of_labels([0, 1])) == 0


@pytest.fixture
def digits_without_some():
    """A data set with the classes 0 to 4, of which 2 has no training image and 3 no test image."""
    splits = {}
    for split, classes in (("train", (0, 1, 3, 4)), ("test", (0, 1, 2, 4))):
        labels = np.array(classes * 10)
        splits[split] = np.repeat(10 + 50 * labels, 64).reshape(40, 8, 8, 1).astype(np.uint8), labels
    return keras_azure.ArrayDataset(list("01234"), splits, "digits")


@pytest.mark.parametrize("cache", ["auto", "none"])
def test_a_run_says_which_do_not_occur(digits_without_some, tmp_path, listener, cache):
    result = keras_azure.run(
        "cnn(filters=(2,), dense=(4,))",
        data=digits_without_some,
        cache=cache,
        epochs=1,
        metrics=["f1_score"],
        output=tmp_path / "run",
        observer=listener,
        tracking=False,
    )
    assert "There is no training image of '2': these classes cannot be learned." in listener.messages
    assert "There is no test image of '3': averages over classes leave them out." in listener.messages
    truth = of_labels([0, 1, 2, 4] * 10, 5)
    pixels = np.repeat(truth.argmax(axis=1) * 50 + 10, 64).reshape(40, 8, 8, 1).astype(np.float32)
    plain = keras.metrics.F1Score()
    plain.update_state(truth, result.model.predict(pixels, verbose=0))
    assert result.test_metrics["f1_score"] == pytest.approx(np.sum(plain.result()) / 4, abs=1e-6)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["class_names"] == list("01234")
    loaded = keras.saving.load_model(tmp_path / "run" / "model.keras")  # by Keras alone
    assert loaded.predict(pixels, verbose=0).shape == (40, 5)


def test_no_word_where_all_occur(shared_pictures, tmp_path, listener):
    settings = {"epochs": 1, "tracking": False, "observer": listener}
    keras_azure.run("cnn(filters=(2,), dense=(4,))", data=str(shared_pictures), output=tmp_path / "run", **settings)
    assert not [text for text in listener.messages if text.startswith("There is no ")]
