"""Image files, decoded with simplejpeg and Pillow. Whatever is wrong with one, the error names it and says what.

What comes of a file, whatever its format:

- Its first frame, turned upright as its EXIF data says, as `PIL.ImageOps.exif_transpose` does.
- What is transparent lies on white: in alpha channels, in palettes, and where one colour stands for it.
- 16 bits a channel become 8: the level 65535 is 255, and with a bit depth of 12 the level 4095 is.
- CMYK and palettes become red, green and blue, as Pillow converts them. Colour profiles (ICC) are not applied: pixels
  are taken as they are stored.
"""

from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
import simplejpeg
from PIL import JpegImagePlugin

from keras_azure.data.decoding import (
    BIT_DEPTH,
    MOST_PIXELS,
    Header,
    check_pixels,
    decoded_by_pillow,
    header_by_pillow,
)
from keras_azure.data.formats.images import HINT, JPEG_SIGNATURE, Name, explained, image_format, open_image
from keras_azure.data.orientation import UPRIGHT, is_lying, orientation_in_jpeg, orientation_of, turn
from keras_azure.data.resizing import Size, resize

# What was decoded with another text here may differ. The number goes up with each change of this file, of decoding.py,
# orientation.py or resizing.py that changes pixels; the libraries bring their own decoders.
DECODING = f"4 with Pillow {PIL.__version__}, simplejpeg {version('simplejpeg')}"

_HEADER_BYTES = 1 << 16  # of a JPEG, in which its size is found if there is no large profile or thumbnail before it


def read_image(
    path: Path, size: Size | None, channels: int, *, hint: str = HINT, bit_depth: int = BIT_DEPTH
) -> np.ndarray:
    """The pixels of an image file, as the head of this module says.

    Args:
        path: a file of any of the formats of `keras_azure.data.formats.images`; its content decides, not its name.
        size: height and width that the image is stretched to, by `resizing.resize`; None leaves it as it is.
        channels: 1 for gray, 3 for red, green and blue; whatever the file has is converted.
        hint: what errors tell to do.
        bit_depth: how many of 16 bits a channel are used; images of 8 bits are not touched by it.

    Returns:
        uint8 (height, width, channels), 0..255.

    Raises:
        UnreadableFile: it is no such image, is damaged, too large, or cannot be opened.
    """
    with open_image(path, hint) as file:
        return decode_image(file, lambda: f"The picture {path}", size, channels, hint=hint, bit_depth=bit_depth)


def image_header(path: Path) -> Header:
    """What is known of an image file without decoding its pixels; see `decode_header`.

    Raises:
        UnreadableFile: it is no image, too large, ends too early, or cannot be opened.
    """
    with open_image(path) as file:
        return decode_header(file, lambda: f"The picture {path}")


def decode_image(
    file: BinaryIO, name: Name, size: Size | None, channels: int, *, hint: str = HINT, bit_depth: int = BIT_DEPTH
) -> np.ndarray:
    """As `read_image`, from an open file; errors call it `name` and give the `hint`."""
    with explained(name, hint):
        pixels, extent, orientation = _decoded_jpeg(file, size, channels) or _decoded(file, channels, bit_depth)
    if size is not None:
        # Turned afterwards: then there are fewer pixels, and the last ones, which may stand for less, are still last.
        pixels = resize(pixels, size[::-1] if is_lying(orientation) else size, extent)
    return pixels if orientation == UPRIGHT else turn(pixels, orientation)


def decode_header(file: BinaryIO, name: Name, *, hint: str = HINT) -> Header:
    """As `image_header`, from an open file, which can seek; errors call it `name` and give the `hint`.

    A file that does not end as its format says is decoded, to know whether it can be.

    Raises:
        UnreadableFile: it is no image, too large, or ends too early.
    """
    with explained(name, hint):
        kind = image_format(file)
        header = _jpeg_header(file.read(_HEADER_BYTES), file) or header_by_pillow(file)
        if not kind.reaches_end(file):
            file.seek(0)
            if _decoded_jpeg(file, (1, 1), header.channels) is None:
                check_pixels(file)
        return header


def _jpeg_header(content: bytes, file: BinaryIO) -> Header | None:
    """Of a JPEG for simplejpeg that begins with `content`; None leaves to Pillow to read or to say what is wrong."""
    stored = _stored_jpeg(content)
    if stored is None:
        return None
    height, width, channels = stored
    orientation = _jpeg_orientation(content, file)
    seen = (width, height) if is_lying(orientation) else (height, width)
    return Header(*seen, channels, turned=orientation != UPRIGHT)


def _stored_jpeg(content: bytes) -> tuple[int, int, int] | None:
    """Height, width and channels of a JPEG for simplejpeg, as they are stored."""
    if not content.startswith(JPEG_SIGNATURE):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return None
    if height * width > MOST_PIXELS or colours in ("CMYK", "YCCK"):  # of which Pillow makes truer colours
        return None
    return height, width, 1 if colours == "Gray" else 3


def _jpeg_orientation(content: bytes, file: BinaryIO) -> int:
    found = orientation_in_jpeg(content)
    if found is None:
        file.seek(0)
        try:
            found = orientation_of(JpegImagePlugin.JpegImageFile(file))
        except Exception:  # as Pillow raises nearly anything: simplejpeg reads it, and nothing says how it is turned
            found = UPRIGHT
    return found


def _decoded(file: BinaryIO, channels: int, bit_depth: int) -> tuple[np.ndarray, None, int]:
    pixels, orientation = decoded_by_pillow(file, channels, bit_depth)
    return pixels, None, orientation


def _decoded_jpeg(
    file: BinaryIO, size: Size | None, channels: int
) -> tuple[np.ndarray, tuple[float, float], int] | None:
    """The pixels, made fewer by a half, quarter or eighth each way where they are to become much fewer anyway.

    What is left has at least twice the height and width of `size`, so that the resizing that follows has the last word
    (Pillow's `thumbnail` does the same). It takes a fraction of the time and memory.

    Returns:
        uint8 (height, width, channels) as it is stored, how much of the height and width is the image: the last row and
        column may stand for less than the others; and the orientation. None leaves it to Pillow.
    """
    is_jpeg = file.read(len(JPEG_SIGNATURE)) == JPEG_SIGNATURE
    file.seek(0)
    content = file.read() if is_jpeg else b""  # from the start: of what is in memory, this is no copy
    file.seek(0)
    stored = _stored_jpeg(content)
    if stored is None:
        return None
    height, width, _ = stored
    orientation = _jpeg_orientation(content, file)
    file.seek(0)
    factor = 1
    if size is not None:
        tall, wide = size[::-1] if is_lying(orientation) else size
        factor = _reduction(height / tall, width / wide)
    try:
        pixels = simplejpeg.decode_jpeg(
            content,
            "GRAY" if channels == 1 else "RGB",
            min_height=-(-height // factor),
            min_width=-(-width // factor),
        )
    except ValueError:
        return None
    return pixels, (height / factor, width / factor), orientation


def _reduction(*times_too_large: float) -> int:
    """By how much a side is divided while decoding: 1, 2, 4 or 8."""
    return next((factor for factor in (8, 4, 2) if 2 * factor <= min(times_too_large)), 1)
