"""Checkpoint files: whole or refused, found in order, and read without running anything."""

import json
import math
import os
import threading

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_azure.description.events import Observer
from keras_azure.engines.variables import hold_values
from keras_azure.errors import DamagedCheckpoint, RunFailed
from keras_azure.training import checkpoints as checkpoints_module
from keras_azure.training.checkpoints import Checkpoints, State, Values
from keras_azure.training.writer import CheckpointWriter

VARIABLES = {
    "model": [keras.Variable(np.arange(12.0).reshape(3, 4)), keras.Variable(np.array([7, 9, 11]), dtype="uint32")],
    "optimizer": [keras.Variable(np.array(3), dtype="int64"), keras.Variable(np.full((2, 3), 0.5))],
    "metrics": [keras.Variable(np.array(0.25))],
}
VALUES = Values.of({name: hold_values(group) for name, group in VARIABLES.items()})


class Listener(Observer):
    def __init__(self):
        self.heard = []

    def message(self, text):
        self.heard.append(text)


def state(epochs: int, step: int = 0, losses: tuple[float, ...] = ()) -> State:
    losses = losses or tuple(1 / epoch for epoch in range(1, epochs + 1))
    rows = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, start=1)]
    return State(epochs=epochs, step=step, history=rows, data={"class_names": ["a", "b"]}, elapsed=1.5)


def same(values: Values) -> bool:
    return all(
        np.array_equal(one, np.asarray(other)) and one.dtype == np.asarray(other).dtype
        for name, group in VARIABLES.items()
        for one, other in zip(values.groups[name], group, strict=True)
    )


