"""The upload manifest: which files of this disk go to the cluster, those of the data set and of weights that are named.

A set of files is known by its content, so that it is uploaded once. Many small files travel in archives: a mounted
folder of small files is slow, and so is their upload. The job unpacks them onto its own disk.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keras_azure.data import Dataset
from keras_azure.data.local_files import local_files
from keras_azure.description.events import Observer
from keras_azure.errors import DataError
from keras_azure.registry.specs import Spec

_WEIGHTS_ENDINGS = (".keras", ".weights.h5", ".h5")
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


def files_of_dataset(spec: Spec, dataset: Dataset, observer: Observer) -> FileSet | None:
    """The files of this machine's disk that a data set is made of; None for one that goes by name.

    Args:
        spec: with absolute paths.
        dataset: what the spec builds, not opened.

    Raises:
        DataError: there are none, or one of them cannot be read.
    """
    files = [_file(file.path, file.name) for file in local_files(spec, dataset, observer)]
    if not files:
        return None
    small = sum(file.size for file in files) / len(files) < _SMALL_BYTES
    return _file_set(files, observer, is_packed=len(files) >= _MANY_FILES and small)


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


def _file(path: Path, name: str) -> File:
    try:
        return File(name, path, path.stat().st_size)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
