"""Picture files, read with simplejpeg and Pillow. Whatever is wrong with one, the error names it and says what."""

import hashlib
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
import simplejpeg
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin

from keras_azure.data.formats.images import HINT, JPEG_SIGNATURE, ImageError, explained, image_format, open_image
from keras_azure.data.resizing import Size, resize

# What was decoded with another text here may differ. The number goes up with each change of this file or of resizing.py
# that changes pixels; the libraries bring their own decoders.
DECODING = f"3 with Pillow {PIL.__version__}, simplejpeg {version('simplejpeg')}"

MOST_PIXELS = 89_478_485  # Pillow's own limit against files that unpack to enormous pictures

# Pillow's classes are called directly: its Image.open warns of large pictures, and warnings cannot be caught in one
# thread alone.
_PLUGINS: dict[str, type[ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
}
_GRAY_MODES = ("1", "L", "LA", "I", "I;16")
_HEADER_BYTES = 1 << 16  # of a JPEG, in which its size is found if there is no large profile or thumbnail before it

# Pillow warns of damaged EXIF data and the like, which do not change the pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.\w+ImagePlugin")


def read_image(path: Path, size: Size | None, channels: int, *, hint: str = HINT) -> np.ndarray:
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
    with open_image(path, hint) as file:
        return decode_image(file, f"The picture {path}", size, channels, hint=hint)


def image_header(path: Path) -> tuple[int, int, int]:
    """Height, width and channels (1 if it is gray, else 3) of a picture file, without decoding its pixels.

    Raises:
        UnreadableFile: it is no picture, too large, or cannot be opened.
    """
    with open_image(path) as file, explained(f"The picture {path}"):
        header = _jpeg_header(file.read(_HEADER_BYTES))
        if header is not None:
            return header
        image = _recognised(file)
        return image.height, image.width, 1 if image.mode in _GRAY_MODES else 3


def decode_image(file: BinaryIO, name: str, size: Size | None, channels: int, *, hint: str = HINT) -> np.ndarray:
    """As `read_image`, from an open file; errors call it `name` and give the `hint`."""
    with explained(name, hint):
        pixels, extent = _decoded_jpeg(file, size, channels) or (_decoded(file, channels), None)
    return pixels if size is None else resize(pixels, size, extent)


def hash_file(path: Path) -> bytes:
    """A digest of the content of a picture file, 16 bytes.

    Raises:
        UnreadableFile: it cannot be read.
    """
    with open_image(path) as file, explained(f"The picture {path}"):
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def _jpeg_header(content: bytes) -> tuple[int, int, int] | None:
    """As `image_header`, of a JPEG for simplejpeg; None leaves it to Pillow, to read or to say what is wrong."""
    if not content.startswith(JPEG_SIGNATURE):
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
    start = file.read(len(JPEG_SIGNATURE))
    content = start + file.read() if start == JPEG_SIGNATURE else b""
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


def _recognised(file: BinaryIO) -> ImageFile.ImageFile:
    """The picture, with its header read and its pixels not."""
    image = _PLUGINS[image_format(file)](file)
    if image.width * image.height > MOST_PIXELS:
        raise ImageError(f"it has {image.width}x{image.height} pixels, more than {MOST_PIXELS} in all")
    return image
