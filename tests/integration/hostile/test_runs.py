"""Run folders that are damaged in any way, listed and compared."""

import io
import json
import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures.run_folders import answers_of, make_run

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import DamagedRun, KerasAzureError, UsageError

COUNT = 400
JSON, FILES = ("run.json", "metrics.json"), ("run.json", "metrics.json", "history.csv", "predictions.npz")
VALUES = (
    *(None, True, -1, 0, 1.5, 10**400, -(10**19), float("nan"), float("inf"), "", "x" * 20_000, "\x1b[31m", "\ud800"),
    *([], {}, [[]], {"": None}, ["cnn"], "cnn(" * 50, "cnn(filters=(4,))", {"loss": "low"}, {"accuracy": [1]}, "../.."),
)
TEXTS = (
    *(b"", b"\0", b"{", b"[]", b"null", b'"text"', b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"\x80" * 50, b"[" * 100_000),
    *(b'{"a":' * 100_000, b"9" * 5_000, b"NaN", b"epoch,loss\n", b"epoch\n1\n1,2,3\n", b'epoch,"loss\n1,2\n'),
    *(b"epoch,loss\nnan,inf\n", b"epoch,loss\n1e999,1\n", b"a,a\n1\n", b"epoch,loss\n1," + b"9" * 200_000 + b"\n"),
)


class Runs:
    """Unpickled, it runs code."""

    def __reduce__(self):
        return os.system, ("true",)


def pickled() -> bytes:
    return pickle.dumps(Runs())


def pickled_array() -> bytes:
    written = io.BytesIO()
    np.save(written, np.array([Runs()], object), allow_pickle=True)
    return written.getvalue()