def test_what_is_saved_is_loaded(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    saved = State(2, 5, 1, [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": math.inf}], {"loss": 0.3}, 7, 0.1)
    checkpoints.save(saved, VALUES)
    loaded = checkpoints.load("epoch-0002-step-000005.npz")
    assert loaded.state == saved
    assert same(loaded.values)


def test_the_newest_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    losses = (0.5, 0.1, 0.4, 0.3)
    for epochs in range(1, 5):
        checkpoints.save(state(epochs, losses=losses[:epochs]), VALUES)
        checkpoints.save(state(epochs, 100, losses=losses[:epochs]), VALUES)
    assert checkpoints.names() == ["epoch-0002.npz", "epoch-0004.npz", "epoch-0004-step-000100.npz"]


@pytest.mark.parametrize("keep_best", [False, True])
def test_the_newest_sound_one_is_found_and_a_message_tells_of_others(tmp_path, monkeypatch, keep_best):
    monkeypatch.setattr(checkpoints_module, "KEPT", 10)
    checkpoints, listener = Checkpoints(tmp_path), Listener()
    for place in ((1, 0), (2, 0), (2, 100), (3, 0)):
        checkpoints.save(state(*place, losses=(0.1, 0.5, 0.4)[: place[0]]), VALUES)
    (tmp_path / "checkpoints/epoch-0003.npz").write_bytes(b"half a file")
    assert checkpoints.newest(listener, keep_best).state.name == "epoch-0002-step-000100.npz"
    assert len(listener.heard) == 1
    assert "Skipping the checkpoint epoch-0003.npz" in listener.heard[0]
    # Where the best epoch's model is to be kept, one that cannot be had makes the others useless.
    (tmp_path / "checkpoints/epoch-0001.npz").unlink()
    found = checkpoints.newest(Listener(), keep_best)
    assert found is None if keep_best else found.state.epochs == 2


def test_files_under_another_name_and_leftovers_are_no_checkpoints(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state(1), VALUES)
    folder = tmp_path / "checkpoints"
    (folder / "epoch-0001.npz").rename(folder / "epoch-0009.npz")
    (folder / ".epoch-0002-77.npz").write_bytes(b"half")
    (folder / "epoch-2.npz").write_bytes(b"")
    listener = Listener()
    assert checkpoints.newest(listener, False) is None
    assert "epoch-0001.npz under another name" in listener.heard[0]
    assert not (folder / ".epoch-0002-77.npz").exists()


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("sound")
    Checkpoints(folder).save(state(1), VALUES)
    return (folder / "checkpoints/epoch-0001.npz").read_bytes()


@settings(deadline=None, max_examples=300)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_changes_nothing(content, tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("flipped")
    (folder / "checkpoints").mkdir()
    changed = bytearray(content)
    changed[place % len(content)] ^= 1 << bit
    (folder / "checkpoints/epoch-0001.npz").write_bytes(changed)
    try:
        loaded = Checkpoints(folder).load("epoch-0001.npz")
    except DamagedCheckpoint:
        return
    assert loaded.state == state(1)
    assert same(loaded.values)


@pytest.mark.parametrize("length", [0, 1, 100, -1, -30])
def test_half_a_file_is_found(content, tmp_path, length):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/epoch-0001.npz").write_bytes(content[:length])
    with pytest.raises(DamagedCheckpoint, match="cannot be used: it is damaged"):
        Checkpoints(tmp_path).load("epoch-0001.npz")


def as_text(**values: object) -> np.ndarray:
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


STATE = {"epochs": 0, "step": 1, "history": [], "data": {}}
MADE = {
    "state": as_text(**STATE),
    "forms": as_text(model=[[[2], "float32"]], optimizer=[], metrics=[]),
    "values": np.zeros(8, np.uint8),
}
NAME = "epoch-0000-step-000001.npz"


@pytest.mark.parametrize(
    "entries",
    [
        {"values": np.array([print], dtype=object)},  # which would be a pickle
        {"values": np.zeros(7, np.uint8)},
        {"values": np.zeros(8)},
        {"state": np.array("{")},
        {"forms": as_text(model=[])},
        *({"forms": as_text(model=[form], optimizer=[], metrics=[])} for form in [
            7, [[2], "float33"], [[2], "object"], [[-2], "float32"], [[2.0], "float32"], [[True], "float64"], [[2]],
            [[1 << 60], "uint8"],
        ]),
        *({"state": as_text(**STATE | {name: value})} for name, value in [
            ("step", -1), ("step", True), ("step", "1"), ("epochs", 1), ("history", 7), ("history", [{"epoch": 1}]),
            ("stage", None), ("elapsed", "long"), ("train_logs", [1]), ("train_logs", {"loss": "small"}),
            ("tracking", "there"), ("data", None), ("unknown", 1),
            ("callbacks", []), ("callbacks", {"one": {"array": 0}}), ("callbacks", {"one": {"array": -1}}),
            ("callbacks", {"one": {"dict": 7}}), ("callbacks", {"one": {"other": {}}}), ("callbacks", {"one": [{}]}),
        ]),
    ],
)  # fmt: skip
def test_what_somebody_else_made_is_refused(tmp_path, entries):
    (tmp_path / "checkpoints").mkdir()
    np.savez(tmp_path / "checkpoints" / NAME, **MADE)
    assert Checkpoints(tmp_path).load(NAME).state.step == 1
    np.savez(tmp_path / "checkpoints" / NAME, **MADE | entries)
    with pytest.raises(DamagedCheckpoint):
        Checkpoints(tmp_path).load(NAME)


def test_what_unpacks_to_more_than_it_is_is_refused(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    np.savez_compressed(tmp_path / "checkpoints" / NAME, **MADE | {"values": np.zeros(10_000_000, np.uint8)})
    with pytest.raises(DamagedCheckpoint, match="it is compressed"):
        Checkpoints(tmp_path).load(NAME)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state(1), VALUES)
    loaded = checkpoints.load("epoch-0001.npz")
    variables = [keras.Variable(np.zeros((3, 5), np.float32)), keras.Variable(np.zeros(2, np.uint32))]
    with pytest.raises(RunFailed, match="does not fit the model"):
        loaded.restore("model", variables)


def test_nothing_is_written_through_a_link(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "checkpoints").symlink_to(elsewhere)
    with pytest.raises(RunFailed, match="is a link"):
        Checkpoints(run_dir).save(state(1), VALUES)
    assert list(elsewhere.iterdir()) == []


def test_old_files_are_written_over_but_not_under_other_names(tmp_path):
    checkpoints, folder = Checkpoints(tmp_path), tmp_path / "checkpoints"
    for epochs in (1, 2):
        checkpoints.save(state(epochs, losses=(0.1,) * epochs), VALUES)
    (tmp_path / "backup.npz").hardlink_to(folder / "epoch-0002.npz")
    backup = (tmp_path / "backup.npz").read_bytes()
    inode = None
    for step in range(1, 6):
        checkpoints.save(state(2, step, losses=(0.1, 0.2)), VALUES)
        assert same(checkpoints.load(f"epoch-0002-step-{step:06d}.npz").values)
        spare = folder / ".spare.npz"
        assert (inode is None) or (folder / f"epoch-0002-step-{step:06d}.npz").stat().st_ino == inode
        inode = spare.stat().st_ino if spare.exists() else None
    assert inode is not None
    assert (tmp_path / "backup.npz").read_bytes() == backup
    checkpoints.tidy()
    assert sorted(path.name for path in folder.iterdir()) == checkpoints.names()


def test_values_are_copies_in_memory_that_is_used_again():
    variables = [keras.Variable(np.ones((2, 3))), keras.Variable(np.array(3), dtype="int64")]
    first = Values.of({"model": hold_values(variables)})
    variables[0].assign(np.zeros((2, 3)))
    assert first.groups["model"][0].tolist() == np.ones((2, 3)).tolist()
    second = Values.of({"model": hold_values(variables)}, first)
    assert second is first
    assert second.groups["model"][0].tolist() == np.zeros((2, 3)).tolist()
    other = Values.of({"model": hold_values(variables[1:])}, second)  # another form needs other memory
    assert other is not second
    assert int(other.groups["model"][0]) == 3


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop", "adamw", "lion"])
def test_what_is_held_stays_as_it_is_while_training_goes_on(optimizer):
    model = keras.Sequential([keras.layers.Dense(64), keras.layers.BatchNormalization(), keras.layers.Dense(3)])
    model.compile(optimizer, "mse", metrics=["mae"])
    pictures, labels = np.random.default_rng(0).random((64, 50), np.float32), np.ones((64, 3), np.float32)
    model.fit(pictures, labels, batch_size=8, verbose=0)
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    before, held = [np.array(variable) for variable in variables], hold_values(variables)
    model.fit(pictures, labels, batch_size=8, verbose=0)
    after = Values.of({"model": held}).groups["model"]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert not np.array_equal(before[0], variables[0])


@pytest.fixture
def slow_disk(monkeypatch):
    """Checkpoints that are not written before this is set."""
    gate = threading.Event()
    original = os.fsync

    def wait(descriptor):
        gate.wait(10)
        original(descriptor)

    monkeypatch.setattr("os.fsync", wait)
    yield gate
    gate.set()


def test_training_does_not_wait_for_the_disk_and_what_follows_does(tmp_path, slow_disk):
    variable, written = keras.Variable(np.zeros(3, np.float32)), []
    groups = {"model": [variable], "optimizer": [], "metrics": []}
    with CheckpointWriter(Checkpoints(tmp_path)) as writer:
        writer.save(state(1), groups, lambda: written.append(1))
        variable.assign(np.ones(3))  # training goes on
        assert written == []
        slow_disk.set()
        writer.wait()
        assert written == [1]
    assert Checkpoints(tmp_path).load("epoch-0001.npz").values.groups["model"][0].tolist() == [0, 0, 0]


def test_a_checkpoint_that_cannot_be_written_ends_the_run_at_the_next(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    groups = {"model": [], "optimizer": [], "metrics": []}
    with (
        pytest.raises(RunFailed, match=r"(?s)No space left.*free some disk space"),
        CheckpointWriter(Checkpoints(tmp_path)) as writer,
    ):
        writer.save(state(1), groups)
        writer.save(state(2), groups)
    assert list((tmp_path / "checkpoints").iterdir()) == []
