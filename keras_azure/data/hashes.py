"""Digests of the images of a split. One that is decoded is hashed on the way, and not read a second time for it."""

import hashlib
import io
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

_BYTES = 16  # of a digest
_LARGEST_HELD = 64_000_000  # bytes: what is larger may be no image at all, and is not taken into memory for this


class Hashes:
    """The digests of a split's images, as far as they are known; threads may share it.

    Args:
        size: how many images there are.
    """

    def __init__(self, size: int) -> None:
        self._known = np.zeros(size, bool)
        self._digests = np.empty((size, _BYTES), np.uint8)

    def has(self, index: int) -> bool:
        return bool(self._known[index])

    def get(self, index: int) -> bytes:
        return self._digests[index].tobytes()

    def known(self) -> np.ndarray:
        """The digests that are known, uint8 (n, 16)."""
        return self._digests[self._known]

    def keep(self, index: int, found: bytes) -> None:
        self._digests[index] = np.frombuffer(found, np.uint8)
        self._known[index] = True

    def of_file(self, index: int, file: BinaryIO) -> BinaryIO:
        """Hashes an open file, which is at its beginning and can seek, and gives what has the same content."""
        size = file.seek(
            0, io.SEEK_END
        )  # not found out by reading up to a limit: Python makes room for all of it first
        file.seek(0)
        if size > _LARGEST_HELD:
            return file
        content = file.read()
        self.keep(index, hashlib.blake2b(content, digest_size=_BYTES).digest())
        return io.BytesIO(content)


def digest(file: Any) -> bytes:
    """Of the content of an open file, 16 bytes."""
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_BYTES)).digest()


def repeated(hashes: Mapping[str, Hashes]) -> str:
    """A line on images that are there more than once, by the digests that are known of each split; empty if none is."""
    digests = np.concatenate([each.known() for each in hashes.values()])
    splits = np.repeat(np.arange(len(hashes)), [len(each.known()) for each in hashes.values()])
    _, number, counts = np.unique(digests.view(f"V{_BYTES}").ravel(), return_inverse=True, return_counts=True)
    more = int((counts[number] > 1).sum())
    if not more:
        return ""
    pairs = np.unique(np.stack([number, splits], axis=1), axis=0)
    leaked = int((np.bincount(pairs[:, 0]) > 1)[number].sum())
    across = f", {leaked} of them in more than one of {', '.join(hashes)}" if leaked else ""
    return f"{more} images have a copy that is equal to the byte{across}. kaz data check says which."