def member(random: random.Random, path: Path) -> None:
    """One of the arrays is another one."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    others = (b"", b"\x93NUMPY", pickled(), pickled_array(), *(array_of(each) for each in ARRAYS))
    parts[random.choice([*parts])] = random.choice(others)
    if random.random() < 0.2:
        del parts[random.choice([*parts])]
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)


ARRAYS = (
    *(np.zeros(0), np.zeros((3, 3)), np.full((60, 3), np.nan, np.float32), np.zeros((60, 3), np.float32)),
    *(np.full(60, 7), np.full(60, -1), np.arange(60), np.array("regress"), np.array("\x1b[31m"), np.array(["a", "a"])),
    *(np.array(b"classify"), np.zeros((0, 3), np.float32), np.array(1 << 62), np.zeros(60, "datetime64[s]")),
)


def array_of(value: np.ndarray) -> bytes:
    written = io.BytesIO()
    np.save(written, value)
    return written.getvalue()


def cut(random: random.Random, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: random.randrange(len(content) + 1)])


def flip(random: random.Random, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 8)):
        content[random.randrange(len(content))] ^= random.randint(1, 255)
    path.write_bytes(content)


def other_text(random: random.Random, path: Path) -> None:
    path.write_bytes(random.choice((*TEXTS, pickled(), pickled_array())))


def other_value(random: random.Random, path: Path) -> None:
    path = path.parent / random.choice(JSON)
    values = json.loads(path.read_text() if path.is_file() else "")
    name = random.choice([*values, "task", "epoch", "fine_tune", "model"])
    values[name] = random.choice(VALUES)
    if name in ("test_metrics", "environment") and random.random() < 0.7:
        values[name] = {"loss": random.choice(VALUES), "accuracy": 0.5}
    if random.random() < 0.2:
        del values[name]
    path.write_text(json.dumps(values))


def other_encoding(random: random.Random, path: Path) -> None:
    path = path.parent / random.choice(JSON)
    if not path.is_file():  # a pipe would be waited for
        return
    path.write_bytes(path.read_text().encode(random.choice(["utf-16", "utf-32", "utf-8-sig", "utf-16-be"])))


def missing(random: random.Random, path: Path) -> None:
    path.unlink()


def folder_in_its_place(random: random.Random, path: Path) -> None:
    path.unlink()
    path.mkdir()


def link_to_itself(random: random.Random, path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe_in_its_place(random: random.Random, path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES = (cut, flip, other_text, other_value, other_value, other_encoding, missing, folder_in_its_place)
RARE = (link_to_itself, pipe_in_its_place)


def damage(random: random.Random, run_dir: Path) -> None:
    for _ in range(random.randint(1, 2)):
        path = run_dir / random.choice(FILES)
        if path.is_file() and path.stat().st_size:
            kind: Callable[[random.Random, Path], None] = random.choice(
                (*DAMAGES, *RARE, *(member,) * 6 * (path.suffix == ".npz"))
            )
            try:
                kind(random, path)
            except (OSError, ValueError, zipfile.BadZipFile, KeyError, IndexError, TypeError, RecursionError):
                continue  # it was damaged before


@pytest.fixture
def whole(tmp_path) -> Path:
    truth = np.arange(60) % 3
    return make_run(tmp_path / "runs" / "whole", None, answers_of(truth, (truth + (truth == 1)) % 3))


def one_sentence(error: KerasAzureError, run_dir: Path) -> None:
    assert isinstance(error, DamagedRun | UsageError), error
    assert "\n" not in error.problem
    assert str(run_dir) in error.problem or isinstance(error, UsageError)
    assert len(error.problem) < 500


def test_damaged_runs_are_listed_and_refused(whole, survives, tmp_path):
    seeds = [random.Random(seed) for seed in range(COUNT)]
    folders = [shutil.copytree(whole, tmp_path / "runs" / f"{number:03}") for number in range(COUNT)]
    for seed, run_dir in zip(seeds, folders, strict=True):
        damage(seed, run_dir)

    listed = survives(lambda: keras_azure.runs(tmp_path / "runs"))
    states = {run.run_dir: run.state for run in listed}
    assert len(set(states.values())) == 3
    assert "".join(run.problem for run in listed).isprintable()
    assert all("\x1b" not in str(shown) for shown in (listed, listed._repr_html_(), json.dumps(listed.to_json())))

    refused = 0
    for run_dir in folders:
        found = survives(lambda run_dir=run_dir: keras_azure.compare(whole, run_dir, observer=Observer()), 20)
        if isinstance(found, KerasAzureError):
            refused += 1
            one_sentence(found, run_dir)
        else:
            json.dumps(found.to_json(), allow_nan=False)
            assert "\x1b" not in str(found)
        if states.get(run_dir) == "damaged":
            problem = next(run.problem for run in listed if run.run_dir == run_dir)
            assert isinstance(found, KerasAzureError), f"{run_dir} is compared, though {problem}"
    assert COUNT / 2 < refused < COUNT


@pytest.mark.parametrize("content", [pickled(), pickled_array()], ids=["pickle", "array"])
@pytest.mark.parametrize("inside", [False, True])
def test_pickles_are_not_opened(whole, survives, content, inside):
    path = whole / "predictions.npz"
    if inside:
        with zipfile.ZipFile(path) as file:
            parts = {name: file.read(name) for name in file.namelist()}
        with zipfile.ZipFile(path, "w") as file:
            for name, part in (parts | {"names.npy": content}).items():
                file.writestr(name, part)
    else:
        path.write_bytes(content)
    found = survives(lambda: keras_azure.compare(whole, whole, observer=Observer()))
    assert isinstance(found, DamagedRun)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "kind", [cut, other_text, folder_in_its_place, pipe_in_its_place], ids=lambda kind: kind.__name__
)
def test_the_command_ends_with_1_and_a_sentence(whole, tmp_path, kaz, file, kind):
    run_dir = shutil.copytree(whole, tmp_path / "damaged")
    seed = random.Random(1)
    kind(seed, run_dir / file)
    if kind is cut and file == "history.csv":
        (run_dir / file).write_text("epoch,loss\n1,\n")
    code, out, err = kaz("compare", str(whole), str(run_dir))
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: The run in {run_dir} is damaged: ")
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
