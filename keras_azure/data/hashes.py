"""Digests of the files of a split. A file that is decoded is hashed on the way, and not read a second time for it."""

import hashlib
import io
import os
from typing import BinaryIO

import numpy as np

from keras_azure.data.formats.images import explained

_BYTES = 16  # of a digest, as of `images.hash_file`
_LARGEST_HELD = 64_000_000  # bytes: what is larger may be no image at all, and is not taken into memory for this


class Hashes:
    """The digests of a split's files, as far as they are known; threads may share it.

    Args:
        size: how many files there are.
    """

    def __init__(self, size: int) -> None:
        self._known = np.zeros(size, bool)
        self._digests = np.empty((size, _BYTES), np.uint8)

    def has(self, index: int) -> bool:
        return bool(self._known[index])

    def get(self, index: int) -> bytes:
        return self._digests[index].tobytes()

    def keep(self, index: int, digest: bytes) -> None:
        self._digests[index] = np.frombuffer(digest, np.uint8)
        self._known[index] = True

    def of_file(self, index: int, file: BinaryIO, name: str) -> BinaryIO:
        """Hashes an open file, which errors call `name`, and gives what has the same content.

        Raises:
            UnreadableFile: it cannot be read.
        """
        if os.fstat(file.fileno()).st_size > _LARGEST_HELD:
            return file
        with explained(name):
            content = file.read()
        self.keep(index, hashlib.blake2b(content, digest_size=_BYTES).digest())
        return io.BytesIO(content)
