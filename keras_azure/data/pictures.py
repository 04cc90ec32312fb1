"""Picture files, read with simplejpeg and Pillow. Whatever is wrong with one, the error names it and says what."""

import contextlib
import hashlib
import stat
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
import simplejpeg
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin

from keras_azure.data.resizing import Size, resize
from keras_azure.errors import UnreadableFile

# What was decoded with another text here may differ. The number goes up with each change of this file or of resizing.py
# that changes pixels; the libraries bring their own decoders.
DECODING = f"3 with Pillow {PIL.__version__}, simplejpeg {version('simplejpeg')}"

MOST_PIXELS = 89_478_485  # Pillow's own limit against files that unpack to enormous pictures

# How a file begins says what it is. Pillow's classes are called directly: its Image.open warns of large pictures, and
# warnings cannot be caught in one thread alone.
_JPEG = b"\xff\xd8\xff"
_FORMATS: dict[bytes, type[ImageFile.ImageFile]] = {
    _JPEG: JpegImagePlugin.JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImagePlugin.PngImageFile,
    b"BM": BmpImagePlugin.BmpImageFile,
    b"GIF87a": GifImagePlugin.GifImageFile,
    b"GIF89a": GifImagePlugin.GifImageFile,
}
_GRAY_MODES = ("1", "L", "LA", "I", "I;16")
_HEADER_BYTES = 1 << 16  # of a JPEG, in which its size is found if there is no large profile or thumbnail before it
_EXPECTED = "a JPEG, PNG, BMP or GIF picture"
_HINT = "remove it, or pass --skip-unreadable"

# Pillow warns of damaged EXIF data and the like, which do not change the pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.\w+ImagePlugin")


def read_picture(path: Path, size: Size | None, channels: int, *, hint: str = _HINT) -> np.ndarray:
    """The pixels of a picture file; of a GIF, its first frame.

    Args:
        path: a JPEG, PNG, BMP or GIF file; its content decides, not its name.
        size: height and width that the picture is stretched to; None leaves it as it is.
        channels: 1 for gray, 3 for red, green and blue; whatever the file has is converted, and transparency dropped.
        hint: what errors tell to do.

    Returns:
        uint8 (height, width, channels), 0..255.

    Raises:
        UnreadableFile: it is no such picture, is damaged, too large, or cannot be opened.
    """
    with _open(path, hint) as file:
        return decode_picture(file, f"The picture {path}", size, channels, hint=hint)


def picture_header(path: Path) -> tuple[int, int, int]:
    """Height, width and channels (1 if it is gray, else 3) of a picture file, without decoding its pixels.

    Raises:
        UnreadableFile: it is no picture, too large, or cannot be opened.
    """
    with _open(path) as file, _explained(f"The picture {path}", _HINT):
        header = _jpeg_header(file.read(_HEADER_BYTES))
        if header is not None:
            return header
        image = _recognised(file)
        return image.height, image.width, 1 if image.mode in _GRAY_MODES else 3


def decode_picture(file: BinaryIO, name: str, size: Size | None, channels: int, *, hint: str = _HINT) -> np.ndarray:
    """As `read_picture`, from an open file; errors call it `name` and give the `hint`."""
    with _explained(name, hint):
        pixels, extent = _decoded_jpeg(file, size, channels) or (_decoded(file, channels), None)
    return pixels if size is None else resize(pixels, size, extent)


def hash_file(path: Path) -> bytes:
    """A digest of the content of a picture file, 16 bytes.

    Raises:
        UnreadableFile: it cannot be read.
    """
    with _open(path) as file, _explained(f"The picture {path}", _HINT):
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()  # type: ignore[arg-type]  # a file


def _jpeg_header(content: bytes) -> tuple[int, int, int] | None:
    """As `picture_header`, of a JPEG for simplejpeg; None leaves it to Pillow, to read or to say what is wrong."""
    if not content.startswith(_JPEG):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    if height * width > MOST_PIXELS or colours in ("CMYK", "YCCK"):  # of which Pillow makes truer colours
        return None
    return height, width, 1 if colours == "Gray" else 3


