"""Files that are either whole or not there, and models that load without running code from the file."""

import contextlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras

from keras_azure.errors import RunFailed

_SHARED_OBJECT = re.compile(rb'("shared_object_id": )(\d+)')
_EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 22  # bytes


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a file beside `path`, flushes it to the disk, and renames it to `path`.

    Raises:
        RunFailed: the disk is full or not writable; `path` is as it was.
    """
    # Keras goes by the ending, so the temporary name keeps it.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    beside = Path(name)
    try:
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_umask())  # mkstemp makes files that only their owner may read
        beside.replace(path)
    except OSError as error:
        raise RunFailed(f"{path} cannot be written: {error.strerror or error}.", hint="free some disk space") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")


def save_model(model: keras.Model, path: Path) -> None:
    """Saves as `.keras`; equal models give equal files.

    For that the dates and the memory addresses that Keras writes are taken out.
    """

    def write(beside: Path) -> None:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".saved-", suffix=path.suffix) as saved:
            model.save(saved.name)
            with zipfile.ZipFile(saved.name) as source, zipfile.ZipFile(beside, "w") as target:
                for name in sorted(source.namelist()):
                    _copy_repeatably(name, source, target)

    write_atomically(path, write)


def load_model(path: Path) -> keras.Model:
    """Loads a `.keras` file in safe mode: one that would run code of its own is refused.

    Raises:
        RunFailed: the file is damaged, unsafe, or of a plugin that is not installed.
    """
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except Exception as error:  # Keras raises what the damaged part happened to cause
        raise RunFailed(f"The model file {path} cannot be loaded: {error}") from error


def _copy_repeatably(name: str, source: zipfile.ZipFile, target: zipfile.ZipFile) -> None:
    """Copies an entry of a `.keras` archive without what differs between two saves of one model."""
    entry = zipfile.ZipInfo(name, _EARLIEST_ZIP_DATE)
    if name == "metadata.json":
        metadata = json.loads(source.read(name))
        metadata.pop("date_saved", None)
        target.writestr(entry, json.dumps(metadata))
    elif name == "config.json":
        # Keras marks objects that layers share by their address in memory; any number that is theirs alone will do.
        numbers: dict[bytes, bytes] = {}

        def renumbered(match: re.Match) -> bytes:
            return match[1] + numbers.setdefault(match[2], str(len(numbers) + 1).encode())

        target.writestr(entry, _SHARED_OBJECT.sub(renumbered, source.read(name)))
    else:  # the weights, which may be gigabytes
        entry.file_size = source.getinfo(name).file_size
        with source.open(name) as reading, target.open(entry, "w") as writing:
            shutil.copyfileobj(reading, writing, _CHUNK)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
