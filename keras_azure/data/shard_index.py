"""The index of a shard of WebDataset: where its images are and what their labels say. It is made once, and kept in the
cache folder until the shard has another size or time of change."""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_azure.data.formats.images import ImageError
from keras_azure.data.formats.members import Archive, Member
from keras_azure.data.formats.tar_index import look_through_tar
from keras_azure.data.formats.webdataset import samples_of
from keras_azure.data.store import indices_folder
from keras_azure.errors import DataError, KerasAzureError
from keras_azure.files import write_atomically

_FORMAT = 1
_LONGEST_LABEL = 1000  # bytes
_NUMBERS = ("state", "starts", "sizes", "name_ends", "labels")


@dataclass(frozen=True)
class ShardIndex:
    """One shard.

    Attributes:
        state: of the file, as `Archive` has it.
        starts, sizes: of each image in the file, int64 (N,).
        names: of the images, one behind the other, as bytes; `name_ends` says where each ends, int64 (N,).
        texts: what labels say; `labels` are indices into them, int64 (N,).
    """

    path: Path
    state: tuple[int, int]
    starts: np.ndarray
    sizes: np.ndarray
    names: bytes
    name_ends: np.ndarray
    texts: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def archive(self) -> Archive:
        return Archive(self.path, self.state, {})

    def member(self, number: int) -> Member:
        return Member(int(self.starts[number]), int(self.sizes[number]), int(self.sizes[number]))

    def name(self, number: int) -> str:
        start = self.name_ends[number - 1] if number else 0
        return self.names[start : self.name_ends[number]].decode("utf-8", "surrogateescape")


def index_of(path: Path) -> ShardIndex:
    """The index of a shard: the one that was kept, if it is of this shard as it is now.

    Raises:
        DataError: it is no shard, or is damaged.
    """
    kept = indices_folder() / f"{hashlib.blake2b(str(path).encode('utf-8', 'replace'), digest_size=16).hexdigest()}.npz"
    found = _kept(kept, path)
    if found is None:
        found = _made(path)
        with contextlib.suppress(OSError, KerasAzureError):  # such as a folder that cannot be written to
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, lambda beside: _write(beside, found))
    return found


def _made(path: Path) -> ShardIndex:
    shard = look_through_tar(path)
    samples = samples_of(shard)
    numbers: dict[str, int] = {}
    labels = [numbers.setdefault(_label(shard, sample.name, sample.label), len(numbers)) for sample in samples]
    names = [sample.name.encode("utf-8", "surrogateescape") for sample in samples]
    return ShardIndex(
        path,
        shard.state,
        np.array([sample.image.start for sample in samples], np.int64),
        np.array([sample.image.size for sample in samples], np.int64),
        b"".join(names),
        np.cumsum([len(name) for name in names], dtype=np.int64),
        tuple(numbers),
        np.array(labels, np.int64),
    )


def _label(shard: Archive, name: str, member: Member) -> str:
    try:
        if member.size > _LONGEST_LABEL:
            raise ImageError(f"it has {member.size} bytes")
        text = shard.read(member).decode().strip()
        if "\0" in text:
            raise ImageError("it has control characters in it")
    except (ImageError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"The class of {name!r} in {shard.path} cannot be read: {error}.") from error
    return text


def _write(path: Path, index: ShardIndex) -> None:
    texts = np.frombuffer("\0".join(index.texts).encode("utf-8"), np.uint8)
    names = np.frombuffer(index.names, np.uint8)
    numbers = {name: getattr(index, name) for name in _NUMBERS}
    with path.open("wb") as file:
        np.savez(file, format=_FORMAT, texts=texts, names=names, **numbers)


def _kept(kept: Path, path: Path) -> ShardIndex | None:
    """The index that was kept; None if there is none, or it is of another state, or damaged."""
    try:
        found = path.stat()
        with kept.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if int(file["format"]) != _FORMAT or file["state"].tolist() != [found.st_size, found.st_mtime_ns]:
                return None
            starts, sizes, name_ends, labels = (file[name] for name in _NUMBERS[1:])
            texts, names = file["texts"].tobytes().decode("utf-8").split("\0"), file["names"].tobytes()
    except Exception:  # NumPy and zipfile raise nearly anything for damaged files
        return None
    arrays = (starts, sizes, name_ends, labels)
    count = len(starts) if starts.ndim == 1 else 0
    sound = (
        count > 0
        and all(array.dtype == np.int64 and array.shape == (count,) for array in arrays)
        and min(map(np.min, (starts, sizes, np.diff(name_ends, prepend=0), labels))) >= 0
        and int((starts + sizes).max()) <= found.st_size
        and int(name_ends[-1]) == len(names)
        and int(labels.max()) < len(texts)
    )
    if not sound:
        return None
    state = (found.st_size, found.st_mtime_ns)
    return ShardIndex(path, state, starts, sizes, names, name_ends, tuple(texts), labels)