def _decoded_jpeg(file: BinaryIO, size: Size | None, channels: int) -> tuple[np.ndarray, tuple[float, float]] | None:
    """The pixels, made fewer by a half, quarter or eighth each way where they are to become much fewer anyway.

    What is left has at least twice the height and width of `size`, so that the resizing that follows has the last word
    (Pillow's `thumbnail` does the same). It takes a fraction of the time and memory.

    Returns:
        uint8 (height, width, channels), and how much of the height and width is the picture: the last row and column
        may stand for less than the others. None as `_jpeg_header`, with the file at its beginning.
    """
    start = file.read(len(_JPEG))
    content = start + file.read() if start == _JPEG else b""
    file.seek(0)
    header = _jpeg_header(content)
    if header is None:
        return None
    height, width, _ = header
    factor = 1 if size is None else _reduction(height / size[0], width / size[1])
    try:
        pixels = simplejpeg.decode_jpeg(
            content,
            "GRAY" if channels == 1 else "RGB",
            min_height=-(-height // factor),
            min_width=-(-width // factor),
        )
    except ValueError:
        return None
    return pixels, (height / factor, width / factor)


def _reduction(*times_too_large: float) -> int:
    """By how much a side is divided while decoding: 1, 2, 4 or 8."""
    return next((factor for factor in (8, 4, 2) if 2 * factor <= min(times_too_large)), 1)


def _decoded(file: BinaryIO, channels: int) -> np.ndarray:
    image: Image.Image = _recognised(file)
    image.load()
    if image.mode in ("I", "I;16"):  # 0..65535, which Pillow would cut off at 255
        wide = np.asarray(image).astype(np.uint32)
        image = Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    image.info.pop("transparency", None)  # or Pillow may warn that it is lost, which is what we want
    mode = "L" if channels == 1 else "RGB"
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))  # which would copy it all the same
    return pixels.reshape(image.height, image.width, channels)


class _PictureError(Exception):
    """Why a file is refused, as the end of the sentence "it cannot be read: ..."."""


@contextlib.contextmanager
def _open(path: Path, hint: str = _HINT) -> Iterator[BinaryIO]:
    with _explained(f"The picture {path}", hint):
        # Opening a pipe or a device would wait for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise _PictureError("it is no ordinary file")
        file = path.open("rb")
    with file:
        yield file


@contextlib.contextmanager
def _explained(name: str, hint: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Pillow raises nearly anything for damaged files: SyntaxError, struct.error ...
        raise UnreadableFile(f"{name} cannot be read: {_reason(error)}.", expected=_EXPECTED, hint=hint) from error


def _reason(error: Exception) -> str:
    match error:
        case _PictureError():
            return str(error)
        case OSError(errno=int()):  # the file system's errors have a number, Pillow's have none
            return str(error.strerror).lower()
        case MemoryError():
            return "there is not enough memory for it"
    return f"it is damaged ({error})" if str(error) else "it is damaged"


def _recognised(file: BinaryIO) -> ImageFile.ImageFile:
    """The picture, with its header read and its pixels not."""
    file.seek(0)
    start = file.read(16)
    file.seek(0)
    if not start:
        raise _PictureError("it is empty")
    for signature, plugin in _FORMATS.items():
        if start.startswith(signature):
            image = plugin(file)
            break
    else:
        raise _PictureError(_what_it_is(start))
    if image.width * image.height > MOST_PIXELS:
        raise _PictureError(f"it has {image.width}x{image.height} pixels, more than {MOST_PIXELS} in all")
    return image


def _what_it_is(start: bytes) -> str:
    others = {
        "a WebP picture": start[:4] == b"RIFF" and start[8:12] == b"WEBP",
        "a TIFF picture": start[:4] in (b"II*\0", b"MM\0*"),
        "a HEIC or AVIF picture": start[4:8] == b"ftyp",
    }
    found = [name for name, matches in others.items() if matches]
    return f"it is {found[0]}, a format that is not supported" if found else "it is no picture"
