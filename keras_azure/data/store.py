"""A store of decoded pictures on the disk, so that later epochs and later runs need not decode them again. The features
of frozen networks are kept in it too, as pictures of bytes (models/features.py).

    cache folder/
      KEY/               an entry: one split of a data set, in one size
        pictures.raw     uint8 (N, height, width, channels)
        labels.raw       int64 (N,), little-endian; uint8 (N, labels) or float32 (N, numbers) where they are vectors
        entry.json       shape, bytes and checksums; it is touched when the entry is used
      KEY.part/          an entry that is being made, by the process that holds its lock
      KEY.gone/          an entry that is being removed, by the process that holds the folder's lock
      locks/             KEY.lock of each entry that was ever made, and folder.lock; empty

The files of an entry never change, and their folder gets its name when all of them are on the disk. Whatever is found
under the name is checked nevertheless: disks fail, and people tidy up. An entry may be removed while it is in use,
because a file that is mapped stays until nobody uses it.
"""

import contextlib
import datetime
import errno
import hashlib
import json
import math
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from keras_azure.data import Dataset, task_of_data
from keras_azure.data.images import DECODING
from keras_azure.data.label_forms import LabelForm
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UsageError

Shape = tuple[int, int, int, int]  # pictures, height, width, channels
Fill = Callable[[np.ndarray, np.ndarray], None]

_FORMAT = 1  # of the files here
_PICTURES, _LABELS, _NOTE = "pictures.raw", "labels.raw", "entry.json"
_KEY = re.compile("[0-9a-f]{32}")
_CHUNK = 16 << 20  # bytes that have a checksum
_PIECE = 1 << 20  # bytes that are read at once
_DEFAULT_GIGABYTES = 50.0
_SHARE_LEFT_FREE = 0.1  # of the disk


class Storable(Protocol):
    """What may be stored: a data set, or the features of one. With vectors as labels, it has `task` and `class_names`
    of a data set besides."""

    split_sizes: Mapping[str, int]
    image_shape: tuple[int, int, int]
    description: str

    def fingerprint(self, split: str, observer: Observer) -> str: ...


@dataclass(frozen=True)
class _Content:
    """What an entry holds."""

    shape: Shape
    form: LabelForm

    @classmethod
    def of(cls, dataset: Dataset | Storable, split: str) -> "_Content":
        shape = (dataset.split_sizes[split], *dataset.image_shape)
        task = task_of_data(dataset)
        return cls(shape, LabelForm(task, 0 if task == "classify" else len(getattr(dataset, "class_names", ()))))

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of each file but the note, which is small."""
        labels = self.shape[0] * math.prod(self.form.shape) * self.form.dtype.itemsize
        return {_PICTURES: math.prod(self.shape), _LABELS: labels}

    @property
    def label_type(self) -> np.dtype:
        """Of the labels in their file: little-endian."""
        return self.form.dtype.newbyteorder("<")


@dataclass(frozen=True)
class Entry:
    """One split of a data set in the store.

    Attributes:
        description: the split and the data set's description.
        size: bytes.
        last_used: when it was made or last opened, in local time.
    """

    key: str
    description: str
    size: int
    last_used: datetime.datetime


def cache_folder() -> Path:
    """The folder that KAZ_CACHE names, or `pictures` in the user's folder for caches of keras_azure."""
    named = os.environ.get("KAZ_CACHE")
    folder = Path(named).expanduser() if named else platformdirs.user_cache_path("keras_azure") / "pictures"
    return folder.absolute()


def indices_folder() -> Path:
    """The folder of what is kept of files that have no index of their own; it goes with the entries."""
    return cache_folder() / "indices"


