"""Frozen backbones, features that are computed once, and stages, through whole runs on a small folder."""

import csv
import itertools
import json
import signal
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, RunInterrupted, UsageError
from keras_azure.models.parts import blocks_of, parts_of
from keras_azure.training.checkpoints import Checkpoints

SETTINGS = {"epochs": 2, "batch_size": 8, "tracking": False, "observer": Observer()}


@pytest.fixture(scope="module")
def all_checkpoints_kept():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_azure.training.checkpoints.KEPT", 100)
        yield


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """A network of four residual blocks, for pictures of 12x10, as a run would have left it."""
    keras.utils.set_random_seed(0)
    pixels = layers.Input((12, 10, 3))
    maps = layers.Rescaling(1 / 255)(pixels)
    maps = layers.Conv2D(6, 3, padding="same", name="stem")(maps)
    for block in range(4):
        branch = layers.BatchNormalization(name=f"normalization_{block}")(maps)
        branch = layers.Dropout(0.3)(
            layers.Conv2D(6, 3, padding="same", activation="elu", name=f"conv_{block}")(branch)
        )
        maps = layers.Add(name=f"add_{block}")([maps, branch])
    network = keras.Model(pixels, layers.GlobalAveragePooling2D()(maps), name="encoder")
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_mean.assign(np.linspace(0.1, 0.6, 6))
    path = tmp_path_factory.mktemp("encoder") / "encoder.keras"
    network.save(path)
    return path


@pytest.fixture(scope="module")
def model(encoder) -> str:
    return f"transfer(backbone='encoder', weights={str(encoder)!r}, head='mlp(units=8, dropout=0.3)')"


def run(model: str, picture_folder: Path, output: Path, **settings):
    return keras_azure.run(model, data=str(picture_folder), output=output, **SETTINGS | settings)


def weights_of(result) -> dict[str, np.ndarray]:
    return {weight.path: np.array(weight) for weight in result.model.weights}


def weights_after(result, epochs: int) -> dict[str, np.ndarray]:
    """The weights of the checkpoint after so many epochs, by the names that they have in the saved model."""
    checkpoint = Checkpoints(result.run_dir).load(f"epoch-{epochs:04}.npz")
    named = dict(zip([each.path for each in result.model.variables], checkpoint.values.groups["model"], strict=True))
    return {weight.path: named[weight.path] for weight in result.model.weights}


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    return {name for name, value in before.items() if not np.array_equal(value, after[name])}


def test_features_that_are_computed_once_train_the_same_head(model, picture_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))
    listener = Listener()
    cached = run(model, picture_folder, tmp_path / "cached", observer=listener)
    assert "Computing features" in listener.activities
    whole = run(model, picture_folder, tmp_path / "whole", cache="none", observer=(other := Listener()))
    assert "Computing features" not in other.activities
    found = weights_of(cached)
    for name, value in weights_of(whole).items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
    for ours, theirs in zip(cached.history, whole.history, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-5)
    assert cached.test_loss == pytest.approx(whole.test_loss, abs=1e-5)


def test_features_are_found_again_by_later_runs_until_something_changes(model, picture_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))

    def computed(name: str, **settings) -> bool:
        listener, chosen = Listener(), settings.pop("model", model)
        results.append(run(chosen, picture_folder, tmp_path / name, observer=listener, **settings))
        return "Computing features" in listener.activities

    results = []
    assert computed("first")
    assert not computed("second")
    assert results[1].history[0]["loss"] == results[0].history[0]["loss"]
    assert not computed("other head", model=model.replace("units=8", "units=4"))
    assert computed("in memory", cache="memory")
    assert computed("standardised", standardize="featurewise")  # other pixels reach the same weights
    for damaged in (tmp_path / "cache").rglob("pictures.raw"):
        content = bytearray(damaged.read_bytes())
        content[100] ^= 1
        damaged.write_bytes(content)
    assert computed("damaged")
    assert results[-1].history[0]["loss"] == results[0].history[0]["loss"]
    for number in (0, 1):  # one of them is trained on
        Image.fromarray(np.zeros((12, 10, 3), np.uint8)).save(picture_folder / "dark" / f"{number:02}.png")
    assert computed("other pictures")


class Listener(Observer):
    def __init__(self):
        self.activities = set()
        self.heard = []

    def message(self, text):
        self.heard.append(text)

    def advance(self, activity, done, total):
        self.activities.add(activity)


def test_with_augmentation_the_whole_model_runs_and_its_backbone_stays_to_the_bit(model, picture_folder, tmp_path):
    listener = Listener()
    result = run(model, picture_folder, tmp_path / "run", augment=["flip"], observer=listener)
    assert "Computing features" not in listener.activities
    head = {weight.path for weight in parts_of(result.model).head.weights}
    assert changed(weights_after(result, 1), weights_after(result, 2)) == head


FINE_TUNE = "blocks=1,epochs=2;blocks=3,epochs=1"


