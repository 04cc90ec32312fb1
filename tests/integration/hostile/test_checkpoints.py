"""Checkpoints from elsewhere: damaged ones, and ones that somebody made to do harm."""

import json

import numpy as np
import pytest
from hypothesis import strategies as st

from keras_azure.description.events import Observer
from keras_azure.description.folder import is_finished, read_description
from keras_azure.training.checkpoints import Checkpoints, State, Values

VALUES = Values({"model": [((3, 4), "float32"), ((2,), "uint32")], "optimizer": [((), "int64")], "metrics": []})
VALUES.content[:] = 1
NAME = "epoch-0001.npz"


@pytest.fixture
def content(tmp_path) -> bytes:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(State(1, history=[{"epoch": 1, "loss": 0.5}]), VALUES)
    return (checkpoints.folder / NAME).read_bytes()


def test_damaged_checkpoints(throw, changed, content, tmp_path):
    checkpoints = Checkpoints(tmp_path)

    def load(damaged: bytes) -> None:
        (checkpoints.folder / NAME).write_bytes(damaged)
        checkpoints.load(NAME)

    throw(changed([content]), load)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*State.__dataclass_fields__, "unknown"])


def test_checkpoints_with_any_state_and_any_values(throw, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.folder.mkdir()
    numbers = st.sampled_from([np.zeros(2), np.array("text"), np.array(b"\0"), np.zeros((0, 3)), np.zeros(8, np.uint8)])
    names = st.sampled_from(["values", "forms", "state", "model", "../outside", "/outside", ""])
    forms = st.dictionaries(st.sampled_from(["model", "optimizer", "metrics", "other"]), JSON, max_size=4)

    def as_bytes(value: object) -> np.ndarray:
        return np.frombuffer(json.dumps(value).encode(), np.uint8)

    def load(made: tuple[dict, dict, dict]) -> None:
        changes, described, entries = made
        state = as_bytes({"epochs": 1, "history": [{"epoch": 1}]} | changes)
        described = as_bytes({"model": [], "optimizer": [], "metrics": []} | described)
        parts = {"state": state, "forms": described, "values": np.zeros(0, np.uint8)} | entries
        np.savez(checkpoints.folder / NAME, **parts)
        checkpoints.load(NAME)

    changes = st.dictionaries(FIELDS, JSON, max_size=3)
    throw(st.tuples(changes, forms, st.dictionaries(names, numbers, max_size=2)), load, share=0.5)


def test_run_folders_with_any_files(survives, throw, tmp_path):
    """What `kaz resume` and `kaz run --output` read before anything else."""
    (tmp_path / "checkpoints").mkdir()
    texts = st.binary(max_size=60) | JSON.map(json.dumps).map(str.encode)

    def look(files: tuple[bytes, bytes]) -> None:
        for name, text in zip(("run.json", "metrics.json"), files, strict=True):
            (tmp_path / name).write_bytes(text)
        is_finished(tmp_path)
        Checkpoints(tmp_path).newest(Observer(), keep_best=True)
        read_description(tmp_path)

    throw(st.tuples(texts, texts), look)
