"""What of this machine's disk travels to the cluster: the files of the data set, and of weights that are named.

A set of files is known by its content, so that it is uploaded once. Many small files travel in archives: a mounted
folder of small files is slow, and so is their upload. The job unpacks them onto its own disk.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keras_azure.description.events import Observer
from keras_azure.errors import DataError
from keras_azure.registry.specs import Spec

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")  # how files of pictures begin
_IDX = re.compile(r"(train|t10k)-(images[-.]idx3|labels[-.]idx1)-ubyte(\.gz)?")
_WEIGHTS_ENDINGS = (".keras", ".weights.h5", ".h5")
_LITTER = ("thumbs.db", "desktop.ini")
_SECRET = re.compile(
    r"(.*/)?(\.env.*|\.netrc|\.git-credentials|id_(rsa|dsa|ecdsa|ed25519)|(.*[._-])?(secrets?|credentials?|passwords?)"
    r"([._-].*)?|.*\.(pem|key|pfx|p12|jks|kdbx|publishsettings))",
    re.IGNORECASE,
)
_MANY_FILES = 100  # from so many on, and if they are small, they are packed
_SMALL_BYTES = 4e6  # files of this size and more are read as fast as any; Azure's advice for training data
_PACK_BYTES = 256e6
_THREADS = 8
_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class File:
    """A file under the name that it travels with, which has slashes."""

    name: str
    path: Path
    size: int


@dataclass(frozen=True)
class FileSet:
    """Files that travel together.

    Attributes:
        digest: of their names and contents.
        is_packed: whether they travel in archives.
    """

    files: tuple[File, ...]
    digest: str
    is_packed: bool

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files)

    @property
    def largest(self) -> list[File]:
        return sorted(self.files, key=lambda file: -file.size)[:5]

    @property
    def packs(self) -> list[list[File]]:
        """The files of each archive, in their order."""
        packs: list[list[File]] = [[]]
        size = 0
        for file in self.files:
            if size and size + file.size > _PACK_BYTES:
                packs.append([])
                size = 0
            packs[-1].append(file)
            size += file.size
        return packs


def looks_secret(name: str) -> bool:
    """Whether files of this name usually hold keys or passwords."""
    return _SECRET.fullmatch(name) is not None


def files_of_dataset(spec: Spec, observer: Observer) -> FileSet | None:
    """The files that a data set of this machine's disk is made of; None for one that goes by name.

    Raises:
        DataError: there are none, or one of them is no picture.
    """
    path = spec.options.get("path")
    if not isinstance(path, str):
        return None
    root = Path(path)
    if spec.name == "idx":
        files = [file for file in _children(root) if _IDX.fullmatch(file.name)]
    elif spec.name == "folder":
        files = list(_pictures(root, bool(spec.options.get("skip_unreadable")), observer))
    else:
        files = list(_below(root, root)) if root.is_dir() else [_file(root, root.name)]
    if not files:
        raise DataError(f"There are no files to upload in {root}.", hint="kaz preview --data shows what is in a folder")
    small = sum(file.size for file in files) / len(files) < _SMALL_BYTES
    return _file_set(files, observer, is_packed=spec.name == "folder" and len(files) >= _MANY_FILES and small)


def files_of_weights(path: Path, observer: Observer) -> FileSet:
    ending = next((ending for ending in _WEIGHTS_ENDINGS if path.name.endswith(ending)), "")
    return _file_set([_file(path, f"weights{ending}")], observer, is_packed=False)


def write_pack(files: Sequence[File], target: BinaryIO) -> None:
    """Writes an archive that is the same for the same files, whoever has them and since when."""
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in files:
            entry = tarfile.TarInfo(file.name)
            entry.size, entry.mode = file.size, 0o644
            with file.path.open("rb") as content:
                archive.addfile(entry, content)


def _file_set(files: Sequence[File], observer: Observer, *, is_packed: bool) -> FileSet:
    files = sorted(files, key=lambda file: file.name)
    total = hashlib.sha256(b"packed" if is_packed else b"")
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, (file, digest) in enumerate(zip(files, pool.map(_digest, files), strict=True), start=1):
            total.update(os.fsencode(file.name) + b"\0" + digest)
            observer.advance("Looking for what is new", done, len(files))
    return FileSet(tuple(files), total.hexdigest(), is_packed)


def _digest(file: File) -> bytes:
    try:
        with file.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").digest()
    except OSError as error:
        raise DataError(f"{file.path} cannot be read: {error.strerror}.") from error


def _pictures(root: Path, skips_others: bool, observer: Observer) -> Iterator[File]:
    """As the data set `folder` lists them: in the folders of classes, without links and what is hidden."""
    others = []
    for folder in sorted(root.iterdir()):
        if not folder.is_dir() or folder.is_symlink() or folder.name.startswith("."):
            continue
        for file in _below(folder, root):
            with file.path.open("rb") as content:
                begins = content.read(8)
            if begins.startswith(_PICTURES):
                yield file
            elif skips_others:
                others.append(file.name)
            else:
                raise DataError(
                    f"{file.path} is no picture, and nothing else is uploaded.",
                    hint="take it out of the folder; or --skip-unreadable",
                )
    if others:
        observer.message(
            f"Not uploaded, as they are no pictures: {', '.join(others[:3])}{', ...' if others[3:] else ''}"
        )


def _below(folder: Path, root: Path) -> Iterator[File]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and name.lower() not in _LITTER and path.is_file() and not path.is_symlink():
                yield _file(path, path.relative_to(root).as_posix())


def _children(root: Path) -> Iterator[File]:
    for path in sorted(root.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            yield _file(path, path.name)


def _file(path: Path, name: str) -> File:
    try:
        return File(name, path, path.stat().st_size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
