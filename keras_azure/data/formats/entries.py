"""What counts in a folder of data: hidden files and what systems leave behind do not; links to folders lead nowhere."""

import os
from collections.abc import Iterator
from pathlib import Path

_LITTER = ("thumbs.db", "desktop.ini")  # what Windows leaves in folders of images; macOS hides its .DS_Store


def is_ignored(name: str) -> bool:
    """Whether a file or folder of this name belongs to nobody's data."""
    return name.startswith(".") or name.casefold() in _LITTER


def folders_in(parent: Path) -> list[Path]:
    """The folders right below a folder, by name; a link to a folder is none.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(parent) as found:
        names = [child.name for child in found if child.is_dir(follow_symlinks=False)]
    return [parent / name for name in sorted(names) if not is_ignored(name)]


def files_below(folder: Path) -> Iterator[Path]:
    """All that is no folder below a folder: files, links to files, and what else there may be.

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


def _walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for parent, subfolders, names in os.walk(folder, onerror=_raise):
        subfolders[:] = [name for name in subfolders if not is_ignored(name)]
        yield Path(parent), subfolders, [name for name in names if not is_ignored(name)]


def _raise(error: OSError) -> None:
    raise error
