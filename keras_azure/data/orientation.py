"""Which way up an image is to be seen: the tag Orientation of EXIF, 1 to 8, as `PIL.ImageOps.exif_transpose` finds it.

In a JPEG it is found among the bytes that are read anyway; it takes microseconds.
"""

import re
import struct

import numpy as np
from PIL import Image

UPRIGHT = 1  # the pixels as they are stored

_TAG = 0x0112
_SHORT = 3  # the type of the tag's value, two bytes
_PLACES = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # where Pillow keeps what tells
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_START_OF_SCAN, _APP1, _FILL = 0xDA, 0xE1, 0xFF


def turn(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """An image, (height, width, channels), as it is to be seen."""
    if is_lying(orientation):
        pixels = pixels.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[rows, columns])


def is_lying(orientation: int) -> bool:
    """Whether height and width of what is stored are width and height of what is to be seen."""
    return orientation >= 5


def orientation_of(image: Image.Image) -> int:
    """That of an image of Pillow, which need not be loaded. Data that makes no sense tells nothing."""
    if not any(place in image.info for place in _PLACES):
        return UPRIGHT
    try:
        # Not that of PNG's own class, which would load the pixels.
        found = Image.Image.getexif(image).get(_TAG)
    except Exception:  # Pillow raises nearly anything for damaged data
        return UPRIGHT
    return _checked(found)


def orientation_in_jpeg(content: bytes) -> int | None:
    """That of a JPEG, of which at least all that precedes its pixels is here; None where only Pillow can tell."""
    exif = xmp = None
    at = 2
    try:
        while content[at] == _FILL:
            while content[at + 1] == _FILL:
                at += 1
            marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
            if marker == _START_OF_SCAN:
                return _in_segments(exif, xmp)
            if marker == _APP1 and content.startswith(_EXIF, at + 4):
                if exif is not None:
                    return None
                exif = content[at + 4 + len(_EXIF) : at + 2 + length]
            elif marker == _APP1 and content.startswith(_XMP, at + 4):
                xmp = content[at + 4 + len(_XMP) : at + 2 + length]
            at += 2 + length
    except IndexError:
        pass
    return None


def _in_segments(exif: bytes | None, xmp: bytes | None) -> int | None:
    found = None
    if exif is not None:
        try:
            found = _in_exif(exif)
        except (struct.error, ValueError):
            return None
    if found is None and xmp is not None and (match := _IN_XMP.search(xmp)):
        found = int(match[1])
    return _checked(found)


def _in_exif(exif: bytes) -> int | None:
    """The tag in the first directory of TIFF data; None if it is not there.

    Raises:
        ValueError, struct.error: this is no plain TIFF data, or ends too early.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError
    (at,) = struct.unpack_from(order + "I", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, at)
    found = None
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values, value = struct.unpack_from(order + "HHIH", exif, entry)
        if tag == _TAG:
            if (kind, values) != (_SHORT, 1) or found is not None:
                raise ValueError
            found = value
    return found


def _checked(found: object) -> int:
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT
