"""Runs with augmentations: on the host or in the step they are the same run, which can be stopped and gone on with."""

import json

import keras
import numpy as np
import pytest

import keras_azure
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.engines import steps_of
from keras_azure.errors import RunInterrupted, UsageError, WrongOption
from keras_azure.training.compiling import build_model, build_optimizer, compile_model
from keras_azure.training.data import open_data
from keras_azure.training.placement import augmenting_model, faster_place, place_augmentations

SETTINGS = {"epochs": 2, "batch_size": 64, "tracking": False, "observer": Observer(), "backend": "local-cpu"}
ENTRIES = {"augmentations": "theirs = keras.layers:RandomBrightness"}
THEIRS = "theirs(factor=0.2)"


def losses(result) -> list[tuple[float, float]]:
    return [(row["loss"], row["val_loss"]) for row in result.history]


def facts(result) -> dict:
    return json.loads((result.run_dir / "metrics.json").read_text())


@pytest.mark.parametrize("augment", [["chapter"], ["light", "mixup"]])
def test_on_the_host_or_on_the_device_it_is_the_same_run(tmp_path, augment):
    results = {
        place: keras_azure.run("cnn", augment=augment, augment_on=place, output=tmp_path / place, **SETTINGS)
        for place in ("host", "device")
    }
    assert {place: facts(result)["augment_on"] for place, result in results.items()} == {
        "host": "host",
        "device": "device",
    }
    np.testing.assert_allclose(*map(losses, results.values()), rtol=1e-4)  # other kernels around the same pictures
    for result in results.values():  # the saved model takes plain pictures, wherever it was trained
        assert result.model.input_shape == (None, 28, 28, 1)
        assert result.model.layers[0].name == "scale"


def test_augmented_training_differs_from_plain_training_and_repeats_itself(tmp_path):
    plain = keras_azure.run("cnn", output=tmp_path / "plain", **SETTINGS)
    one, other = (
        keras_azure.run("cnn", augment="light", output=tmp_path / name, **SETTINGS) for name in ("one", "other")
    )
    assert losses(one) == losses(other) != losses(plain)
    assert (one.run_dir / "model.keras").read_bytes() == (other.run_dir / "model.keras").read_bytes()


def test_no_augmentation_is_the_recipe_none(tmp_path):
    plain = keras_azure.run("cnn", output=tmp_path / "plain", **SETTINGS)
    none = keras_azure.run("cnn", augment=["none"], output=tmp_path / "none", **SETTINGS)
    assert losses(plain) == losses(none)
    assert facts(none)["augment_on"] is None


@pytest.mark.parametrize("place", ["host", "device"])
def test_a_stopped_run_goes_on_with_the_same_pictures(tmp_path, place):
    settings = SETTINGS | {"epochs": 3, "augment": ["chapter", "mixup"], "augment_on": place}
    whole = keras_azure.run("cnn(dropout=0.2)", output=tmp_path / "whole", **settings)

    class Stopper(Observer):
        def epoch_done(self, epoch, row):
            if epoch == 0:
                raise KeyboardInterrupt

    with pytest.raises(RunInterrupted):
        keras_azure.run("cnn(dropout=0.2)", output=tmp_path / "stopped", **settings | {"observer": Stopper()})
    resumed = keras_azure.resume(tmp_path / "stopped", observer=Observer())
    assert losses(resumed) == losses(whole)


def test_the_trial_of_both_places_leaves_no_trace():
    config = RunConfig(model="cnn(dropout=0.2)", augment=("chapter",), batch_size=8).resolved()
    data = open_data(config, Observer())
    model = build_model(config, data.dataset)
    compile_model(model, config, "cpu:0", build_optimizer(config, 0.001, 100))
    candidates = {
        "host": (steps_of(model), data.train_batches(0, 10, "host")),
        "device": (steps_of(augmenting_model(model, data, config, "cpu:0")), data.train_batches(0, 10, "device")),
    }
    before = [np.array(variable) for variable in model.variables]
    place, seconds = faster_place(candidates)
    assert place == min(seconds, key=seconds.get)
    assert all(value > 0 for value in seconds.values())
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)
    assert int(model.optimizer.iterations) == 0
    assert all(np.all(np.array(variable) == 0) for variable in model.optimizer.variables[2:])  # Adam's momenta


def test_auto_tries_both_places_where_there_is_a_gpu_and_says_what_it_found():
    heard = []

    class Listener(Observer):
        def message(self, text):
            heard.append(text)

    config = RunConfig(model="cnn", augment=("chapter",), batch_size=8).resolved()
    data = open_data(config, Observer())
    model = build_model(config, data.dataset)
    compile_model(model, config, "cpu:0", build_optimizer(config, 0.001, 100))
    place, steps = place_augmentations(model, data, config, "gpu:0", (0, 10), Listener())
    assert (steps.model is model) == (place == "host")
    assert any(text.startswith(f"Augmenting on the {place}; a step took: host ") for text in heard)
    place, steps = place_augmentations(model, data, config, "cpu:0", (0, 10), Listener())
    assert (place, steps.model) == ("host", model)


def test_the_device_does_what_is_behind_another_packages_augmentation(install_plugin, tmp_path):
    install_plugin("some-augmentations", ENTRIES)
    augment = ["rotate", THEIRS, "shift"]
    results = [
        keras_azure.run("cnn", augment=augment, augment_on=place, output=tmp_path / place, **SETTINGS)
        for place in ("host", "device")
    ]
    np.testing.assert_allclose(*map(losses, results), rtol=1e-4)


def test_what_the_device_cannot_do_is_said(install_plugin, tmp_path):
    install_plugin("some-augmentations", ENTRIES)
    with pytest.raises(UsageError, match=r"(?s)theirs.*host only.*--augment-on host"):
        keras_azure.run("cnn", augment=["rotate", THEIRS], augment_on="device", output=tmp_path / "run", **SETTINGS)


def test_wrong_augmentations_leave_nothing_behind(tmp_path):
    with pytest.raises(WrongOption, match=r"(?s)degrees=-3.*from 0 to 360"):
        keras_azure.run("cnn", augment=["rotate(degrees=-3)"], output=tmp_path / "run", **SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_pictures_on_the_disk_train_as_those_in_memory(picture_folder, tmp_path):
    settings = SETTINGS | {"data": str(picture_folder), "augment": "chapter"}
    results = {
        cache: keras_azure.run("cnn", cache=cache, output=tmp_path / cache, **settings)
        for cache in ("memory", "disk", "none", "auto")
    }
    assert len({tuple(losses(result)) for result in results.values()}) == 1
    assert keras.config.floatx() == "float32"


def test_a_data_set_that_does_not_say_what_is_in_it_is_not_kept_on_the_disk(install_plugin, tmp_path):
    code = """
        import numpy as np

        class Gray:
            class_names, image_shape, split_sizes, description = "ab", (8, 8, 1), {"train": 8, "test": 4}, "gray"
            def read(self, split, index):
                return np.full((8, 8, 1), index, np.uint8), index % 2
    """
    install_plugin("gray-data", {"datasets": "gray = gray_data:Gray"}, code)
    with pytest.raises(keras_azure.KerasAzureError, match=r"(?s)gray cannot be kept on the disk.*--cache memory"):
        keras_azure.run("cnn", data="gray", cache="disk", output=tmp_path / "run", **SETTINGS)
    assert keras_azure.run("cnn", data="gray", output=tmp_path / "run", **SETTINGS).epochs == 2