@pytest.fixture(scope="module")
def tuned(model, shared_pictures, tmp_path_factory, all_checkpoints_kept):
    folder = tmp_path_factory.mktemp("tuned") / "run"
    observer = Listener()
    result = run(model, shared_pictures, folder, fine_tune=FINE_TUNE, observer=observer)
    return shared_pictures, result, observer


def test_each_stage_changes_exactly_its_blocks_and_the_head(tuned):
    _, result, _ = tuned
    parts = parts_of(result.model)
    blocks = blocks_of(parts.backbone)
    head = {weight.path for weight in parts.head.weights}

    def learning(count: int) -> set[str]:
        """What the last blocks have to learn: all but batch normalisation."""
        return {
            weight.path
            for block in blocks[len(blocks) - count :]
            for layer in block
            for weight in layer.weights
            if not isinstance(layer, layers.BatchNormalization)
        }

    weights = [weights_after(result, epochs) for epochs in range(1, 6)]
    steps = [changed(*pair) for pair in itertools.pairwise(weights)]
    assert steps == [head, head | learning(1), head | learning(1), head | learning(3)]


def test_the_history_has_the_stages_and_their_learning_rates(tuned):
    _, result, observer = tuned
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4, 5]
    assert [row["stage"] for row in result.history] == [0, 0, 1, 1, 2]
    assert [row["stage_learning_rate"] for row in result.history] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5])
    assert [int(row["stage"]) for row in rows(result.run_dir)] == [0, 0, 1, 1, 2]
    stages = [text for text in observer.heard if text.startswith("Stage")]
    assert stages == [
        "Stage 0: training the head, with learning rate 0.001",
        "Stage 1: training the head and the last 1 of 4 blocks, with learning rate 0.0001",
        "Stage 2: training the head and the last 3 of 4 blocks, with learning rate 1e-05",
    ]


def test_the_learning_rate_goes_up_and_along_a_cosine_in_each_stage(tuned):
    _, result, _ = tuned
    rates = [row["learning_rate"] for row in result.history]
    assert 0 < rates[0] < 1e-3
    assert rates[1] == pytest.approx(0, abs=1e-9)
    assert 0 < rates[2] < 1e-4
    assert rates[3] == rates[4] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("epoch", [0, 1, 2, 3])
def test_a_run_that_is_stopped_in_any_stage_goes_on_to_the_same_end(model, tuned, tmp_path, epoch):
    pictures, result, _ = tuned

    class Stopper(Observer):
        def epoch_done(self, done, row):
            if done == epoch:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(RunInterrupted, match=f"{epoch + 1} of its 5 epochs are finished"):
        run(model, pictures, tmp_path / "run", fine_tune=FINE_TUNE, observer=Stopper())
    resumed = keras_azure.resume(tmp_path / "run", observer=Observer())
    times = ("seconds", "images_per_second")
    ours, theirs = (
        [{name: value for name, value in row.items() if name not in times} for row in each.history]
        for each in (resumed, result)
    )
    assert ours == theirs
    assert changed(weights_of(result), weights_of(resumed)) == set()


def test_a_stage_that_stops_early_makes_way_for_the_next(model, picture_folder, tmp_path):
    result = run(
        model,
        picture_folder,
        tmp_path / "run",
        fine_tune="blocks=1,epochs=1",
        epochs=50,
        early_stopping=1,
        learning_rate=1.0,  # so high that the validation loss soon rises
        optimizer="sgd",
        validation_split=0.3,
    )
    stages = [row["stage"] for row in result.history]
    assert len(stages) < 51
    assert stages[-1] == 1


def test_auto_fine_tunes_with_standardised_pixels_too(model, picture_folder, tmp_path):
    result = run(model, picture_folder, tmp_path / "run", fine_tune="auto", standardize="featurewise", epochs=1)
    assert [row["stage"] for row in result.history] == [0, 1, 2]
    assert json.loads((tmp_path / "run/metrics.json").read_text())["epochs"] == 3


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("cnn", r"'cnn' has no backbone"),
        (
            "transfer(backbone='mobilenetv3small', weights='none')",
            r"(?s)trained from the beginning.*trainable_blocks=0",
        ),
    ],
)
def test_what_has_nothing_frozen_cannot_be_fine_tuned(picture_folder, tmp_path, model, reason):
    with pytest.raises(UsageError, match=reason):
        run(model, picture_folder, tmp_path / "run", fine_tune="auto")
    assert not (tmp_path / "run").exists()


def test_features_that_do_not_fit_in_memory_are_refused_with_a_way_out(model, picture_folder, tmp_path, monkeypatch):
    def refuse(needed, what, hint=""):
        raise DataError(f"{what} needs {needed} bytes.", hint=hint)

    monkeypatch.setattr("keras_azure.training.data.require_memory", refuse)
    with pytest.raises(DataError, match=r"(?s)features of all pictures needs 456 bytes.*--cache none"):
        run(model, picture_folder, tmp_path / "run")
