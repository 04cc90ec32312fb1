"""Files that are either whole or not there."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from keras_azure.errors import RunFailed


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a file beside `path`, flushes it to the disk, and renames it to `path`.

    Raises:
        RunFailed: the disk is full or not writable; `path` is as it was.
    """
    # Keras goes by the ending, so the temporary name keeps it.
    beside = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
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
