"""Checkpoints: all that a run needs to go on as if it had never stopped, one file each.

    checkpoints/epoch-0003.npz             after three epochs
    checkpoints/epoch-0003-step-000500.npz after three epochs and 500 steps of the fourth

A file is NumPy's own archive of three arrays of bytes: `values`, what the variables of the model, its optimizer and its
metrics hold, one behind the other; `forms`, a JSON text of their shapes and types; `state`, one of all else. Each has a
checksum (a zip archive's CRC-32), and nothing in it is code: it is read without pickle.

A file is written beside, flushed, and renamed. On a disk that makes it whole or not there. On a mounted blob folder a
rename is a copy and a removal, and what is written may show up late, in parts, or not at all if the node goes first.
So nothing relies on the rename: a name is never written over with other content, a file is believed only when its
checksums are right, and the file before it is removed only after the next one is written. What shows up late is older
than what a run has gone on from, and costs steps that are done again, with the same result.
"""

import contextlib
import dataclasses
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil

from keras_azure.description.events import Observer
from keras_azure.errors import DamagedCheckpoint, RunFailed
from keras_azure.files import make_folder, write_atomically
from keras_azure.models.untrusted import check_archive
from keras_azure.training.history import Row, best_epoch
from keras_azure.training.monitor import VALIDATION_LOSS, Monitor

KEPT = 2  # the newest ones; one more than needed, in case the newest is damaged
_ELSEWHERE = ("fuse", "nfs", "cifs", "smb", "9p", "ceph", "lustre")  # types of file systems
_NAME = re.compile(r"epoch-(\d{4,9})(?:-step-(\d{6,12}))?\.npz")
_GROUPS = ("model", "optimizer", "metrics")
_ARRAYS = "callbacks"  # the group of arrays in the state of callbacks, where there are any
ARRAY_TYPES = {
    "bool",
    "float16",
    "float32",
    "float64",
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}

Form = tuple[tuple[int, ...], str]  # a variable's shape and type
Forms = dict[str, list[Form]]


@dataclass(frozen=True)
class State:
    """Where a run stands, beside the numbers in its variables.

    Attributes:
        epochs: finished ones.
        step: how many steps are done in the epoch after them.
        stage: of fine-tuning; 0 without.
        history: a row for each finished epoch, from which the best epoch and early stopping follow.
        train_logs: the epoch's means in training, where all its steps are done and its validation is not; else None.
        images, seconds: images that finished epochs trained on, and what that took without anything beside it.
        epoch_images, epoch_seconds: the same, in the epoch that is not finished.
        epoch_elapsed, elapsed: seconds that this epoch, and the whole run, have taken.
        tracking: where MLflow keeps the run, if it does.
        data: what tells that the data is still the same.
        callbacks: the state of each callback by name, None of one that gives none; JSON-safe but for arrays in it.
        ended: whether a listener has ended training; what is left of the epoch is its validation.
    """

    epochs: int = 0
    step: int = 0
    stage: int = 0
    history: Sequence[Row] = ()
    train_logs: Row | None = None
    images: int = 0
    seconds: float = 0.0
    epoch_images: int = 0
    epoch_seconds: float = 0.0
    epoch_elapsed: float = 0.0
    elapsed: float = 0.0
    tracking: Mapping[str, str] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Mapping[str, Any] = field(default_factory=dict)
    ended: bool = False

    @property
    def name(self) -> str:
        """Of the checkpoint's file."""
        return f"epoch-{self.epochs:04d}{f'-step-{self.step:06d}' if self.step else ''}.npz"

    def without_arrays(self) -> "tuple[State, dict[str, list[np.ndarray]]]":
        """The state as JSON can have it, and the arrays of its callbacks as a group of a checkpoint's values."""
        arrays: list[np.ndarray] = []
        callbacks = {name: _taken_out(state, arrays) for name, state in self.callbacks.items()}
        return dataclasses.replace(self, callbacks=callbacks), ({_ARRAYS: arrays} if arrays else {})


class Values:
    """What variables hold, in one piece of memory, which is filled, checked and written faster than many small ones.

    Args:
        forms: the shape and type of each variable of the groups "model", "optimizer" and "metrics", and of each array
            of callbacks.
        content: the memory; by default new.

    Attributes:
        groups: an array for each variable, within `content`.
    """

    def __init__(self, forms: Forms, content: np.ndarray | None = None):
        sizes = [_size(form) for group in forms.values() for form in group]
        self.forms = forms
        self.content = np.empty(sum(sizes), np.uint8) if content is None else content
        if len(self.content) != sum(sizes):
            raise ValueError(f"it has {len(self.content)} bytes of values, and {sum(sizes)} are described")
        pieces = iter(np.split(self.content, np.cumsum(sizes)[:-1]) if sizes else [])
        self.groups = {name: [_shaped(next(pieces), *form) for form in group] for name, group in forms.items()}

    @classmethod
    def of(cls, held: Mapping[str, Sequence[Any]], before: "Values | None" = None) -> "Values":
        """Copies of what `hold_values` gave, in the memory of `before` if it fits: new memory is slow."""
        arrays = {name: [np.asarray(memoryview(one)) for one in group] for name, group in held.items()}
        forms = {name: [(one.shape, one.dtype.name) for one in group] for name, group in arrays.items()}
        values = before if before is not None and before.forms == forms else cls(forms)
        for name, group in arrays.items():
            for place, one in zip(values.groups[name], group, strict=True):
                np.copyto(place, one)
        return values