def open_stored(dataset: Storable, split: str, fill: Fill, observer: Observer) -> tuple[np.ndarray, np.ndarray]:
    """The pictures and labels of a split from the store, where they are put if they are not there yet.

    Args:
        dataset: has a `fingerprint`.
        fill: fills an array of pictures, uint8 (N, height, width, channels), and one of labels, as `arrays` of a data
            set gives them; called
            only if there is no sound entry.
        observer: hears of progress, of damage, and of another run that is waited for.

    Returns:
        The pictures, a `np.memmap`, and the labels, both read-only.

    Raises:
        DataError: there is no room for the entry, or the cache folder cannot be used.
        UsageError: KAZ_CACHE_GB is no amount.
        Exception: what `fill` raises; nothing of the entry is left then.
    """
    content = _Content.of(dataset, split)
    entry = cache_folder() / _key(dataset, split, observer)
    checking = f"Checking the stored {split} pictures"
    with contextlib.suppress(_Damaged):
        # No lock: reading does no harm, and works in a folder that may not be written to.
        if (arrays := _open_entry(entry, content, checking, observer)) is not None:
            return arrays
    with _locked(entry.name, observer):
        try:
            # Another run may have made it by now.
            if (arrays := _open_entry(entry, content, checking, observer)) is not None:
                return arrays
        except _Damaged as damage:
            observer.message(f"The stored {split} pictures in {entry} are damaged ({damage}), and are made again.")
            with _explained(), _locked():
                _remove(entry)
        return _make_entry(entry, content, dataset, split, fill, observer)


def can_store(dataset: Dataset | Storable, split: str) -> bool:
    """Whether the store can have an entry of this split: the data set has a fingerprint, and the entry would fit.

    Raises:
        DataError: the cache folder cannot be used.
        UsageError: KAZ_CACHE_GB is no amount.
    """
    return hasattr(dataset, "fingerprint") and sum(_Content.of(dataset, split).sizes.values()) <= limit()


def limit() -> int:
    """The bytes that the store may hold in all: KAZ_CACHE_GB, or less where the disk has not that much to spare.

    Raises:
        DataError: the cache folder cannot be used.
        UsageError: KAZ_CACHE_GB is no amount.
    """
    with _explained():
        return max(0, min(_most_bytes(), _held() + _free()))


def entries() -> list[Entry]:
    """What is in the store, the entry that was used last first.

    Raises:
        DataError: the cache folder cannot be used.
    """
    with _explained():
        found = [_described(folder) for folder in _folders()]
    return sorted(found, key=lambda entry: entry.last_used, reverse=True)


def clear() -> tuple[int, int]:
    """Removes all entries but those that are being made at this moment, and gives their number and bytes.

    Raises:
        DataError: the cache folder cannot be used.
    """
    if not cache_folder().is_dir():
        return 0, 0
    count = size = 0
    with _explained(), _locked():
        _remove_leftovers()
        for entry in entries():
            if _remove(cache_folder() / entry.key):
                count, size = count + 1, size + entry.size
        shutil.rmtree(indices_folder(), ignore_errors=True)
    return count, size


def size_in_words(size: int) -> str:
    """Bytes for a message: "1.5 GB"."""
    for unit, factor in {"GB": 1e9, "MB": 1e6, "kB": 1e3}.items():
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


class _Damaged(Exception):
    """Why an entry is not believed, as a few words."""


def _key(dataset: Storable, split: str, observer: Observer) -> str:
    content: tuple[object, ...] = (
        dataset.fingerprint(split, observer),
        split,
        tuple(dataset.image_shape),
        _FORMAT,
        DECODING,
    )
    if (form := _Content.of(dataset, split).form).shape:
        content += (form.task, form.count)
    return hashlib.blake2b(repr(content).encode(), digest_size=16).hexdigest()


def _open_entry(
    entry: Path, content: _Content, activity: str, observer: Observer
) -> tuple[np.ndarray, np.ndarray] | None:
    """The arrays of an entry; None if there is none.

    Raises:
        _Damaged: it is not as it was made.
    """
    if not entry.is_dir():
        return None
    shape = content.shape
    try:
        note = json.loads((entry / _NOTE).read_text(encoding="utf-8"))
        if not isinstance(note, dict) or note.get("shape") != list(shape):
            raise _Damaged(f"{_NOTE} does not tell of {shape[0]} pictures of {'x'.join(map(str, shape[1:]))}")
        for name, size in content.sizes.items():
            found = (entry / name).stat().st_size
            if found != size:
                raise _Damaged(f"{name} has {found} bytes instead of {size}")
        if note.get("checksums") != _checksums(entry, content, activity, observer):
            raise _Damaged("a checksum is wrong")
        arrays = _map(entry, content)
    except OSError as error:
        if not entry.is_dir():  # removed by another run that needs the room
            return None
        raise _Damaged(str(error.strerror).lower()) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or JSON that is nested without end
        raise _Damaged(f"{_NOTE} is no JSON") from error
    with contextlib.suppress(OSError):  # somebody else's folder: it is not ours to tidy up, either
        os.utime(entry / _NOTE)
    return arrays


