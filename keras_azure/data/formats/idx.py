"""The data set `idx`: which four files of a folder it is made of, and how each of them begins.

An IDX file is a header (two zero bytes, a byte for the type of the values, a byte for the number of dimensions, and
each dimension's size as a big-endian 32-bit number) and the values. http://yann.lecun.com/exdb/mnist/ describes it.
"""

import contextlib
import gzip
import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from keras_azure.data.formats.litter import IDX_IMAGES
from keras_azure.data.formats.options import check_image_size
from keras_azure.data.opened_later import ReadAtOnce
from keras_azure.description.commands import command
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile
from keras_azure.registry.specs import Spec

_STEMS = {"train": ("train",), "test": ("t10k", "test")}
# MNIST's own names, and its successors': emnist-letters-test-images-idx3-ubyte.gz, qmnist-train-labels-idx2-int.
_NAME = re.compile(
    r"(?:(?P<prefix>.+)[-_])?(?P<stem>train|t10k|test)-(?P<content>images(?=.idx3-ubyte)|labels)(?P<mark>[-.])idx"
    r"(?:[31]-ubyte|2-int)(?P<gz>\.gz)?"
)
_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_UINT8, _INT32 = 0x08, 0x0C
_GZIP = b"\x1f\x8b"
_LARGEST_EXPANSION = 1032  # deflate, which gzip uses, makes no more than so many bytes of one


class Idx(ReadAtOnce):
    """A folder of the four MNIST-style files, compressed with gzip or not.

    Args:
        path: the folder that holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
            t10k-labels-idx1-ubyte; names such as train-images.idx3-ubyte.gz will do, too, and those that EMNIST and
            QMNIST have: emnist-letters-test-images-idx3-ubyte.gz.
        image_size: height and width that the pictures are stretched to.
        prefix: what the names begin with, where the folder holds more than one data set: "emnist-letters".
        transposed: True exchanges rows and columns, which sets the pictures of EMNIST upright: nothing in such files
            says how they are to be seen.
    """

    def __init__(
        self,
        *,
        path: str,
        image_size: tuple[int, int] | None = None,
        prefix: str | None = None,
        transposed: bool = False,
    ) -> None:
        check_image_size(image_size)
        super().__init__(
            "keras_azure.data.idx:idx", path=path, image_size=image_size, prefix=prefix, transposed=transposed
        )
        self._folder, self._prefix = Path(path), prefix

    @staticmethod
    def recognises(path: Path) -> bool:
        return path.is_dir() and any(IDX_IMAGES in child.name for child in path.iterdir())

    def files(self, observer: Observer) -> list[Path]:
        files = [path for pair in idx_files(self._folder, self._prefix).values() for path in pair]
        for path in files:
            with open_idx(path) as (file, _):
                read_header(file, *form_of(path), path)
        return files


def idx_files(folder: Path, prefix: str | None = None) -> dict[str, tuple[Path, Path]]:
    """The file of images and the file of labels of each split; links are followed.

    Args:
        folder: where they are.
        prefix: what their names begin with; by default what all of them do, which may be nothing.

    Raises:
        DataError: one of them is not there, or there are several data sets.
    """
    there = _names_in(folder)
    found = {
        name: match for name in there if (match := _NAME.fullmatch(name)) is not None and (folder / name).is_file()
    }
    if prefix is None:
        prefixes = sorted({match["prefix"] or "" for match in found.values()})
        if len(prefixes) > 1:
            raise DataError(
                f"The IDX folder {folder} holds {len(prefixes)} data sets: their names begin with "
                f"{' and '.join(each or 'train' for each in prefixes)}.",
                hint=command("--data", Spec("idx", {"path": str(folder), "prefix": prefixes[0]})),
            )
        prefix = next(iter(prefixes), "")
    chosen = {name: match for name, match in found.items() if (match["prefix"] or "") == prefix}
    return {
        split: (_find(folder, prefix, split, "images", chosen), _find(folder, prefix, split, "labels", chosen))
        for split in _STEMS
    }


def form_of(path: Path) -> tuple[int, int]:
    """How many dimensions a file must have by its name, and the code of the type of its values.

    QMNIST's labels are rows of eight numbers, of which the first one is the class.
    """
    name = path.name
    if "-images" in name:
        return 3, _UINT8
    return (2, _INT32) if re.search(r"idx2-int", name) else (1, _UINT8)


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


def read_header(file: BinaryIO, dimensions: int, type_code: int, path: Path) -> tuple[int, ...]:
    """The sizes that the header of an open file announces; what follows are the values.

    Raises:
        UnreadableFile: it is no header of a file of such values with so many dimensions.
    """
    magic = file.read(4)
    if not magic:
        raise refusal(path, "it is empty")
    sizes = file.read(4 * dimensions)
    if magic[:2] != b"\0\0":
        raise refusal(path, f"it begins with {magic[:2].hex(' ')}, where IDX files have 00 00")
    if len(sizes) < 4 * dimensions:
        raise refusal(path, "it ends within its header")
    if magic[2] != type_code:
        found = _TYPES.get(magic[2], "no known type")
        whose = "pictures and labels have" if type_code == _UINT8 else "a file of this name has"
        expected = f"0x{type_code:02X} ({_TYPES[type_code]})"
        raise refusal(path, f"its type code is 0x{magic[2]:02X} ({found}), where {whose} {expected}")
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


def _names_in(folder: Path) -> list[str]:
    with contextlib.suppress(OSError, ValueError):  # such as a path that is too long, or has a null byte
        return sorted(child.name for child in folder.iterdir())
    return []


def _find(folder: Path, prefix: str, split: str, content: str, found: dict[str, re.Match[str]]) -> Path:
    def order(name: str) -> tuple[int, bool, bool]:
        match = found[name]
        return _STEMS[split].index(match["stem"]), match["mark"] == ".", match["gz"] is not None

    fitting = [name for name, match in found.items() if match["stem"] in _STEMS[split] and match["content"] == content]
    if fitting:
        return folder / min(fitting, key=order)
    form = "idx3-ubyte" if content == "images" else "idx1-ubyte"
    stem = "-".join(part for part in (prefix, _STEMS[split][0], content) if part)
    raise DataError(
        f"The IDX folder {folder} has no file {stem}-{form}.",
        expected=" or ".join(f"{stem}{mark}{form}{gz}" for mark in "-." for gz in ("", ".gz")),
        hint=_nearly(_names_in(folder), found),
    )


def _nearly(names: Iterable[str], found: dict[str, re.Match[str]]) -> str:
    """Which files look as if they were meant."""
    alike = [name for name in names if "idx" in name.casefold() and name not in found]
    return f"rename what is meant: {', '.join(alike[:4])}" if alike else ""
