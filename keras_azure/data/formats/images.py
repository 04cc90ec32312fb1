"""Files of images: how they begin tells what they are. Whatever is wrong with one, the error names it and says what.

FORMATS is the one table of what can be read: the reader, `kaz predict` and what looks through files before they are
uploaded go by it.
"""

import importlib.util
import io
import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keras_azure.data.formats.endings import Ending, ends_with, has_all_boxes, has_all_strips, has_length
from keras_azure.errors import UnreadableFile
from keras_azure.lazy import lazy

JPEG_SIGNATURE = b"\xff\xd8\xff"
HINT = "remove it, or pass --skip-unreadable"
_START = 64  # bytes, which hold every signature
_SMALL = 1 << 16  # bytes of a file that is read at once
# Opening a pipe would wait for whoever writes to it.
_TO_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

Name = str | Callable[[], str]


class ImageError(Exception):
    """Why a file is refused, as the end of the sentence "it cannot be read: ..."; `hint` is what to do about it, where
    that is another thing than with any other file."""

    def __init__(self, problem: str, *, hint: str = ""):
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True)
class Format:
    """A format of image files.

    Attributes:
        name: as users know it.
        signature: what a file begins with.
        decoder: the class of Pillow that reads it, as text: neither is needed where files are only looked at.
        reaches_end: whether a file seems to be whole; if not, only decoding tells.
        hint: what to install where the decoder is not there.
        requirement: what brings the decoder, for pip; empty where keras_azure itself does.
    """

    name: str
    signature: re.Pattern[bytes]
    decoder: str
    reaches_end: Ending
    hint: str = "pip install --upgrade pillow"
    requirement: str = ""


def _starts(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


# An ISO file of images may begin with a brand of its container, and has that of its codec among the next ones.
FORMATS = (
    Format("JPEG", _starts(re.escape(JPEG_SIGNATURE)), "PIL.JpegImagePlugin:JpegImageFile", ends_with(b"\xff\xd9")),
    Format("PNG", _starts(rb"\x89PNG\r\n\x1a\n"), "PIL.PngImagePlugin:PngImageFile", ends_with(b"IEND\xaeB`\x82")),
    Format("BMP", _starts(rb"BM"), "PIL.BmpImagePlugin:BmpImageFile", has_length(2, 0)),
    Format("GIF", _starts(rb"GIF8[79]a"), "PIL.GifImagePlugin:GifImageFile", ends_with(b";")),
    Format("WebP", _starts(rb"RIFF.{4}WEBP"), "PIL.WebPImagePlugin:WebPImageFile", has_length(4, 8)),
    # Cameras' raw files are TIFF, too; of those of Canon the first image is a small copy.
    Format("TIFF", _starts(rb"(II[*+]\0|MM\0[*+])(?!.{4}CR)"), "PIL.TiffImagePlugin:TiffImageFile", has_all_strips),
    Format(
        "AVIF",
        _starts(rb".{4}ftyp(avi[fs]|(mif1|msf1).{4}(.{4})*?avi[fs])"),
        "PIL.AvifImagePlugin:AvifImageFile",
        has_all_boxes,
    ),
    Format(
        "HEIC",
        _starts(rb".{4}ftyp(hei[cxms]|hev[cxms]|mif1|msf1)"),
        "pillow_heif:HeifImageFile",
        has_all_boxes,
        'pip install "keras-azure[heic]"',
        "keras-azure[heic]",
    ),
)
_NAMES = [each.name for each in FORMATS]
EXPECTED = f"a {', '.join(_NAMES[:-1])} or {_NAMES[-1]} picture"


def check_image(path: Path) -> Format:
    """Looks at how a file begins and ends, as whoever reads it does first, and gives its format; links are followed.

    Raises:
        UnreadableFile: it cannot be opened, does not begin as an image, or ends too early.
    """
    with open_image(path) as file, explained(f"The picture {path}"):
        found = image_format(file)
        if not found.reaches_end(file):
            lazy("keras_azure.data.decoding:check_pixels")(file)
        return found


def requirements_of(formats: Iterable[Format]) -> list[str]:
    """What pip is to install, beside keras_azure, where images of these formats are read."""
    return sorted({each.requirement for each in formats if each.requirement})


def readable_here() -> list[Format]:
    """The formats whose decoders are installed: which of them its images have, a reader may be the first to know."""
    return [each for each in FORMATS if importlib.util.find_spec(each.decoder.split(":")[0].split(".")[0])]


def is_image(path: Path) -> bool:
    """Whether a file begins as an image."""
    try:
        with open_image(path) as file, explained(f"The picture {path}"):
            image_format(file)
    except UnreadableFile:
        return False
    return True


def image_format(file: BinaryIO) -> Format:
    """The format of an open file; the file is at its beginning again then.

    Raises:
        ImageError: it is none that can be read.
    """
    file.seek(0)
    start = file.read(_START)
    file.seek(0)
    if not start:
        raise ImageError("it is empty")
    for each in FORMATS:
        if each.signature.match(start):
            return each
    raise ImageError("it is no picture")


def open_image(path: str | Path, hint: str = HINT) -> BinaryIO:
    """The file, opened to be read; a link is followed. What is small is in memory then, and the file closed again.

    Raises:
        UnreadableFile: it cannot be opened, or is no ordinary file.
    """
    with explained(lambda: f"The picture {path}", hint):
        descriptor = os.open(path, _TO_READ)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise ImageError("it is no ordinary file")
            if found.st_size <= _SMALL and len(content := os.read(descriptor, _SMALL)) == found.st_size:
                return io.BytesIO(content)
            os.lseek(descriptor, 0, os.SEEK_SET)
            return os.fdopen(os.dup(descriptor), "rb")
        finally:
            os.close(descriptor)


class explained:  # noqa: N801 - it is used as a function is
    """Turns whatever goes wrong with an image within into one error that names it.

        with explained("The picture a.png"):
            ...

    Args:
        name: what errors call the image, or what gives that: few images have an error.
        hint: what they tell to do.

    Raises:
        UnreadableFile: something went wrong.
    """

    def __init__(self, name: Name, hint: str = HINT) -> None:
        self._name = name
        self._hint = hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(
            error, Exception
        ):  # Pillow raises nearly anything for damaged files: SyntaxError, struct.error ...
            name = self._name if isinstance(self._name, str) else self._name()
            hint = getattr(error, "hint", "") or self._hint
            problem = f"{name} cannot be read: {_reason(error)}."
            raise UnreadableFile(problem, expected=EXPECTED, hint=hint) from error


def _reason(error: Exception) -> str:
    match error:
        case ImageError():
            return str(error)
        case OSError(errno=int()):  # the file system's errors have a number, Pillow's have none
            return str(error.strerror).lower()
        case MemoryError():
            return "there is not enough memory for it"
    return f"it is damaged ({error})" if str(error) else "it is damaged"
