"""Files that are either whole or not there, and folders that nothing is led out of."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

from keras_azure.errors import OutputExists, RunFailed


def write_atomically(path: Path, write: Callable[[Path], object], spare: Path | None = None) -> None:
    """Lets `write` fill a file beside `path`, flushes it to the disk, and renames it to `path`.

    Args:
        spare: a file that is not needed any more, which `write` then finds in its place and can write over.

    Raises:
        RunFailed: the disk is full or not writable; `path` is as it was.
    """
    # Keras goes by the ending, so the temporary name keeps it.
    beside = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        beside.unlink(missing_ok=True)  # a link of that name would lead elsewhere
        if spare is not None and spare.exists():
            spare.replace(beside)
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise RunFailed(f"{path} cannot be written: {error.strerror or error}.", hint="free some disk space") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: object) -> None:
    write_text(path, json_text(value))


def json_text(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def require_empty(folder: Path) -> None:
    """
    Raises:
        OutputExists: there is something in the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputExists(f"{folder} is there already, and nothing is overwritten.", hint="another --output")


def make_folder(folder: Path) -> None:
    """Makes a folder of a run folder, if it is not there.

    Raises:
        RunFailed: it is a link, through which files would be written elsewhere; or it cannot be made.
    """
    try:
        if folder.is_symlink():
            raise RunFailed(f"{folder} is a link, and nothing is written through it.", hint="remove the link")
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFailed(f"{folder} cannot be made: {error.strerror}.") from error


def _flush_folder(folder: Path) -> None:
    """Makes a rename survive a power cut, where the system can flush folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
