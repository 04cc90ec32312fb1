"""Files of images: how they begin tells what they are. Whatever is wrong with one, the error names it and says what."""

import contextlib
import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from keras_azure.errors import UnreadableFile

JPEG_SIGNATURE = b"\xff\xd8\xff"
_SIGNATURES = {
    JPEG_SIGNATURE: "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
_LONGEST_SIGNATURE = 16  # bytes, those of the formats that are only named included
_EXPECTED = "a JPEG, PNG, BMP or GIF picture"
HINT = "remove it, or pass --skip-unreadable"


class ImageError(Exception):
    """Why a file is refused, as the end of the sentence "it cannot be read: ..."."""


def check_image(path: Path) -> None:
    """Looks at how a file begins, as whoever reads it does first; links are followed.

    Raises:
        UnreadableFile: it cannot be opened, or does not begin as an image.
    """
    with open_image(path) as file, explained(f"The picture {path}"):
        image_format(file)


def image_format(file: BinaryIO) -> str:
    """The format of an open file, "JPEG", "PNG", "BMP" or "GIF"; the file is at its beginning again then.

    Raises:
        ImageError: it is none that can be read.
    """
    file.seek(0)
    start = file.read(_LONGEST_SIGNATURE)
    file.seek(0)
    if not start:
        raise ImageError("it is empty")
    for signature, name in _SIGNATURES.items():
        if start.startswith(signature):
            return name
    raise ImageError(_what_it_is(start))


@contextlib.contextmanager
def open_image(path: Path, hint: str = HINT) -> Iterator[io.BufferedReader]:
    """The file, opened to be read; a link is followed.

    Raises:
        UnreadableFile: it cannot be opened, or is no ordinary file.
    """
    with explained(f"The picture {path}", hint):
        # Opening a pipe or a device would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImageError("it is no ordinary file")
        file = path.open("rb")
    with file:
        yield file


@contextlib.contextmanager
def explained(name: str, hint: str = HINT) -> Iterator[None]:
    """Turns whatever goes wrong with an image within into one error that names it.

    Raises:
        UnreadableFile: something went wrong.
    """
    try:
        yield
    except Exception as error:  # Pillow raises nearly anything for damaged files: SyntaxError, struct.error ...
        raise UnreadableFile(f"{name} cannot be read: {_reason(error)}.", expected=_EXPECTED, hint=hint) from error


def _reason(error: Exception) -> str:
    match error:
        case ImageError():
            return str(error)
        case OSError(errno=int()):  # the file system's errors have a number, Pillow's have none
            return str(error.strerror).lower()
        case MemoryError():
            return "there is not enough memory for it"
    return f"it is damaged ({error})" if str(error) else "it is damaged"


def _what_it_is(start: bytes) -> str:
    others = {
        "a WebP picture": start[:4] == b"RIFF" and start[8:12] == b"WEBP",
        "a TIFF picture": start[:4] in (b"II*\0", b"MM\0*"),
        "a HEIC or AVIF picture": start[4:8] == b"ftyp",
    }
    found = [name for name, matches in others.items() if matches]
    return f"it is {found[0]}, a format that is not supported" if found else "it is no picture"