@dataclass(frozen=True)
class Checkpoint:
    state: State
    values: Values

    def restore(self, group: str, variables: Sequence[keras.Variable]) -> None:
        """Gives variables the values that those of the same group had.

        Raises:
            RunFailed: they are not the same ones.
        """
        if self.values.forms[group] != forms_of(variables):
            raise RunFailed(
                f"The checkpoint {self.state.name} does not fit the {group}: it was made by another version of the "
                "plugin or of Keras.",
                hint="the same versions again, which metrics.json and MLflow name; or a new run",
            )
        for variable, value in zip(variables, self.values.groups[group], strict=True):
            variable.assign(value)


class Checkpoints:
    """The checkpoints of a run folder."""

    def __init__(self, run_dir: Path, monitor: Monitor = VALIDATION_LOSS):
        self.folder = run_dir / "checkpoints"
        self.monitor = monitor

    def save(self, state: State, values: Values) -> None:
        """Saves, then removes what is neither among the newest nor of the best epoch.

        Raises:
            RunFailed: the disk is full or not writable; what was there before still is.
        """
        make_folder(self.folder)
        entries = {
            "state": _as_bytes(dataclasses.asdict(state)),
            "forms": _as_bytes(values.forms),
            "values": values.content,
        }
        write_atomically(self.folder / state.name, lambda beside: _write_archive(beside, entries), self._spare)
        best = best_epoch(state.history, self.monitor)
        names = self.names()
        for name in names[:-KEPT]:
            if name != State(epochs=best or 0).name:
                self._put_aside(self.folder / name)

    def tidy(self) -> None:
        """Removes what was only kept to be written over."""
        with contextlib.suppress(OSError):
            self._spare.unlink(missing_ok=True)

    def newest(self, observer: Observer, keep_best: bool) -> Checkpoint | None:
        """The newest sound checkpoint; a message tells of each that is damaged.

        Args:
            keep_best: only one whose best epoch can be had too, which may be long before.
        """
        for leftover in self.folder.glob(".*.npz"):  # of a process that was killed while it wrote
            leftover.unlink()
        for name in reversed(self.names()):
            try:
                checkpoint = self.load(name)
                best = best_epoch(checkpoint.state.history, self.monitor) if keep_best else None
                if best is not None and best != checkpoint.state.epochs:
                    self.load(State(epochs=best).name)
                return checkpoint
            except DamagedCheckpoint as damage:
                observer.message(f"Skipping the checkpoint {name}: {damage}")
        return None

    def load(self, name: str) -> Checkpoint:
        """
        Raises:
            DamagedCheckpoint: it is not there, or is not as it was written.
        """
        path = self.folder / name
        try:
            with zipfile.ZipFile(path) as archive:
                check_archive(archive, path.stat().st_size)
            with np.load(path, allow_pickle=False) as saved:
                state = _parse_state(bytes(saved["state"]))
                values = Values(_parse_forms(bytes(saved["forms"])), saved["values"])
                arrays = values.groups.get(_ARRAYS, [])
                callbacks = {name: _put_back(each, arrays) for name, each in state.callbacks.items()}
                state = dataclasses.replace(state, callbacks=callbacks)
        except Exception as error:  # zipfile and NumPy raise what the damaged part happened to cause
            reason = "it is not there" if isinstance(error, FileNotFoundError) else f"it is damaged ({error})"
            raise DamagedCheckpoint(f"The checkpoint {path} cannot be used: {reason}.") from error
        if state.name != name:
            raise DamagedCheckpoint(f"The checkpoint {path} cannot be used: it is {state.name} under another name.")
        return Checkpoint(state, values)

    def reached(self, total_epochs: int) -> str:
        """How far the newest one is: "3 of its 10 epochs and 500 steps of the next are finished and"."""
        epochs, step = _position(self.names()[-1]) if self.names() else (0, 0)
        steps = f" and {step} steps of the next" if step else ""
        return f"{epochs} of its {total_epochs} epochs{steps} are finished and"

    def names(self) -> list[str]:
        """The names of the files, the newest last; they tell the order, as clocks may be set back."""
        names = [path.name for path in self.folder.glob("epoch-*.npz") if _NAME.fullmatch(path.name)]
        return sorted(names, key=_position)

    @property
    def _spare(self) -> Path:
        return self.folder / ".spare.npz"

    @cached_property
    def _has_spare(self) -> bool:
        return _is_on_own_disk(self.folder.resolve())

    def _put_aside(self, path: Path) -> None:
        """A file that goes is the next one's room: the system takes longer to give room back and find it again than
        to write. Not from a mount, which would bring its content here first; nor one that has other names."""
        if self._has_spare and path.lstat().st_nlink == 1 and not path.is_symlink():
            path.replace(self._spare)
        else:
            path.unlink()


