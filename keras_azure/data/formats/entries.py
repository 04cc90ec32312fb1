"""What is in a folder of a disk: hidden files and what systems leave behind are nobody's data."""

import os
from collections.abc import Iterator
from pathlib import Path

from keras_azure.data.formats.layout import Listing, some_of
from keras_azure.data.formats.litter import is_ignored, is_litter
from keras_azure.errors import DataError

_MOST_LINKS = 10_000  # to folders, that are followed: links to each other can make more paths than there are atoms


def list_folder(root: Path) -> Listing:
    """All that is below a folder. Links are followed, those to folders too; one that leads to a folder which holds it
    has no end, and is left out with a note.

    Raises:
        DataError: there are more than 10,000 links to folders.
        OSError: a folder cannot be read.
    """
    files: list[str] = []
    folders: list[str] = []
    rings: list[str] = []
    followed = 0
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        prefix = f"{folder}/" if folder else ""
        with os.scandir(root / folder) as found:
            for entry in found:
                path = prefix + entry.name
                if not _is_folder(entry):
                    files.append(path)
                elif is_ignored(entry.name):
                    if not is_litter(entry.name):
                        folders.append(path)
                elif entry.is_symlink() and _leads_back(root, path):
                    rings.append(path)
                else:
                    folders.append(path)
                    waiting.append(path)
                    followed += entry.is_symlink()
        if followed > _MOST_LINKS:
            raise DataError(
                f"The image folder {root} holds more than {_MOST_LINKS} links to folders, such as {waiting[-1]}.",
                hint="remove links that lead to each other",
            )
    notes = (f"Left out, as links that lead back to where they are: {some_of(set(rings))}",) if rings else ()
    return Listing(files, folders, notes)


def files_below(folder: Path) -> Iterator[Path]:
    """All that is no folder below a folder: files, links to files, and what else there may be. Links to folders are not
    followed.

    Raises:
        OSError: a folder cannot be read.
    """
    for parent, _, names in _walk(folder):
        yield from (parent / name for name in names)


def links_below(folder: Path) -> Iterator[Path]:
    """All links below a folder, to files and to folders.

    Raises:
        OSError: a folder cannot be read.
    """
    for parent, subfolders, names in _walk(folder):
        yield from (parent / name for name in [*subfolders, *names] if (parent / name).is_symlink())


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _leads_back(root: Path, path: str) -> bool:
    """Whether a link to a folder leads to one of those that hold it, up to the top of the disk."""
    link = root / path
    holders = [link.parent, *link.parent.parents, *root.resolve().parents]
    return any(link.samefile(holder) for holder in holders)


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for parent, subfolders, names in os.walk(folder, onerror=_raise):
        subfolders[:] = [name for name in subfolders if not is_ignored(name)]
        yield Path(parent), subfolders, [name for name in names if not is_ignored(name)]


def _raise(error: OSError) -> None:
    raise error