def _map(entry: Path, content: _Content) -> tuple[np.ndarray, np.ndarray]:
    pictures = np.memmap(entry / _PICTURES, np.uint8, "r", shape=content.shape)
    labels = np.fromfile(entry / _LABELS, content.label_type).astype(content.form.dtype)
    labels = labels.reshape(len(pictures), *content.form.shape)
    labels.flags.writeable = False
    return pictures, labels


def _checksums(entry: Path, content: _Content, activity: str, observer: Observer) -> dict[str, list[int]]:
    """The checksum of each chunk of each file.

    CRC-32 finds every flipped bit and nearly all other damage, and is the quickest that Python brings: 2.9 GB/s a core,
    where blake2b does 0.8. The files are read and not mapped: a disk's read error is an exception then, and not a
    signal that ends the process. What was read is in the system's cache for the first epoch.
    """
    shape, sizes = content.shape, content.sizes
    chunks = [(name, start) for name, size in sizes.items() for start in range(0, size, _CHUNK)]
    sums: dict[str, list[int]] = {name: [] for name in sizes}

    def checksum(chunk: tuple[str, int]) -> int:
        name, start = chunk
        found, piece = 0, memoryview(bytearray(_PIECE))
        with (entry / name).open("rb", buffering=0) as file:
            file.seek(start)
            left = min(_CHUNK, sizes[name] - start)
            while left and (read := file.readinto(piece[:left])):
                found, left = zlib.crc32(piece[:read], found), left - read
        return found

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for (name, start), value in zip(chunks, pool.map(checksum, chunks), strict=True):
                sums[name].append(value)
                if name == _PICTURES:
                    done = min(start + _CHUNK, sizes[_PICTURES]) * shape[0] // sizes[_PICTURES]
                    observer.advance(activity, done, shape[0])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return sums


