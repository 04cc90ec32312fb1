"""What is in an archive, as an index: the place of each file in it. Nothing is ever unpacked to the disk.

An archive comes from anywhere: names and links that lead out of it, members that share bytes, and images that unpack to
far more than an image has are refused.
"""

import contextlib
import io
import os
import posixpath
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keras_azure.data.formats.images import ImageError, explained
from keras_azure.errors import DataError, UnreadableFile

STORED, DEFLATED = 0, 8  # how a member is kept: the numbers that zip files have for it
_LARGEST = 1 << 29  # bytes, unpacked; the largest image that is decoded has fewer
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # of a member of a zip file: signature, lengths of what is before its data
_LOCAL_SIGNATURE = b"PK\3\4"
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:[/\\]")
_MOST_LINKS = 40  # that lead to each other


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    Attributes:
        start: where its data is, or in a zip file the header before it.
        packed: bytes in the archive.
        size: bytes, unpacked.
        method: `STORED` or `DEFLATED`.
        checksum: CRC-32 of what is unpacked; None in archives that have none.
    """

    start: int
    packed: int
    size: int
    method: int = STORED
    checksum: int | None = None


@dataclass(frozen=True)
class Archive:
    """An archive as it was when it was looked through.

    Attributes:
        state: of the file then, see `state_of`: an index is of no other.
        members: its files, by their paths with slashes.
        folders: paths of folders; those that hold files need not be among them.
        has_headers: whether a header of a member stands at its `start`.
    """

    path: Path
    state: tuple[int, int]
    members: Mapping[str, Member]
    folders: tuple[str, ...] = ()
    has_headers: bool = False

    def image(self, member: Member, name: str) -> BinaryIO:
        """A member that is an image, in memory; errors call it `name`.

        Raises:
            UnreadableFile: it cannot be read.
        """
        with explained(name):
            return io.BytesIO(self.read(member))

    def read(self, member: Member) -> bytes:
        """The content of a member. Threads may read members at the same time.

        Raises:
            ImageError: it is damaged, or far too large for an image.
            OSError: the archive cannot be read.
        """
        if member.size > _LARGEST:
            raise ImageError(f"it would unpack to {member.size} bytes, far more than an image has")
        with self.path.open("rb") as file:
            if state_of(file) != self.state:
                raise ImageError(f"{self.path.name} has changed since the run began")
            file.seek(member.start)
            if self.has_headers:
                _skip_header(file)
            packed = file.read(member.packed)
        if len(packed) < member.packed:
            raise ImageError(f"{self.path.name} ends within it")
        return _unpacked(packed, member)


def state_of(file: BinaryIO) -> tuple[int, int]:
    """What tells that an open file has not changed: its size, and the time of its last change."""
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def opened(path: Path, kind: str) -> Iterator[BinaryIO]:
    """An archive, opened to be looked through.

    Raises:
        UnreadableFile: it cannot be, or is damaged, whatever goes wrong within.
    """
    try:
        with path.open("rb") as file:
            yield file
    except DataError:
        raise
    except OSError as error:
        raise refusal(path, kind, str(error.strerror or error).lower()) from error
    except Exception as error:  # Python's readers of archives raise nearly anything for damaged files
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise refusal(path, kind, f"it is damaged ({said})") from error


def refusal(path: Path, kind: str, reason: str, hint: str = "fetch or pack it again") -> UnreadableFile:
    return UnreadableFile(f"The {kind} {path} cannot be used: {reason}.", hint=hint)


def inner_path(name: str, path: Path, kind: str) -> str:
    """The path of a member without "." and doubled slashes.

    Raises:
        UnreadableFile: it leads out of the archive.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if _ABSOLUTE.match(name) or ".." in parts or "\0" in name:
        raise refusal(path, kind, f"its member {name!r} would lie outside of it")
    return "/".join(parts)


def with_links(members: Mapping[str, Member], links: Mapping[str, str], path: Path, kind: str) -> dict[str, Member]:
    """The members, and under the names of links what they lead to.

    Args:
        links: the path within the archive that each leads to, by its own; see `link_target`.

    Raises:
        UnreadableFile: one leads to no file in the archive.
    """
    found = dict(members)
    for name in links:
        target = name
        for _ in range(_MOST_LINKS):
            target = links.get(target, target)
            if target in members:
                break
        if target not in members:
            raise refusal(path, kind, f"its link {name!r} leads to {links[name]!r}, which is no file in it")
        found[name] = members[target]
    return found


def link_target(name: str, target: str, path: Path, kind: str) -> str:
    """The path within the archive that a symbolic link leads to.

    Raises:
        UnreadableFile: it leads out of the archive.
    """
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if _ABSOLUTE.match(target) or joined == ".." or joined.startswith("../"):
        raise refusal(path, kind, f"its link {name!r} leads out of it, to {target!r}")
    return joined


def check_bytes(members: Iterable[tuple[str, int, int]], size: int, path: Path, kind: str) -> None:
    """
    Args:
        members: the name of each, where it begins and where it ends.
        size: of the archive.

    Raises:
        UnreadableFile: the archive ends before one does, or two have bytes in common.
    """
    before, last = "", 0
    for name, start, end in sorted(members, key=lambda each: each[1:]):
        if end > size or start < 0:
            raise refusal(path, kind, f"it ends before its member {name!r} does")
        if start < last:
            raise refusal(path, kind, f"its members {before!r} and {name!r} lie one in the other")
        before, last = name, end


def _skip_header(file: BinaryIO) -> None:
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_SIGNATURE):
        raise ImageError("its header in the archive is damaged")
    _, name, extra = _LOCAL_HEADER.unpack(header)
    file.seek(name + extra, os.SEEK_CUR)


def _unpacked(packed: bytes, member: Member) -> bytes:
    content = packed
    if member.method == DEFLATED:
        unpack = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = unpack.decompress(packed, member.size + 1)  # no more, whatever it would unpack to
        except zlib.error as error:
            raise ImageError("it cannot be unpacked") from error
    if len(content) != member.size or (member.checksum is not None and zlib.crc32(content) != member.checksum):
        raise ImageError("its checksum in the archive is wrong")
    return content
