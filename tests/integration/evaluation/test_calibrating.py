"""One temperature in the saved model: the same classes, other probabilities, and all files say so."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.calibrating import temperature_of
from keras_azure.models.ends import divide_logits
from keras_azure.models.saving import about_model


def calibrate(run, **settings):
    return keras_azure.evaluate(run, calibrate=True, **{"observer": Observer(), **settings})


def test_the_saved_model_is_calibrated_and_its_run_says_so(own_run, told):
    before = Answers.load(own_run / "predictions.npz")
    found = calibrate(own_run, observer=told)
    assert found.temperature is not None and found.answers is not None
    logits = np.log(before.given) / found.temperature
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(found.answers.given, expected, atol=1e-5)
    assert np.array_equal(found.answers.predicted, before.predicted)
    facts = json.loads((own_run / "metrics.json").read_text())
    assert facts["temperature"] == found.temperature == about_model(own_run / "model.keras")["temperature"]
    assert facts["test_loss"] == facts["test_metrics"]["loss"] == found.scores["loss"]
    assert np.array_equal(Answers.load(own_run / "predictions.npz").given, found.answers.given)
    assert any("calibration error goes from" in line for line in told.lines)
    again = keras_azure.evaluate(own_run, observer=Observer())
    assert (again.scores, again.temperature) == (found.scores, found.temperature)
    assert keras_azure.load(own_run).predict_pixels(np.zeros((1, 12, 10, 3))).shape == (1, 2)
    assert keras_azure.read_result(own_run).test_loss == found.scores["loss"]


def test_calibrated_again_it_is_what_it_was(own_run):
    first = calibrate(own_run)
    second = calibrate(own_run)
    assert second.temperature == pytest.approx(first.temperature, rel=0.01)
    assert second.scores["loss"] == pytest.approx(first.scores["loss"], rel=1e-3)


def test_thresholds_of_labels_mean_what_they_meant(own_labels_run):
    before = Answers.load(own_labels_run / "predictions.npz")
    found = calibrate(own_labels_run)
    assert found.answers is not None and found.temperature != 1
    assert found.answers.thresholds != before.thresholds
    assert np.array_equal(found.answers.predicted, before.predicted)
    assert json.loads((own_labels_run / "metrics.json").read_text())["thresholds"] == [*found.answers.thresholds]


def test_what_cannot_be_calibrated_is_refused_and_stays_as_it_is(runs, tmp_path):
    for kind, said in (
        ("regress", "gives no probabilities"),
        ("autoencoder", "gives no probabilities"),
        ("features", "cannot be calibrated: it is a classifier of scikit-learn"),
    ):
        folder = runs[kind].run_dir
        before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        with pytest.raises(UsageError, match=said):
            calibrate(folder)
        assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    with pytest.raises(UsageError, match="own validation images"):
        calibrate(runs["classify"].run_dir, data="digits")


@pytest.mark.parametrize("form", ["dense", "activation", "softmax", "nested", "sigmoid"])
def test_logits_are_divided_whatever_the_form_of_the_end(form):
    keras.utils.set_random_seed(0)
    end = {
        "dense": [layers.Dense(3, activation="softmax")],
        "activation": [layers.Dense(3), layers.Activation("softmax")],
        "softmax": [layers.Dense(3), layers.Softmax()],
        "sigmoid": [layers.Dense(3, activation="sigmoid")],
        "nested": [keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])],
    }[form]
    model = keras.Sequential([layers.Input((4,)), *end])
    values = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    before = np.log(model.predict(values, verbose=0))
    divide_logits(model, 2.0)
    after = np.log(model.predict(values, verbose=0))
    if form == "sigmoid":
        before, after = (each - np.log1p(-np.exp(each)) for each in (before, after))
        assert np.allclose(after, before / 2, atol=1e-5)
    else:
        spread = [each - each.mean(axis=1, keepdims=True) for each in (before, after)]
        assert np.allclose(spread[1], spread[0] / 2, atol=1e-5)


def test_images_that_are_all_right_tell_no_temperature():
    given = np.tile(np.array([[0.9, 0.1]], np.float32), (5, 1))
    answers = Answers("classify", ("a", "b"), given, np.zeros(5, np.int64), np.arange(5))
    with pytest.raises(UsageError, match="The 5 validation images, of which 0 are wrong"):
        temperature_of(answers, "model.keras")


def test_another_end_is_refused():
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax"), layers.Rescaling(2.0)])
    with pytest.raises(ValueError, match="does not end in a dense layer"):
        divide_logits(model, 2.0)
