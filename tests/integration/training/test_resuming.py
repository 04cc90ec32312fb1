"""Runs that fail under way, and go on when it is mended; in one process, so that it is quick."""

import itertools
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

import keras_azure
from keras_azure.data.encoded import EncodedDataset
from keras_azure.data.images import DECODING
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, RunFailed, RunInterrupted, UnreadableFile

TIMES = ("seconds", "images_per_second")
SETTINGS = {"epochs": 3, "batch_size": 4, "tracking": False}


class Listener(Observer):
    """Remembers what is said, and where training began."""

    def __init__(self):
        self.heard: list[str] = []

    def message(self, text):
        self.heard.append(text)

    def training_started(self, facts):
        self.began_after = (facts.first_epoch, facts.first_step)


class After(Listener):
    """Does something once, after an epoch."""

    def __init__(self, epoch: int, action):
        super().__init__()
        self.epoch, self.action = epoch, action

    def epoch_done(self, epoch, row):
        if epoch + 1 == self.epoch:
            self.action()


def history(result) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in TIMES} for row in result.history]


def assert_same(result, other) -> None:
    assert history(result) == history(other)
    assert (result.run_dir / "model.keras").read_bytes() == (other.run_dir / "model.keras").read_bytes()
    assert result.test_metrics == other.test_metrics


def run(model: str, folder: Path, observer: Observer | None = None, **settings):
    return keras_azure.run(model, output=folder, observer=observer or Observer(), **SETTINGS | settings)


