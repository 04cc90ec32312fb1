"""Data in one file or in several, each of which is of one split, by a word in its name."""

import re
from pathlib import Path

from keras_azure.data.formats.litter import is_ignored
from keras_azure.data.formats.split_names import usual_split
from keras_azure.errors import DataError


def is_made_of(path: Path, ending: str) -> bool:
    """Whether a path is a file with this ending, or a folder of such files that has no folders in it."""
    if not path.is_dir():
        return path.is_file() and path.suffix.casefold() == ending
    children = [child for child in path.iterdir() if not is_ignored(child.name)]
    return not any(child.is_dir() for child in children) and any(
        child.suffix.casefold() == ending for child in children
    )


def parts_of(path: Path, ending: str) -> dict[str, list[Path]]:
    """The files of each split, by name.

    Raises:
        DataError: there are none to train on.
    """
    if not path.is_dir():  # a file alone, whatever it is called
        return {"train": [path]}
    try:
        inside = sorted(path.iterdir())
    except OSError as error:
        raise DataError(f"The data folder {path} cannot be read: {str(error.strerror).lower()}.") from error
    splits: dict[str, list[Path]] = {}
    for part in inside:
        if part.suffix.casefold() == ending and not is_ignored(part.name):
            splits.setdefault(_split_of(part), []).append(part)
    if "train" not in splits:
        raise DataError(
            f"There are no files to train on in {path}, among {', '.join(sorted(splits)) or 'none'}.",
            expected=f"files such as train-00000{ending}; one without a word for a split in its name is to train on",
        )
    return splits


def _split_of(path: Path) -> str:
    """The split that a word in the name of a file says, such as "test" of "mnist-test-000001.tar"; "train" without.

    Raises:
        DataError: it says two.
    """
    words = re.findall(r"[^\W\d_]+", path.stem)
    found = sorted({split for word in words if (split := usual_split(word)) is not None})
    if len(found) > 1:
        raise DataError(f"The name of {path} says two splits, {' and '.join(found)}.", hint="rename it")
    return found[0] if found else "train"