def _position(name: str) -> tuple[int, int]:
    """The finished epochs and the step after them."""
    match = _NAME.fullmatch(name)
    assert match is not None  # other files are no checkpoints
    return int(match[1]), int(match[2] or 0)


def forms_of(variables: Sequence[keras.Variable]) -> list[Form]:
    return [(tuple(variable.shape), keras.backend.standardize_dtype(variable.dtype)) for variable in variables]


def _is_on_own_disk(folder: Path) -> bool:
    """Whether a folder is on a disk of this machine, and not mounted from elsewhere, as blob storage is."""
    mounts = [mount for mount in psutil.disk_partitions(all=True) if folder.is_relative_to(mount.mountpoint)]
    mount = max(mounts, key=lambda mount: len(mount.mountpoint), default=None)
    return mount is None or not mount.fstype.startswith(_ELSEWHERE)


def _size(form: Form) -> int:
    """Bytes, in whole lots of 8, so that each array begins where its type may."""
    shape, dtype = form
    return -(-math.prod(shape) * np.dtype(dtype).itemsize // 8) * 8


def _shaped(content: np.ndarray, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return content[: math.prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


def _as_bytes(value: object) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _write_archive(path: Path, entries: Mapping[str, np.ndarray]) -> None:
    """As `np.savez`, which copies each array first, while no other thread can run Python."""
    with path.open("r+b" if path.exists() else "wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for name, value in entries.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array_header_1_0(entry, np.lib.format.header_data_from_array_1_0(value))
                    entry.write(value.data)
        file.truncate()


def _parse_state(text: bytes) -> State:
    """The state, checked so far that nothing later stumbles over what somebody else wrote."""
    state = State(**json.loads(text))
    numbers = {setting.name: getattr(state, setting.name) for setting in dataclasses.fields(State)}
    for name in ("epochs", "step", "stage", "images", "epoch_images"):
        if type(numbers[name]) is not int or numbers[name] < 0:
            raise ValueError(f"its {name} is {numbers[name]!r}")
    for name in ("seconds", "epoch_seconds", "epoch_elapsed", "elapsed"):
        if not _is_number(numbers[name]):
            raise ValueError(f"its {name} is {numbers[name]!r}")
    if [row["epoch"] for row in state.history] != list(range(1, state.epochs + 1)):
        raise ValueError("its history has not a row for each epoch")
    if not all(_is_number(value) for row in [*state.history, state.train_logs or {}] for value in row.values()):
        raise ValueError("its history has values that are no numbers")
    if not isinstance(state.data, dict) or not isinstance(state.tracking, dict | None) or type(state.ended) is not bool:
        raise ValueError("its state has another form")
    if not isinstance(state.callbacks, dict):
        raise ValueError("its state of callbacks has another form")
    return state


def _parse_forms(text: bytes) -> Forms:
    forms = json.loads(text)
    if forms.keys() - {_ARRAYS} != set(_GROUPS):
        raise ValueError("its values are of other things")
    for group in forms.values():
        for shape, dtype in group:
            if not all(type(size) is int and size >= 0 for size in shape) or dtype not in ARRAY_TYPES:
                raise ValueError(f"its values have the form {shape} of {dtype}")
    return {name: [(tuple(shape), dtype) for shape, dtype in group] for name, group in forms.items()}


def _taken_out(value: object, arrays: list[np.ndarray]) -> object:
    """The value as JSON can have it: an array is added to `arrays`, and its number stands for it."""
    match value:
        case np.ndarray():
            arrays.append(value)
            return {"array": len(arrays) - 1}
        case dict():
            return {"dict": {name: _taken_out(each, arrays) for name, each in value.items()}}
        case list():
            return [_taken_out(each, arrays) for each in value]
    return value


def _put_back(value: Any, arrays: Sequence[np.ndarray]) -> object:
    """
    Raises:
        ValueError: nothing that `_taken_out` gave.
    """
    match value:
        case {"array": int(number)} if len(value) == 1 and 0 <= number < len(arrays):
            return arrays[number]
        case {"dict": dict(named)} if len(value) == 1:
            return {name: _put_back(each, arrays) for name, each in named.items()}
        case dict():
            raise ValueError("its state of callbacks has another form")
        case list():
            return [_put_back(each, arrays) for each in value]
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