def test_a_picture_that_goes_between_epochs_stops_the_run_which_goes_on_when_it_is_back(
    picture_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("keras_azure.pipeline.BYTES_AT_ONCE", 1)
    monkeypatch.setattr("keras_azure.pipeline._STEPS_AHEAD", (1, 1))  # else all is read before the first epoch ends
    settings = {"data": str(picture_folder), "cache": "none"}
    whole = run("cnn", tmp_path / "whole", **settings)
    lost, kept = picture_folder / "dark", tmp_path / "kept"
    observer = After(1, lambda: lost.rename(kept))
    with pytest.raises(UnreadableFile, match=r"dark/\d+\.png cannot be read: no such file"):
        run("cnn", tmp_path / "run", observer, **settings)
    assert f"kept; when this is mended: kaz resume {tmp_path / 'run'}" in observer.heard[-1]
    assert "1 of its 3 epochs" in observer.heard[-1]
    # Some are back: it would go on with other data, and does not.
    kept.rename(lost)
    (lost / "11.png").rename(kept)
    with pytest.raises(DataError, match=r"(?s)not what the run in .* began with: split sizes .* then, .* now"):
        keras_azure.resume(tmp_path / "run", observer=Observer())
    kept.rename(lost / "11.png")
    listener = Listener()
    assert_same(keras_azure.resume(tmp_path / "run", observer=listener), whole)
    assert not any("decoded otherwise" in text or "older version" in text for text in listener.heard)


@pytest.mark.parametrize("then", ["3 with other decoders", None])
def test_a_run_whose_images_were_decoded_otherwise_goes_on_and_says_so(picture_folder, tmp_path, monkeypatch, then):
    """None: by a version that did not keep how they were decoded."""

    def stop():
        raise KeyboardInterrupt

    with monkeypatch.context() as older:
        if then is None:
            older.delattr(EncodedDataset, "decoding")
        else:
            older.setattr(EncodedDataset, "decoding", then)
        with pytest.raises(RunInterrupted):
            run("cnn", tmp_path / "run", After(1, stop), data=str(picture_folder))
    listener = Listener()
    assert keras_azure.resume(tmp_path / "run", observer=listener).epochs == 3
    (said,) = [text for text in listener.heard if "It goes on with what they are now." in text]
    assert f"{then} then, {DECODING} now" in said if then else "began with an older version of keras_azure" in said


HUNGRY = """
    import itertools
    import os
    import numpy as np

    class Hungry:
        class_names, split_sizes, image_shape = ("a", "b"), {"train": 1000, "test": 10}, (8, 8, 1)
        description = "hungry"

        def __init__(self):
            self.times = itertools.count()

        def read(self, split, index):
            if next(self.times) > 1700 and "HUNGRY" in os.environ:  # in the second epoch
                np.ones((1 << 50,))
            return np.full((8, 8, 1), index % 256, np.uint8), index % 2

    def hungry():
        return Hungry()
"""


def test_too_little_memory_in_the_pipeline_is_said_and_the_run_goes_on_with_more(install_plugin, tmp_path, monkeypatch):
    install_plugin("hungry", {"datasets": "hungry = hungry:hungry"}, HUNGRY)
    settings = {"data": "hungry", "cache": "none"}
    whole = run("cnn(filters=(2,))", tmp_path / "whole", **settings)
    monkeypatch.setenv("HUNGRY", "1")
    listener = Listener()
    with pytest.raises(DataError, match=r"(?s)not enough memory to read the sample \d+ of.*--batch-size"):
        run("cnn(filters=(2,))", tmp_path / "run", listener, **settings)
    assert "1 of its 3 epochs" in listener.heard[-1]
    monkeypatch.delenv("HUNGRY")
    assert_same(keras_azure.resume(tmp_path / "run", observer=Observer()), whole)


def test_a_best_epoch_that_cannot_be_had_any_more_is_trained_again(tmp_path):
    settings = {"keep": "best", "data": "digits", "batch_size": 64, "learning_rate": 0.1, "epochs": 4}
    whole = run("cnn(filters=(4,))", tmp_path / "whole", **settings)
    best = min(whole.history, key=lambda row: row["val_loss"])["epoch"]
    assert best < 3, "the test needs a best epoch whose checkpoint is not among the newest"
    folder = tmp_path / "run"

    def damage():
        (folder / "checkpoints" / f"epoch-{best:04d}.npz").write_bytes(b"")
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(RunInterrupted):
        run("cnn(filters=(4,))", folder, After(3, damage), **settings)
    listener = Listener()
    resumed = keras_azure.resume(folder, observer=listener)
    assert listener.began_after <= (best, 0)
    assert_same(resumed, whole)


def test_a_run_goes_on_without_the_file_that_its_weights_came_from(tmp_path):
    donor = run("cnn(filters=(2,))", tmp_path / "donor", epochs=1, batch_size=64).run_dir
    model = f"cnn(filters=(2,), weights='{donor}')"
    whole = run(model, tmp_path / "whole", batch_size=64)
    stop = After(1, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(RunInterrupted):
        run(model, tmp_path / "run", stop, batch_size=64)
    donor.rename(tmp_path / "moved")
    resumed = keras_azure.resume(tmp_path / "run", observer=Observer())
    assert_same(resumed, whole)


def test_an_interval_in_time_makes_checkpoints_within_epochs(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_azure.training.checkpoints.KEPT", 1000)
    monkeypatch.setattr("keras_azure.training.loop.CALL_SECONDS", 0.0)  # one step a call
    clock = SimpleNamespace(perf_counter=itertools.count(step=0.05).__next__)  # each look at it is 0.05 s later
    monkeypatch.setattr("keras_azure.training.writer.time", clock)
    folder = tmp_path / "run"
    run("cnn(filters=(2,))", folder, checkpoint_every="1s", epochs=1, batch_size=16)  # 81 steps
    steps = [int(path.stem.rpartition("-")[2]) for path in sorted((folder / "checkpoints").glob("*-step-*"))]
    assert len(steps) in (3, 4)
    assert all(18 <= later - earlier <= 21 for earlier, later in itertools.pairwise([0, *steps]))


def test_the_step_of_a_loss_that_is_not_a_number_is_named_with_its_pictures(install_plugin, tmp_path):
    """One picture alone is so bright that the loss of its step is none."""
    code = """
        import keras
        from keras import layers, ops
        import numpy as np
        from keras_azure import ArrayDataset

        @keras.saving.register_keras_serializable("fragile")
        class Fragile(layers.Layer):
            def call(self, inputs):
                return inputs / ops.cast(ops.max(inputs) < 255, "float32")  # 0 / 0 in the dark corners

        def fragile(input_shape, num_classes):
            return keras.Sequential([
                layers.Input(input_shape), Fragile(), layers.Flatten(), layers.Dense(num_classes, "softmax")
            ])

        def one_bright():
            pictures = np.full((40, 4, 4, 1), 100, np.uint8)
            pictures[:, 0, 0] = 0
            pictures[17, 1, 1] = 255
            labels = np.arange(40) % 2
            return ArrayDataset(("a", "b"), {"train": (pictures, labels), "test": (pictures, labels)}, "one bright")
    """
    entry_points = {"models": "fragile = fragile:fragile", "datasets": "one_bright = fragile:one_bright"}
    install_plugin("fragile", entry_points, code)
    with pytest.raises(RunFailed) as failed:
        run("fragile", tmp_path / "run", data="one_bright", validation_split=0, learning_rate=0.0625)
    message = str(failed.value)
    assert "The loss became nan in step" in message
    assert "of epoch 1, at the learning rate 0.0625;" in message
    named = message.partition("training split: ")[2].partition(".")[0]
    indices = [int(text) for text in named.split(", ")]
    assert 17 in indices
    assert len(indices) == 4


ON_JAX = """
import signal, sys
from pathlib import Path
import keras_azure
from keras_azure.errors import RunInterrupted
from keras_azure.description.events import Observer

class Stop(Observer):
    def step_done(self, step, logs):
        if step >= 12:
            signal.raise_signal(signal.SIGINT)

folder = Path(sys.argv[1])
settings = {"epochs": 2, "batch_size": 64, "tracking": False, "checkpoint_every": "5steps"}
whole = keras_azure.run("cnn(filters=(4,), dropout=0.3)", output=folder / "whole", observer=Observer(), **settings)
try:
    keras_azure.run("cnn(filters=(4,), dropout=0.3)", output=folder / "run", observer=Stop(), **settings)
except RunInterrupted:
    resumed = keras_azure.resume(folder / "run", observer=Observer())
assert [row["loss"] for row in resumed.history] == [row["loss"] for row in whole.history]
assert [row["accuracy"] for row in resumed.history] == [row["accuracy"] for row in whole.history]
models = [(each.run_dir / "model.keras").read_bytes() for each in (whole, resumed)]
assert models[0] == models[1]
print("the same")
"""


@pytest.mark.slow
def test_a_run_on_jax_goes_on_within_an_epoch(loaded_python_on_jax, tmp_path):
    command = [*loaded_python_on_jax, "-c", ON_JAX, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.stdout == "the same\n", done.stderr


@pytest.mark.parametrize("name", ["checkpoints", "plots"])
def test_nothing_of_a_run_is_written_through_a_link(tmp_path, name):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    observer = After(1, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(RunInterrupted):
        run("cnn(filters=(2,))", folder, observer, batch_size=64)
    if (folder / name).exists():
        (folder / name).rename(tmp_path / "moved")
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(RunFailed, match=f"{name} is a link, and nothing is written through it"):
        keras_azure.resume(folder, observer=Observer())
    assert list(elsewhere.iterdir()) == []