def _make_entry(
    entry: Path, content: _Content, dataset: Storable, split: str, fill: Fill, observer: Observer
) -> tuple[np.ndarray, np.ndarray]:
    """Makes an entry whose lock is held and which is not there, and opens it."""
    part = entry.with_suffix(".part")
    shape, labels = content.shape, content.form.empty(content.shape[0])
    try:
        with _explained():
            with _locked():
                _remove_leftovers()
                shutil.rmtree(part, ignore_errors=True)  # its lock, which is held here, keeps the line above from it
                _make_room(sum(content.sizes.values()), f"The {split} pictures of {dataset.description}")
                part.mkdir()
                for name, size in content.sizes.items():
                    _allocate(part / name, size)
            pictures = np.memmap(part / _PICTURES, np.uint8, "r+", shape=shape)
        fill(pictures, labels)
        with _explained():
            pictures.flush()
            del pictures  # Windows does not rename a folder with files that are in use
            (part / _LABELS).write_bytes(labels.astype(content.label_type).tobytes())
            sums = _checksums(part, content, f"Storing the {split} pictures", observer)
            note = {"description": f"{split}: {dataset.description}", "shape": shape, "checksums": sums}
            (part / _NOTE).write_text(json.dumps(note), encoding="utf-8")
            for path in (*part.iterdir(), part):
                _flush(path)
            with _locked():  # or it could be removed to make room before it is opened
                part.rename(entry)
                _flush(entry.parent)
                return _map(entry, content)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _allocate(path: Path, size: int) -> None:
    """Makes a file that has its space on the disk: writing to a mapped file without would end the process by a signal
    when the disk is full.

    Raises:
        OSError: there is not so much space.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, size)
                return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):  # not on this file system
                    raise
        zeros = bytes(min(size, _CHUNK))
        for start in range(0, size, _CHUNK):
            file.write(zeros[: size - start])
        file.flush()
        os.fsync(file.fileno())


def _flush(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    if path.is_dir() and os.name != "posix":  # other systems do not open folders
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_room(needed: int, what: str) -> None:
    """Removes entries, the one that was not used for longest first, until there is room; the folder's lock is held.

    Raises:
        DataError: even then there is none. Nothing is removed if that is so from the beginning.
    """
    room = limit()
    if needed <= room:
        for entry in reversed(entries()):
            if needed <= _room():
                break
            _remove(cache_folder() / entry.key)
        room = max(0, _room())  # other runs may be making entries, and a removed one that is in use keeps its space
    if needed > room:
        raise DataError(
            f"{what} are {size_in_words(needed)} when they are decoded, which do not fit in {cache_folder()}.",
            expected=f"at most {size_in_words(room)}: KAZ_CACHE_GB is {_gigabytes():g}, a tenth of the disk stays "
            "free, and what other runs are storing stays",
            hint="--cache memory or --cache none; or set KAZ_CACHE_GB, or KAZ_CACHE to a folder on another disk; or "
            "kaz cache clear",
        )


def _gigabytes() -> float:
    text = os.environ.get("KAZ_CACHE_GB") or str(_DEFAULT_GIGABYTES)
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < math.inf:
            return float(text)
    raise UsageError(f"KAZ_CACHE_GB is {text!r}.", expected="the gigabytes of stored pictures to keep, such as 50")


def _most_bytes() -> int:
    return int(_gigabytes() * 1e9)


def _room() -> int:
    return min(_most_bytes() - _held(), _free())


def _free() -> int:
    """The bytes that the disk has to spare; they may be fewer than none."""
    # The folder itself need not be there yet.
    existing = next(folder for folder in (cache_folder(), *cache_folder().parents) if folder.exists())
    disk = shutil.disk_usage(existing)
    return disk.free - int(disk.total * _SHARE_LEFT_FREE)


def _held() -> int:
    """The bytes of all entries, those too that are being made."""
    return sum(_bytes_in(folder) for folder in (*_folders(), *_folders(".part")))


def _bytes_in(entry: Path) -> int:
    size = 0
    for name in (_PICTURES, _LABELS):
        with contextlib.suppress(FileNotFoundError):
            size += (entry / name).stat().st_size
    return size


def _described(entry: Path) -> Entry:
    used, description = 0.0, "damaged"
    with contextlib.suppress(OSError, ValueError, RecursionError, KeyError, TypeError):
        used = (entry / _NOTE).stat().st_mtime
        description = str(json.loads((entry / _NOTE).read_text(encoding="utf-8"))["description"])
    return Entry(entry.name, description, _bytes_in(entry), datetime.datetime.fromtimestamp(used).astimezone())


def _folders(ending: str = "") -> list[Path]:
    """The folders KEY, or KEY.part or KEY.gone; anything else in the cache folder is not ours."""
    try:
        with os.scandir(cache_folder()) as found:
            names = [child.name for child in found if child.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    keys = [name.removesuffix(ending) for name in sorted(names) if name.endswith(ending)]
    return [cache_folder() / f"{key}{ending}" for key in keys if _KEY.fullmatch(key)]


def _remove(entry: Path) -> bool:
    """Removes an entry, and says whether that was possible; the folder's lock is held."""
    gone = entry.with_suffix(".gone")
    shutil.rmtree(gone, ignore_errors=True)
    try:
        entry.rename(gone)  # first, so that nobody finds half an entry
    except OSError:  # such as on Windows, where somebody uses it
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _remove_leftovers() -> None:
    """Removes what processes that were killed have left; the folder's lock is held."""
    for gone in _folders(".gone"):
        shutil.rmtree(gone, ignore_errors=True)
    for part in _folders(".part"):
        with contextlib.suppress(OSError), _lock(part.stem).acquire(timeout=0):  # Timeout is an OSError, too
            shutil.rmtree(part, ignore_errors=True)


def _lock(name: str) -> FileLock:
    return FileLock(cache_folder() / "locks" / f"{name}.lock")


@contextlib.contextmanager
def _locked(name: str = "folder", observer: Observer | None = None) -> Iterator[None]:
    """Holds a lock, for which it waits; tells the observer, if there is one, of a long wait.

    An entry's lock is held as long as it is made; that of the folder, for moments, by whoever adds or removes a folder.
    Who holds the folder's waits for no other.
    """
    lock = _lock(name)
    with _explained():
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if observer is not None:
                observer.message("Another run is storing the same pictures: waiting for it")
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turns the errors of the file system into one that says how to go on."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"The disk of the picture cache {cache_folder()} is full.",
                hint="--cache none; or free some disk space, or set KAZ_CACHE to a folder on another disk",
            ) from error
        raise DataError(
            f"The picture cache {cache_folder()} cannot be used: {str(error.strerror).lower()}.",
            hint="--cache none, or set KAZ_CACHE to another folder",
        ) from error
