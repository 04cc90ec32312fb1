"""The index of a zip file, from the directory at its end."""

import stat
import zipfile
from pathlib import Path

from keras_azure.data.formats.images import ImageError
from keras_azure.data.formats.members import (
    DEFLATED,
    STORED,
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

KIND = "zip file"
_METHODS = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma", 9: "deflate64", 93: "zstd", 95: "xz"}
_ENCRYPTED = 1  # of a member's flags
_LONGEST_TARGET = 4096  # bytes, of a link
_UNIX = 16  # bits of a member's attributes, above which Unix has its mode
_HEADER = 30  # bytes before a member's name, at least


def look_through_zip(path: Path) -> Archive:
    """
    Raises:
        UnreadableFile: it is no zip file, or cannot be read in place.
    """
    with opened(path, KIND) as file, zipfile.ZipFile(file) as archive:
        state = state_of(file)
        members: dict[str, Member] = {}
        folders: list[str] = []
        symlinks: list[str] = []
        for info in archive.infolist():
            # Some programs for Windows write its own separator.
            name = inner_path(info.orig_filename.replace("\\", "/"), path, KIND)
            if info.is_dir() or info.orig_filename.endswith("\\"):
                folders.append(name)
                continue
            if name in members:
                raise refusal(path, KIND, f"it has two members called {name!r}")
            members[name] = _member(info, path)
            if stat.S_ISLNK(info.external_attr >> _UNIX):
                symlinks.append(name)
        ends = ((name, each.start, each.start + _HEADER + each.packed) for name, each in members.items())
        check_bytes(ends, state[0], path, KIND)
        found = Archive(path, state, members, tuple(folders), has_headers=True)
        links = {name: link_target(name, _target(found, name), path, KIND) for name in symlinks}
        files = {name: member for name, member in members.items() if name not in links}
        return Archive(path, state, with_links(files, links, path, KIND), tuple(folders), has_headers=True)


def _member(info: zipfile.ZipInfo, path: Path) -> Member:
    if info.flag_bits & _ENCRYPTED:
        raise refusal(path, KIND, "it is encrypted", "unpack it with its password, and pass the folder: --data FOLDER")
    if info.compress_type not in (STORED, DEFLATED):
        method = _METHODS.get(info.compress_type, f"the method {info.compress_type}")
        raise refusal(
            path,
            KIND,
            f"its member {info.orig_filename!r} is compressed with {method}",
            "zip packs with deflate, and zip -0 does not compress, which images are anyway",
        )
    return Member(info.header_offset, info.compress_size, info.file_size, info.compress_type, info.CRC)


def _target(archive: Archive, name: str) -> str:
    member = archive.members[name]
    if member.size > _LONGEST_TARGET:
        raise refusal(archive.path, KIND, f"its link {name!r} leads nowhere")
    try:
        return archive.read(member).decode()
    except ImageError as error:
        raise refusal(archive.path, KIND, f"its link {name!r} is damaged") from error
