"""Data in one file or in several, each of which is of one split, by a word in its name or in that of its folder."""

import re
from collections.abc import Iterator
from pathlib import Path

from keras_azure.data.formats.layout import some_of
from keras_azure.data.formats.litter import is_ignored, may_be_image
from keras_azure.data.formats.split_names import usual_split
from keras_azure.description.commands import command
from keras_azure.errors import DataError

TAR, PARQUET = ENDINGS = (".tar", ".parquet")
_DEEPEST = 4  # folders, one in the other: data/train/train-00000-of-00003.parquet


def is_made_of(path: Path, ending: str) -> bool:
    """Whether a path is a file with this ending, or a folder of such files, without images in folders of it."""
    if not path.is_dir():
        return path.is_file() and path.suffix.casefold() == ending
    found = False
    for file in _files_below(path):
        if file.suffix.casefold() == ending:
            found = True
        elif file.parent != path and may_be_image(file.name):
            return False
    return found


def is_made_of_parts(path: Path) -> bool:
    """Whether a folder is one of files that have many images each."""
    return any(is_made_of(path, ending) for ending in ENDINGS)


def first_part(path: Path, ending: str) -> Path:
    """A file of a path that is made of them."""
    return min(_with_ending(path, ending)) if path.is_dir() else path


def parts_of(path: Path, ending: str) -> dict[str, list[Path]]:
    """The files of each split, by name.

    Raises:
        DataError: there are none to train on, or they are of more than one data set.
    """
    if not path.is_dir():  # a file alone, whatever it is called
        return {"train": [path]}
    try:
        parts = sorted(_with_ending(path, ending))
    except OSError as error:
        raise DataError(f"The data folder {error.filename} cannot be read: {str(error.strerror).lower()}.") from error
    splits: dict[str, list[Path]] = {}
    places: dict[tuple[str, ...], Path] = {}
    for part in parts:
        folders = part.relative_to(path).parent.parts
        splits.setdefault(_split_of(part, folders), []).append(part)
        places.setdefault(tuple(name for name in folders if not _splits_in(name)), part.parent)
    if len(places) > 1:
        names = some_of([place.relative_to(path).as_posix() for place in places.values()])
        raise DataError(
            f"The folder {path} holds {ending} files in {names}, which may be several data sets.",
            expected="all files in one folder, or in folders such as train and test",
            hint=command("--data", next(iter(places.values()))),
        )
    if "train" not in splits:
        raise DataError(
            f"There are no files to train on in {path}, among {', '.join(sorted(splits)) or 'none'}.",
            expected=f"files such as train-00000{ending}; one without a word for a split in its name is to train on",
        )
    return splits


def _with_ending(path: Path, ending: str) -> Iterator[Path]:
    return (file for file in _files_below(path) if file.suffix.casefold() == ending)


def _files_below(folder: Path, depth: int = 1) -> Iterator[Path]:
    """The files in a folder and in those below it, but what is nobody's data.

    Raises:
        OSError: a folder cannot be read.
    """
    for child in sorted(folder.iterdir(), key=lambda child: child.name):
        if is_ignored(child.name):
            continue
        if not child.is_dir():
            yield child
        elif depth < _DEEPEST:
            yield from _files_below(child, depth + 1)


def _split_of(part: Path, folders: tuple[str, ...]) -> str:
    """The split that a word in the name of a file or of its folders says, such as "test" of "mnist-test-000001.tar";
    "train" without.

    Raises:
        DataError: it says two.
    """
    found = sorted({split for name in (part.stem, *folders) for split in _splits_in(name)})
    if len(found) > 1:
        raise DataError(f"The name of {part} says two splits, {' and '.join(found)}.", hint="rename it")
    return found[0] if found else "train"


def _splits_in(name: str) -> set[str]:
    words = re.findall(r"[^\W\d_]+", name)
    return {split for word in words if (split := usual_split(word)) is not None}
