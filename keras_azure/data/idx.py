"""The reader of the data set `idx`: a folder of four files in the format that MNIST came in.

An IDX file is a header (two zero bytes, a byte for the type of the values, a byte for the number of dimensions, and
each dimension's size as a big-endian 32-bit number) and the values. http://yann.lecun.com/exdb/mnist/ describes it.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.formats.idx import idx_files
from keras_azure.data.memory import require_memory
from keras_azure.data.sizes import ResizedDataset, resized
from keras_azure.data.splits import described
from keras_azure.errors import DataError, UnreadableFile

_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_UINT8 = 0x08
_GZIP = b"\x1f\x8b"
_LARGEST_EXPANSION = 1032  # deflate, which gzip uses, makes no more than so many bytes of one
_CHUNK = 1 << 20  # bytes


def idx(*, path: str, image_size: tuple[int, int] | None = None) -> ArrayDataset | ResizedDataset:
    """Reads the data set that `formats.idx.Idx` describes."""
    folder = Path(path)
    files = idx_files(folder)
    splits = {split: _read_split(*pair) for split, pair in files.items()}
    _check_agreement(files, splits)
    num_classes = int(splits["train"][1].max()) + 1
    sizes = {split: len(labels) for split, (_, labels) in splits.items()}
    description = described(f"IDX folder {folder}", sizes, splits["train"][0].shape[1:], num_classes)
    return resized(ArrayDataset([str(label) for label in range(num_classes)], splits, description), image_size)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Reads an IDX file of bytes, compressed with gzip or not.

    Args:
        path: the file.
        dimensions: how many the file must have: 3 for pictures, 1 for labels.

    Returns:
        uint8, in the shape that the file says.

    Raises:
        UnreadableFile: the file cannot be opened, or is not exactly such a file.
        DataError: its content does not fit in memory.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            compressed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            if not compressed:
                return _parse(file, size, dimensions, path)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _parse(unpacked, size * _LARGEST_EXPANSION, dimensions, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _refusal(path, f"its gzip compression is damaged: {error}") from error
    except OSError as error:
        raise UnreadableFile(f"The IDX file {path} cannot be read: {error.strerror}.") from error


def _parse(file: BinaryIO, most_bytes: int, dimensions: int, path: Path) -> np.ndarray:
    """Reads the content of an IDX file that has no more than `most_bytes`."""
    shape = _read_header(file, dimensions, path)
    claimed = math.prod(shape)
    # The header may claim anything; memory is used only for what the file can hold, and then as it comes.
    if claimed > most_bytes:
        raise _refusal(path, f"its header announces {claimed} bytes, more than it can hold")
    require_memory(claimed, f"The IDX file {path}")
    content = bytearray()
    while len(content) <= claimed and (chunk := file.read(_CHUNK)):
        content += chunk
    if len(content) != claimed:
        found = "more" if len(content) > claimed else f"only {len(content)}"
        raise _refusal(path, f"its header announces {claimed} bytes, and there are {found}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_header(file: BinaryIO, dimensions: int, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if not magic:
        raise _refusal(path, "it is empty")
    sizes = file.read(4 * dimensions)
    if magic[:2] != b"\0\0":
        raise _refusal(path, f"it begins with {magic[:2].hex(' ')}, where IDX files have 00 00")
    if len(sizes) < 4 * dimensions:
        raise _refusal(path, "it ends within its header")
    if magic[2] != _UINT8:
        found = _TYPES.get(magic[2], "no known type")
        raise _refusal(
            path, f"its type code is 0x{magic[2]:02X} ({found}), where pictures and labels have 0x08 (uint8)"
        )
    if magic[3] != dimensions:
        raise _refusal(path, f"it has {magic[3]} dimensions instead of {dimensions}")
    shape = struct.unpack(f">{dimensions}I", sizes)
    if 0 in shape:
        raise _refusal(path, f"it holds nothing: its dimensions are {'x'.join(map(str, shape))}")
    return shape


def _refusal(path: Path, reason: str) -> UnreadableFile:
    return UnreadableFile(
        f"The IDX file {path} cannot be used: {reason}.",
        expected="an IDX file as MNIST has them, complete",
        hint="fetch or write the file again",
    )


def _read_split(pictures_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    pictures, labels = read_idx(pictures_path, 3), read_idx(labels_path, 1)
    if len(pictures) != len(labels):
        raise DataError(
            f"{pictures_path} has {len(pictures)} pictures, and {labels_path} has {len(labels)} labels.",
            expected="a label for each picture",
        )
    return pictures[..., np.newaxis], labels  # (N, height, width, 1), (N,)


def _check_agreement(files: dict[str, tuple[Path, Path]], splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    train_shape, test_shape = (splits[split][0].shape[1:3] for split in ("train", "test"))
    if train_shape != test_shape:
        raise DataError(
            f"{files['test'][0]} has pictures of {test_shape[0]}x{test_shape[1]} pixels, and {files['train'][0]} of "
            f"{train_shape[0]}x{train_shape[1]}.",
            expected="training and test pictures of one size",
        )
    train_labels, test_labels = splits["train"][1], splits["test"][1]
    if train_labels.min() == train_labels.max():
        raise DataError(
            f"{files['train'][1]} has only one class: every label is {train_labels[0]}.",
            expected="two classes or more",
        )
    if test_labels.max() > train_labels.max():
        raise DataError(
            f"{files['test'][1]} has the label {test_labels.max()}, and {files['train'][1]} none above "
            f"{train_labels.max()}.",
            expected="a test of the classes that are trained",
        )
