"""The data set `idx`: which four files of a folder it is made of, and how each of them begins.

An IDX file is a header (two zero bytes, a byte for the type of the values, a byte for the number of dimensions, and
each dimension's size as a big-endian 32-bit number) and the values. http://yann.lecun.com/exdb/mnist/ describes it.
"""

import contextlib
import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from keras_azure.data.formats.options import check_image_size
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

_STEMS = {"train": "train", "test": "t10k"}
_IMAGES, _LABELS = 3, 1  # dimensions
_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_UINT8 = 0x08
_GZIP = b"\x1f\x8b"
_LARGEST_EXPANSION = 1032  # deflate, which gzip uses, makes no more than so many bytes of one
_TELLING = "idx3-ubyte"  # in the name of every IDX file of images: train-images-idx3-ubyte.gz


class Idx(OpenedLater):
    """A folder of the four MNIST-style files, compressed with gzip or not.

    Args:
        path: the folder that holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
            t10k-labels-idx1-ubyte; names such as train-images.idx3-ubyte.gz will do, too.
        image_size: height and width that the pictures are stretched to.
    """

    def __init__(self, *, path: str, image_size: tuple[int, int] | None = None) -> None:
        check_image_size(image_size)
        super().__init__("keras_azure.data.idx:idx", path=path, image_size=image_size)
        self._folder = Path(path)

    @staticmethod
    def recognises(path: Path) -> bool:
        return path.is_dir() and any(_TELLING in child.name for child in path.iterdir())

    def files(self, observer: Observer) -> list[Path]:
        files = []
        for pair in idx_files(self._folder).values():
            for path, dimensions in zip(pair, (_IMAGES, _LABELS), strict=True):
                with open_idx(path) as (file, _):
                    read_header(file, dimensions, path)
                files.append(path)
        return files


def idx_files(folder: Path) -> dict[str, tuple[Path, Path]]:
    """The file of images and the file of labels of each split; links are followed.

    Raises:
        DataError: one of them is not there.
    """
    return {
        split: (_find(folder, stem, "images", _IMAGES), _find(folder, stem, "labels", _LABELS))
        for split, stem in _STEMS.items()
    }


@contextlib.contextmanager
def open_idx(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """An IDX file, compressed with gzip or not, opened to be read; and the most bytes that it can hold.

    Raises:
        UnreadableFile: it cannot be opened, or what is read turns out to be damaged.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            compressed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            if not compressed:
                yield file, size
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast(BinaryIO, unpacked), size * _LARGEST_EXPANSION
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise refusal(path, f"its gzip compression is damaged: {error}") from error
    except OSError as error:
        raise UnreadableFile(f"The IDX file {path} cannot be read: {error.strerror}.") from error


def read_header(file: BinaryIO, dimensions: int, path: Path) -> tuple[int, ...]:
    """The sizes that the header of an open file announces; what follows are the values.

    Raises:
        UnreadableFile: it is no header of a file of bytes with so many dimensions.
    """
    magic = file.read(4)
    if not magic:
        raise refusal(path, "it is empty")
    sizes = file.read(4 * dimensions)
    if magic[:2] != b"\0\0":
        raise refusal(path, f"it begins with {magic[:2].hex(' ')}, where IDX files have 00 00")
    if len(sizes) < 4 * dimensions:
        raise refusal(path, "it ends within its header")
    if magic[2] != _UINT8:
        found = _TYPES.get(magic[2], "no known type")
        raise refusal(path, f"its type code is 0x{magic[2]:02X} ({found}), where pictures and labels have 0x08 (uint8)")
    if magic[3] != dimensions:
        raise refusal(path, f"it has {magic[3]} dimensions instead of {dimensions}")
    shape = struct.unpack(f">{dimensions}I", sizes)
    if 0 in shape:
        raise refusal(path, f"it holds nothing: its dimensions are {'x'.join(map(str, shape))}")
    return shape


def refusal(path: Path, reason: str) -> UnreadableFile:
    """The error of a file that is no such file as it should be."""
    return UnreadableFile(
        f"The IDX file {path} cannot be used: {reason}.",
        expected="an IDX file as MNIST has them, complete",
        hint="fetch or write the file again",
    )


def _find(folder: Path, stem: str, content: str, dimensions: int) -> Path:
    usual = f"{stem}-{content}-idx{dimensions}-ubyte"
    names = [usual, f"{usual}.gz", usual.replace("-idx", ".idx"), f"{usual.replace('-idx', '.idx')}.gz"]
    with contextlib.suppress(OSError):  # such as a path that is too long
        for name in names:
            if (folder / name).is_file():
                return folder / name
    raise DataError(f"The IDX folder {folder} has no file {usual}.", expected=" or ".join(names))
