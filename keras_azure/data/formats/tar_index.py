"""The index of a tar file, which has no directory: all its headers are read, one behind the other."""

import contextlib
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from keras_azure.data.formats.members import (
    Archive,
    Member,
    check_bytes,
    inner_path,
    link_target,
    opened,
    refusal,
    state_of,
    with_links,
)
from keras_azure.data.formats.shard_keys import are_samples

KIND = "tar file"
_BLOCK = 512  # bytes
_MAGIC, _MAGIC_AT = b"ustar", 257
_CHUNK = 1 << 20
_LOOKED_AT = 64  # members, which tell shards from class folders


def look_through_tar(path: Path) -> Archive:
    """
    Raises:
        UnreadableFile: it is no tar file, is compressed, or is cut off.
    """
    with opened(path, KIND) as file:
        if not is_tar(file):
            raise refusal(path, KIND, "it is no tar file, or is compressed", "tar -cf packs without compressing")
        state = state_of(file)
        members: dict[str, Member] = {}
        folders: list[str] = []
        links: dict[str, str] = {}
        for info in _headers(file, path):
            name = inner_path(info.name, path, KIND)
            if info.isdir():
                folders.append(name)
                continue
            if name in members or name in links:
                raise refusal(path, KIND, f"it has two members called {name!r}")
            if info.issym():
                links[name] = link_target(name, info.linkname, path, KIND)
            elif info.islnk():  # to a member before it, by its whole name
                links[name] = inner_path(info.linkname, path, KIND)
            elif info.isreg() and not info.issparse():
                members[name] = Member(info.offset_data, info.size, info.size)
            else:
                raise refusal(path, KIND, f"its member {name!r} is no ordinary file")
        ends = ((name, each.start, each.start + each.packed) for name, each in members.items())
        check_bytes(ends, state[0], path, KIND)
        return Archive(path, state, with_links(members, links, path, KIND), tuple(folders))


def is_shard(path: Path) -> bool:
    """Whether a tar file has samples, and not class folders: its first members tell."""
    return are_samples(_first_names(path))


def _first_names(path: Path) -> list[str]:
    """The names of the first files in a tar file; fewer where it is damaged or none."""
    names: list[str] = []
    with contextlib.suppress(Exception), path.open("rb") as file:  # nearly anything, see `opened`
        if is_tar(file):
            with tarfile.open(fileobj=file, mode="r:") as archive:
                names.extend(info.name for info in itertools.islice(archive, _LOOKED_AT) if not info.isdir())
    return names


def is_tar(file: BinaryIO) -> bool:
    """Whether an open file begins as a tar file does; it is at its beginning again then."""
    file.seek(_MAGIC_AT)
    found = file.read(len(_MAGIC)) == _MAGIC
    file.seek(0)
    return found


def _headers(file: BinaryIO, path: Path) -> Iterator[tarfile.TarInfo]:
    """All headers of an open tar file, which must end as one does: for Python's a damaged header is an end."""
    last = -1
    with tarfile.open(fileobj=file, mode="r:") as archive:
        while (info := archive.next()) is not None:
            if info.offset <= last:
                raise refusal(path, KIND, "it is damaged (its members go in a circle)")
            last = info.offset
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            yield info
        end = archive.offset
    file.seek(end)
    block = file.read(_BLOCK)
    if len(block) < _BLOCK:
        raise refusal(path, KIND, "it is cut off: its end mark is missing")
    if any(block):
        raise refusal(path, KIND, f"it is damaged at the byte {end}")
    while chunk := file.read(_CHUNK):
        if any(chunk):
            raise refusal(path, KIND, "it goes on behind its end mark, as archives do that were joined")
