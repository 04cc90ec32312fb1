"""The small files of a run folder, read as what they are: from elsewhere, and maybe damaged.

An error is one sentence that begins with the name of the file; whoever knows the folder may say that, too.
"""

import contextlib
import csv
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_azure.description.text_table import shortened
from keras_azure.errors import ConfigError, DamagedRun
from keras_azure.registry.specs import LONGEST_TEXT

_LONGEST = 200  # characters of a sentence that shows what is in a file
_MOST_BYTES = 64 << 20  # of a file; those of a run have some kilobytes


def text_of(path: Path) -> str | None:
    """The text of a file; None if it is not there. A pipe is not waited for.

    Raises:
        DamagedRun: it cannot be read, or is no text.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise DamagedRun(f"{path.name} is no file")
        if about.st_size > _MOST_BYTES:
            raise DamagedRun(f"{path.name} is too large")
        return path.read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        raise DamagedRun(f"{path.name} is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DamagedRun(f"{path.name} cannot be read: {reason}") from None


def json_object(path: Path) -> dict[str, Any] | None:
    """What a JSON file holds; None if it is not there.

    Raises:
        DamagedRun: it cannot be read, or holds no object.
    """
    content = text_of(path)
    if content is None:
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise DamagedRun(f"{path.name} is not JSON") from None
    if not isinstance(value, dict):
        raise DamagedRun(f"{path.name} is no JSON object")
    return value


def history_of(path: Path) -> list[dict[str, float]]:
    """The rows of a `history.csv`, a number for each column; none if it is not there.

    Raises:
        DamagedRun: it cannot be read, or is no such table.
    """
    content = text_of(path)
    if content is None:
        return []
    with told_of(path.name):
        rows = csv.DictReader(content.splitlines())
        if "epoch" not in (rows.fieldnames or ()):
            raise ValueError("it has no column of epochs")
        found = [{name: float(value) for name, value in row.items()} for row in rows]
        for row in found:
            count(row["epoch"], "an epoch's number")
    return found


@contextlib.contextmanager
def told_of(name: str) -> Iterator[None]:
    """Turns what is wrong with a file's content into the sentence about it.

    Raises:
        DamagedRun: something is.
    """
    try:
        yield
    except ConfigError as error:
        raise DamagedRun(f"{name}: {shortened(error.problem.rstrip('.'), _LONGEST)}") from None
    except ValueError as error:
        raise DamagedRun(f"{name}: {shortened(str(error), _LONGEST)}") from None
    except (TypeError, KeyError, csv.Error):
        raise DamagedRun(f"{name} is not as a run wrote it") from None


def text(value: object, what: str) -> str:
    """A text of a JSON file.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str):
        raise ValueError(f"its {what} is no text")
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"its {what} is too long")
    return value


def number(value: object, what: str) -> float:
    """A number of a JSON file; NaN and infinity are some.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} is no number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{what} is no number that can be") from None


def count(value: object, what: str) -> int:
    """A whole number of a JSON file, 0 or more.

    Raises:
        ValueError: it is none.
    """
    found = number(value, what)
    if not 0 <= found < 2**53 or found != int(found):
        raise ValueError(f"{what} is no count")
    return int(found)
