"""Arrays and `tf.data.Dataset`s in whole runs, and in place of a folder of the same images."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_azure
from keras_azure.data import open_dataset
from keras_azure.description.config import describe_run
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, RunInterrupted, UsageError

FAST = {"epochs": 2, "batch_size": 8, "tracking": False}
RNG = np.random.default_rng(0)
NAMES = np.array(["ant", "bee"])
Y = np.repeat([0, 1], 15)
X = (RNG.integers(0, 120, (30, 12, 10, 3)) + 120 * Y[:, None, None, None]).astype(np.uint8)


class Stopper(Observer):
    def epoch_done(self, epoch, row):
        raise KeyboardInterrupt


def fails_on_the_second_class(image, label):
    return image, tf.debugging.check_numerics(1 / (2 - label), "too large")


def write_folder(folder):
    for number, (image, label) in enumerate(zip(X, Y, strict=True)):
        (folder / NAMES[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / NAMES[label] / f"{number:02}.png")
    return folder


def model_of(result):
    return (result.run_dir / "model.keras").read_bytes()


def run(data, folder, **settings):
    return keras_azure.run("cnn", data=data, output=folder, observer=Observer(), **FAST | settings)


@pytest.fixture(scope="module")
def from_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("folder")
    return run(write_folder(place / "data"), place / "run")


def test_arrays_train_as_a_folder_of_the_same_images(from_folder, tmp_path):
    result = run((X, NAMES[Y]), tmp_path / "run")
    assert model_of(result) == model_of(from_folder)
    assert result.test_metrics == from_folder.test_metrics


def test_an_npz_file_trains_as_a_folder_of_the_same_images(from_folder, tmp_path):
    np.savez(tmp_path / "data.npz", x=X / 255, y=NAMES[Y])
    assert model_of(run(tmp_path / "data.npz", tmp_path / "run")) == model_of(from_folder)


def test_streams_train_as_a_folder_of_the_same_images(from_folder, tmp_path):
    stream = tf.data.Dataset.from_tensor_slices((X, NAMES[Y])).batch(7)
    result = run(stream, tmp_path / "run")
    assert model_of(result) == model_of(from_folder)
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert described["data"] == "<arrays:train (None, 12, 10, 3) uint8 and (None,) text>"


@pytest.mark.parametrize(
    "stream",
    [
        tf.data.Dataset.from_tensor_slices((X, Y)),
        tf.data.Dataset.from_tensor_slices((X, Y)).batch(4),
        tf.data.Dataset.from_tensor_slices((X, np.eye(2)[Y])),
        tf.data.Dataset.from_tensor_slices((X, np.eye(2)[Y])).batch(4),
        tf.data.Dataset.from_tensor_slices((X / 255, Y)).batch(4, drop_remainder=False),
    ],
)
def test_streams_batched_or_not(stream):
    dataset = open_dataset(describe_run("cnn", None, {"data": (stream, stream)}).data, Observer())
    for split in ("train", "test"):
        images, labels = dataset.arrays(split)
        assert np.array_equal(images, X)
        assert np.array_equal(labels, Y)


@pytest.mark.parametrize("batched", [False, True])
def test_streams_of_gray_images_without_a_channel(batched):
    stream = tf.data.Dataset.from_tensor_slices((X[..., 0], Y))
    stream = stream.batch(4) if batched else stream
    dataset = open_dataset(describe_run("cnn", None, {"data": (stream, stream)}).data, Observer())
    assert np.array_equal(dataset.arrays("train")[0], X[..., :1])


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (tf.data.Dataset.from_tensor_slices(X), "has elements of type ndarray"),
        (tf.data.Dataset.from_tensor_slices((X, Y, Y)), "has elements of 3 parts"),
        (tf.data.Dataset.from_tensor_slices((X, Y)).repeat(), "never ends"),
        (tf.data.Dataset.from_tensor_slices((X, Y)).take(0), "is empty"),
        (tf.data.Dataset.from_tensor_slices((Y, Y)), r"images \(\) and labels \(\)"),
        (
            tf.data.Dataset.from_tensor_slices((X, np.float32(Y) / 0.5)).map(fails_on_the_second_class),
            "cannot be read: InvalidArgumentError",
        ),
    ],
)
def test_streams_that_are_refused(stream, message):
    with pytest.raises(DataError, match=message):
        open_dataset(describe_run("cnn", None, {"data": stream}).data, Observer())


def test_a_run_goes_on_with_the_same_arrays_and_no_others(from_folder, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(RunInterrupted):
        keras_azure.run("cnn", data=(X, NAMES[Y]), output=folder, observer=Stopper(), **FAST)
    with pytest.raises(UsageError, match=r"was given objects of a Python program, .*<arrays:train \(30, 12"):
        keras_azure.resume(folder)
    with pytest.raises(DataError, match="its images, their labels or their order are others"):
        run((X[::-1], NAMES[Y][::-1]), folder)
    assert model_of(run((X, NAMES[Y]), folder)) == model_of(from_folder)


def test_a_cluster_is_refused_and_the_alternative_named():
    for act in (keras_azure.submit, keras_azure.run, keras_azure.dry_run):
        with pytest.raises(
            UsageError, match="is in the memory of this program, which no node of azure-nc6 has"
        ) as caught:
            act("cnn", data=(X, Y), backend="azure-nc6")
        assert "numpy.savez('data.npz'" in caught.value.hint


def test_a_preview_and_a_plan_of_arrays():
    assert keras_azure.preview((X, Y), augment="flip", samples=2, draws=2, observer=Observer())
    plan = keras_azure.plan("cnn", data=(X, Y), backend="local", observer=Observer())
    assert plan["data"].startswith("<arrays:")
