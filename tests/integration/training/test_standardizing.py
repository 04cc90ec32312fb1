"""Standardised pixels: the statistics are exact, and the saved model brings them along."""

import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_azure
from keras_azure.data.digits import digits
from keras_azure.description.events import Observer
from keras_azure.errors import UnreadableFile
from keras_azure.training.standardizing import Statistics, measure, standardized

SETTINGS = {"epochs": 1, "tracking": False, "observer": Observer()}


def identity(shape) -> keras.Model:
    """What a model with a division by 255 sees of its pixels."""
    return keras.Sequential([keras.layers.Input(shape), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    channels=st.sampled_from([1, 3]),
)
def test_the_statistics_are_those_of_all_pixels(seed, sizes, channels):
    rng = np.random.default_rng(seed)
    batches = [rng.integers(0, rng.integers(1, 257), (size, 4, 6, channels), np.uint8) for size in sizes]
    found = measure([(batch, None) for batch in batches], sum(sizes), Observer())
    pixels = np.concatenate(batches).reshape(-1, channels).astype(np.float64)
    np.testing.assert_allclose(found.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.variance, pixels.var(axis=0), rtol=1e-9, atol=1e-9)
    assert found.pictures == sum(sizes)


def test_featurewise_pixels_have_mean_0_and_deviation_1():
    pictures = np.random.default_rng(0).integers(40, 200, (50, 6, 5, 3), np.uint8)
    statistics = measure([(pictures, None)], 50, Observer())
    out = np.asarray(standardized(identity((6, 5, 3)), "featurewise", statistics)(pictures)).reshape(-1, 3)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=1e-5)


def test_samplewise_each_picture_has_mean_0_and_deviation_1():
    rng = np.random.default_rng(0)
    pictures = np.stack([rng.integers(low, low + 60, (6, 5, 3), np.uint8) for low in (0, 90, 190)])
    out = np.asarray(standardized(identity((6, 5, 3)), "samplewise", None)(pictures)).reshape(3, -1)
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=1), 1, atol=1e-4)


@pytest.mark.parametrize("how", ["featurewise", "samplewise"])
def test_pictures_of_one_level_stay_finite(how):
    pictures = np.full((4, 6, 5, 1), 130, np.uint8)
    statistics = measure([(pictures, None)], 4, Observer())
    assert np.all(np.asarray(standardized(identity((6, 5, 1)), how, statistics)(pictures)) == 0)


@pytest.mark.parametrize("how", ["featurewise", "samplewise"])
def test_a_run_saves_a_model_that_takes_raw_pixels(tmp_path, how):
    result = keras_azure.run("cnn", standardize=how, output=tmp_path / "run", **SETTINGS)
    assert result.test_accuracy > 0.5
    # Loaded by Keras alone: all layers are its own.
    model = keras.saving.load_model(result.run_dir / "model.keras", safe_mode=True)
    pictures, labels = digits().arrays("test")
    accuracy = (model.predict(pictures, verbose=0).argmax(axis=1) == labels).mean()
    assert result.test_accuracy == pytest.approx(accuracy)
    assert (result.run_dir / "standardization.json").exists() == (how == "featurewise")


def test_the_statistics_are_of_the_training_pictures_alone_and_kept_with_the_run(tmp_path):
    result = keras_azure.run("cnn", standardize="featurewise", output=tmp_path / "run", **SETTINGS)
    kept = json.loads((result.run_dir / "standardization.json").read_text())
    assert kept["pictures"] == 1293  # of 1437, a tenth is held out
    assert Statistics.load(result.run_dir).mean == tuple(kept["mean"])
    whole = digits().arrays("train")[0]
    assert kept["mean"][0] == pytest.approx(whole.mean(), rel=0.02)
    layer = result.model.get_layer("standardize")
    assert float(np.ravel(layer.mean)[0]) == pytest.approx(kept["mean"][0], rel=1e-6)


def test_a_picture_that_cannot_be_measured_is_named(picture_folder, tmp_path):
    broken = next(picture_folder.rglob("*.png"))
    broken.write_bytes(broken.read_bytes()[:60])  # its header is whole
    with pytest.raises(UnreadableFile, match=broken.name):
        keras_azure.run(
            "cnn",
            data=str(picture_folder),
            cache="none",
            standardize="featurewise",
            output=tmp_path / "run",
            **SETTINGS,
        )


def test_counting_is_reported():
    heard = []

    class Listener(Observer):
        def advance(self, activity, done, total):
            heard.append((activity, done, total))

    batches = [(np.zeros((size, 2, 2, 1), np.uint8), None) for size in (4, 4, 2)]
    measure(batches, 10, Listener())
    assert heard == [("Measuring pixels", done, 10) for done in (4, 8, 10)]
