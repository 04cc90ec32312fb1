"""Files that are either whole or not there, and models that load without running code from the file."""

import contextlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

from keras_azure.errors import RunFailed

_SHARED_OBJECT = re.compile(rb'("shared_object_id": )(\d+)')
_EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


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


def save_model(model: keras.Model, path: Path, more: Mapping[str, bytes] | None = None) -> None:
    """Saves as `.keras`, with `more` as further entries of the archive, which Keras passes over.

    Equal models give equal files: the dates and the memory addresses that Keras writes into them are taken out.
    """

    def write(beside: Path) -> None:
        model.save(beside)
        _rewrite_archive(beside, more or {})

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


def _rewrite_archive(path: Path, more: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryFile(dir=path.parent) as rewritten:
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(rewritten, "w") as target:
            contents = {name: _repeatable(name, source.read(name)) for name in sorted(source.namelist())}
            for name, content in (contents | dict(more)).items():
                target.writestr(zipfile.ZipInfo(name, _EARLIEST_ZIP_DATE), content)
        rewritten.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(rewritten, file)


def _repeatable(name: str, content: bytes) -> bytes:
    """An entry of a `.keras` archive without what differs between two saves of one model."""
    if name == "metadata.json":
        metadata = json.loads(content)
        metadata.pop("date_saved", None)
        return json.dumps(metadata).encode()
    if name == "config.json":
        # Keras marks objects that layers share by their address in memory; any number that is theirs alone will do.
        numbers: dict[bytes, bytes] = {}
        return _SHARED_OBJECT.sub(
            lambda match: match[1] + numbers.setdefault(match[2], str(len(numbers) + 1).encode()), content
        )
    return content


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
