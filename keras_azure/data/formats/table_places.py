"""Which files a table names: each has to lie below one folder, wherever the table says that it is."""

import functools
import os
import stat
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_azure.data.formats.layout import some_of
from keras_azure.data.formats.shard_keys import IMAGE_ENDINGS
from keras_azure.description.commands import command
from keras_azure.errors import DataError

_SHOWN = 3  # names in a message
_MOST_CHILDREN = 50  # folders that are looked into for a hint


def name_in(value: Any, row: int, source: str) -> str:
    """The name of a file in a cell of a table: a text, or a number that is an id.

    Raises:
        DataError: the cell has none.
    """
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return str(value)
    shown = "names no file" if value is None or value == "" else f"has {str(value)[:40]!r} for the name of a file"
    raise DataError(f"Row {row} of the {source} {shown}.", expected="a path such as images/1.png, or an id")


class Places:
    """The files below a folder, by the names that a table has for them. Threads may ask at the same time.

    A name is a path within the folder, or an absolute path that leads there, or either without the ending of its file.

    Args:
        folder: absolute.
        source: what messages call the table.
    """

    def __init__(self, folder: Path, source: str) -> None:
        self.folder = folder
        self._source = source
        self._endings = functools.lru_cache(maxsize=10_000)(self._endings_in)
        self._resolved = functools.lru_cache(maxsize=10_000)(os.path.realpath)

    def find(self, name: str) -> str | None:
        """The path of a file within the folder, with slashes; None if it is not there.

        Raises:
            DataError: it would lie elsewhere, or several files could be meant.
        """
        forms = dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))
        if "\\" in name:
            forms |= dict.fromkeys([name.replace("\\", "/")])
        places = [self._within(form) for form in forms]
        for place in places:
            if self._is_file(place):
                return place
        for place in places:
            endings = self._endings(place.rpartition("/")[0])
            found = [place + ending for ending in endings if self._is_file(place + ending)]
            if len(found) > 1:
                raise DataError(
                    f"The {self._source} names {name!r}, which may be {' or '.join(found)}.",
                    expected="names with their endings, or one file of each name",
                )
            if found:
                return found[0]
        return None

    def _within(self, name: str) -> str:
        path = os.path.normpath(os.path.join(self.folder, name))  # noqa: PTH118 - a million times
        root = str(self.folder).rstrip(os.sep) + os.sep
        if os.path.isabs(name) and not path.startswith(root):  # noqa: PTH117
            parent, _, last = path.rpartition(os.sep)
            path = self._resolved(parent or os.sep) + os.sep + last  # the folder may have been named by a link
        if not path.startswith(root):
            raise DataError(
                f"The {self._source} names {name[:100]!r}, which is not in {self.folder}.",
                expected="paths within the folder of the table, or within --image-folder",
                hint="--image-folder FOLDER, with one that holds all the images",
            )
        return path[len(root) :].replace(os.sep, "/")

    def _is_file(self, place: str) -> bool:
        try:
            return stat.S_ISREG(os.stat(f"{self.folder}/{place}").st_mode)  # noqa: PTH116
        except (OSError, ValueError):  # no name for a file: too long, or with a null byte
            return False

    def _endings_in(self, folder: str) -> tuple[str, ...]:
        """The endings of images that files in a folder have."""
        found: set[str] = set()
        try:
            with os.scandir(self.folder / folder) as inside:
                for entry in inside:
                    ending = os.path.splitext(entry.name)[1]  # noqa: PTH122
                    if ending not in found and ending[1:].casefold() in IMAGE_ENDINGS:
                        found.add(ending)
        except (OSError, ValueError):
            return ()
        return tuple(sorted(found))


def missing_files(missing: Sequence[str], count: int, total: int, places: Places, source: str) -> DataError:
    """The error of rows whose files are not there.

    Args:
        missing: some of the names.
        count: how many there are.
    """
    hint = "--skip-unreadable, which leaves such rows out"
    if count == total:
        folder = _where(missing, places, source)
        hint = command("--image-folder", folder) if folder else "--image-folder FOLDER, with the one that they are in"
    return DataError(
        f"{count} of {total} rows of the {source} name files that are not in {places.folder}: {_some(missing, count)}.",
        hint=hint,
    )


def left_out(missing: Sequence[str], count: int, total: int) -> str:
    """A line on rows whose files are not there."""
    return f"Left out {count} of {total} rows, whose files are not there: {_some(missing, count)}"


def _some(missing: Sequence[str], count: int) -> str:
    shown = some_of([*missing[:_SHOWN]], most=_SHOWN)
    return shown if count <= _SHOWN else f"{shown} and {count - _SHOWN} more"


def _where(missing: Sequence[str], places: Places, source: str) -> Path | None:
    """A folder in that of the images in which a missing file is."""
    try:
        children = [child for child in sorted(places.folder.iterdir())[:_MOST_CHILDREN] if child.is_dir()]
        return next((child for child in children if Places(child, source).find(missing[0]) is not None), None)
    except (OSError, DataError):
        return None
