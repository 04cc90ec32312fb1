"""Whether files of images go on to where their formats say that they end: a look at a few bytes of each.

The functions may say no of a file that is whole, such as one with something appended: only decoding tells.
"""

import os
import struct
from collections.abc import Callable
from typing import BinaryIO

Ending = Callable[[BinaryIO], bool]

_STRIPS, _TILES = (273, 279), (324, 325)  # tags of TIFF: where the pixels are, and how many bytes of each
_TIFF_TYPES = {3: "H", 4: "I", 16: "Q"}
_MOST_VALUES = 1 << 20


def ends_with(mark: bytes) -> Ending:
    """Of a format whose files end with the same bytes."""

    def ending(file: BinaryIO) -> bool:
        file.seek(-min(len(mark), _size(file)), os.SEEK_END)
        return file.read() == mark

    return ending


def has_length(at: int, more: int) -> Ending:
    """Of a format whose files have their length, less `more`, at this place."""

    def ending(file: BinaryIO) -> bool:
        file.seek(at)
        length = int.from_bytes(file.read(4), "little")
        return 0 < length + more <= _size(file)

    return ending


def has_all_boxes(file: BinaryIO) -> bool:
    """Of AVIF and HEIC, whose files are boxes of a length each: the last one ends where the file does."""
    at, size = 0, _size(file)
    while at + 8 <= size:
        file.seek(at)
        length = int.from_bytes(file.read(4), "big")
        if length == 1:
            file.seek(at + 8)
            length = int.from_bytes(file.read(8), "big")
        if length < 8:  # 0 is up to the end, which tells nothing
            return False
        at += length
    return at == size


def has_all_strips(file: BinaryIO) -> bool:
    """Of TIFF: the pixels of its first frame, which may lie anywhere in the file, are all within it."""
    try:
        tags = _tiff_tags(file)
        places, lengths = next(
            (tags[offsets], tags[counts]) for offsets, counts in (_STRIPS, _TILES) if offsets in tags
        )
        size = _size(file)
        return all(place + length <= size for place, length in zip(places, lengths, strict=True))
    except (StopIteration, KeyError, struct.error, ValueError):  # odd or damaged
        return False


def _tiff_tags(file: BinaryIO) -> dict[int, tuple[int, ...]]:
    """The tags of the first directory that are whole numbers."""
    file.seek(0)
    head = file.read(16)
    order, big = "<" if head[:1] == b"I" else ">", 43 in head[2:4]
    word, start = ("Q", 8) if big else ("I", 4)
    counted, width = ("Q", 20) if big else ("H", 12)
    file.seek(struct.unpack_from(order + word, head, start)[0])
    (count,) = _read(file, order + counted)
    entries = file.read(min(count, 1 << 16) * width)
    tags = {}
    for at in range(0, len(entries) - width + 1, width):
        tag, kind, values = struct.unpack_from(f"{order}HH{word}", entries, at)
        if tag in (*_STRIPS, *_TILES) and 0 < values <= _MOST_VALUES:
            layout = f"{order}{values}{_TIFF_TYPES[kind]}"
            value = at + struct.calcsize(f"={'HH' + word}")
            if struct.calcsize(layout) <= struct.calcsize("=" + word):
                tags[tag] = struct.unpack_from(layout, entries, value)
            else:
                file.seek(struct.unpack_from(order + word, entries, value)[0])
                tags[tag] = _read(file, layout)
    return tags


def _read(file: BinaryIO, layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
