"""What Pillow makes of an open image file of any format: its header, and its pixels in 8 bits a channel on white."""

import functools
import io
import re
import struct
import sys
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

import numpy as np
from PIL import ExifTags, Image, ImageFile

from keras_azure.data.formats.images import Format, ImageError, image_format
from keras_azure.data.orientation import UPRIGHT, is_lying, orientation_of
from keras_azure.lazy import lazy

MOST_PIXELS = 89_478_485  # Pillow's own limit against files that unpack to enormous images
BIT_DEPTH = 16  # of the levels of images of 16 bits a channel, unless the user knows better

_BACKGROUND = "white"
_SUBFILE_TYPE, _SMALL_COPY = 254, 1  # a tag of TIFF, and a bit of it
_NO_RANGE = ("F", "I")  # Pillow's modes for fractions, and for whole numbers of 32 bits or with a sign
_GRAY_AND_ALPHA = "LA;16B"  # which Pillow makes an image of four channels
_BOTH_BYTES = re.compile("(RGBA?;16)([BLN])")  # Pillow's names of layouts of which it reads either byte of a level
_PNG_SIGNATURE_BYTES, _PNG_TEXTS = 8, (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_HEIC_HEAD, _STORED_SIZE = 1 << 16, re.compile(rb"ispe.{4}(.{8})", re.DOTALL)
_PNG_TAIL = 1 << 14  # bytes, in which there is what some programs write behind the pixels

# Pillow warns of damaged EXIF data and the like, which do not change the pixels.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.\w+ImagePlugin")

Result = TypeVar("Result")


class Header(NamedTuple):
    """What is known of an image before its pixels are decoded.

    Attributes:
        height, width: as it is to be seen.
        channels: 1 if it is gray, else 3.
        transparent: whether parts of it may be.
        deep: whether it has 16 bits a channel.
        animated: whether it has more than one frame.
        turned: whether it is stored otherwise than it is to be seen.
    """

    height: int
    width: int
    channels: int
    transparent: bool = False
    deep: bool = False
    animated: bool = False
    turned: bool = False


def header_by_pillow(file: BinaryIO) -> Header:
    """
    Raises:
        Exception: nearly anything, where it is damaged.
    """
    return _without_texts(_header, file)


def decoded_by_pillow(file: BinaryIO, channels: int, bit_depth: int) -> tuple[np.ndarray, int]:
    """The pixels of the first frame, uint8 (height, width, channels), as they are stored, and their orientation.

    Raises:
        Exception: nearly anything, where it is damaged.
    """
    return _without_texts(lambda file: _decoded(file, channels, bit_depth), file)


def check_pixels(file: BinaryIO) -> None:
    """Decodes an image, as it may be cut off.

    Raises:
        Exception: nearly anything, where it is damaged.
    """
    _without_texts(lambda file: _recognised(file).load(), file)


def largest_level(file: BinaryIO) -> int:
    """Of an image of 16 bits a channel, 0..65535.

    Raises:
        Exception: nearly anything, where it is damaged.
    """

    def largest(file: BinaryIO) -> int:
        image = _recognised(file)
        raw = _rawmode(image)
        image.load()
        levels = _levels(file, image, raw)
        return int(levels[..., : 1 if levels.shape[-1] < 3 else 3].max())

    return _without_texts(largest, file)


def _header(file: BinaryIO) -> Header:
    image = _recognised(file)
    raw, deep = _rawmode(image), _is_deep(image)
    if image.format == "PNG" and _has_more_behind_pixels(file):
        image.load()
    width, height = _loaded_size(image)
    orientation = _orientation(image)
    if is_lying(orientation):
        height, width = width, height
    gray = image.mode in ("1", "L", "LA") or image.mode.startswith("I;16") or raw == _GRAY_AND_ALPHA
    by_pillow = getattr(image, "tag_v2", {}).get(ExifTags.Base.Orientation)
    turned = orientation != UPRIGHT or by_pillow in range(UPRIGHT + 1, 9)
    return Header(height, width, 1 if gray else 3, image.has_transparency_data, deep, _is_animated(image), turned)


def _is_animated(image: ImageFile.ImageFile) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # a frame that is damaged, and not the first one
        return True


def _decoded(file: BinaryIO, channels: int, bit_depth: int) -> tuple[np.ndarray, int]:
    opened = _recognised(file)
    raw, deep, size = _rawmode(opened), _is_deep(opened), _loaded_size(opened)
    opened.load()
    if opened.size != size:  # as where a HEIC image is cropped to less than nothing
        raise ImageError(f"its header says {size[0]}x{size[1]} pixels, and it has {opened.width}x{opened.height}")
    orientation, image = _orientation(opened), cast(Image.Image, opened)
    if deep:
        image = _eight_bits(file, image, raw, bit_depth)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image)
    mode = "L" if channels == 1 else "RGB"
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))  # which would copy it all the same
    return pixels.reshape(image.height, image.width, channels), orientation


def _recognised(file: BinaryIO) -> ImageFile.ImageFile:
    """The image, with its header read and its pixels not.

    Pillow's classes are called directly: its Image.open warns of large images, and warnings cannot be caught in one
    thread alone.
    """
    kind = image_format(file)
    if kind.name == "HEIC":
        _check_before_cropping(file)
    try:
        image = _decoder(kind)(file)
    except Image.DecompressionBombError as error:  # of a class that must know before it reads on
        raise ImageError(f"it has more than {MOST_PIXELS} pixels") from error
    _check_pixels(image.width, image.height)
    if image.mode in _NO_RANGE:
        raise ImageError("its levels are fractions, signed, or of 32 bits, and nothing says which of them is white")
    if image.mode == "LAB":
        raise ImageError("its colours are CIELAB, which are not supported")
    # As the raw files of many cameras have it.
    if getattr(image, "tag_v2", {}).get(_SUBFILE_TYPE, 0) & _SMALL_COPY:
        raise ImageError("its first frame is a small copy of another one")
    return image


def _check_before_cropping(file: BinaryIO) -> None:
    """Of HEIC only the size is known that is left when it is cropped, and all of it would be decoded."""
    for stored in _STORED_SIZE.finditer(file.read(_HEIC_HEAD)):
        _check_pixels(*struct.unpack(">II", stored[1]))
    file.seek(0)


def _check_pixels(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ImageError(f"it has {width}x{height} pixels, more than {MOST_PIXELS} in all")


@functools.cache
def _decoder(kind: Format) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    try:
        found = lazy(kind.decoder)
        supported = getattr(sys.modules[found.__module__], "SUPPORTED", True)  # as Pillow's own plugins say
    except ImportError:
        supported = False
    if not supported:
        raise ImageError(f"it is a {kind.name} picture, which takes one more package to read", hint=kind.hint)
    return found


def _orientation(image: Image.Image) -> int:
    return UPRIGHT if hasattr(image, "tag_v2") else orientation_of(image)  # Pillow turns TIFF itself


def _loaded_size(image: Image.Image) -> tuple[int, int]:
    """Width and height that an image has when it is loaded. Pillow then turns TIFF, also by what it did not see before:
    an orientation in XMP."""
    tags = getattr(image, "tag_v2", None)
    if tags is not None and ExifTags.Base.Orientation not in tags and is_lying(orientation_of(image)):
        return image.height, image.width
    return image.size


def _rawmode(image: ImageFile.ImageFile) -> str:
    """How Pillow calls the layout of the pixels in the file, which it forgets when it has loaded them."""
    args = image.tile[0].args if image.tile else ""
    return str(args if isinstance(args, str) or not args else args[0])


def _is_deep(image: ImageFile.ImageFile) -> bool:
    return image.mode.startswith("I;16") or ";16" in _rawmode(image)


def _eight_bits(file: BinaryIO, image: Image.Image, raw: str, bit_depth: int) -> Image.Image:
    """The image in 8 bits a channel, and on white; Pillow has loaded one of 16."""
    clear = image.info.get("transparency")
    if not image.mode.startswith("I;16") and bit_depth == BIT_DEPTH and not image.has_transparency_data:
        return image  # Pillow has left out the lower byte of each level, which makes less than one of 255
    levels = _levels(file, image, raw)
    opaque = None
    if clear is not None:
        opaque = (levels != np.asarray(clear)).any(axis=-1, keepdims=True)
    elif levels.shape[-1] in (2, 4):
        levels, opaque = levels[..., :-1], levels[..., -1:] / 65535
    top = 2**bit_depth - 1
    if levels.max(initial=0) > top:
        problem = f"it has levels up to {levels.max()}, and {bit_depth} bits hold {top}"
        raise ImageError(problem, hint="a larger --bit-depth")
    if opaque is None:
        pixels = (levels.astype(np.uint32) * 255 + top // 2) // top
    else:
        pixels = np.rint(255 - (255 - levels * (255 / top)) * opaque)
    pixels = pixels.astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _levels(file: BinaryIO, image: Image.Image, raw: str) -> np.ndarray:
    """The levels of an image of 16 bits a channel that is loaded, (height, width, channels); the second or fourth
    channel is how opaque they are."""
    if image.mode.startswith("I;16"):
        return np.asarray(image)[..., np.newaxis]
    again = _recognised(file)
    if raw == _GRAY_AND_ALPHA:  # in four bytes a pixel, which are as good as any other four
        _load_as(again, "RGBA")
        return np.asarray(again).view(">u2")
    # Of colours Pillow keeps the upper bytes. It gives the lower ones if it takes the bytes for the other way round.
    layout = _BOTH_BYTES.fullmatch(raw)
    if layout is None:
        raise ImageError(f"its 16 bits a channel cannot be read in full, as its pixels are {raw}")
    _load_as(again, layout[1] + {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}[layout[2]])
    return np.asarray(image).astype(np.uint16) << 8 | np.asarray(again)


def _load_as(image: ImageFile.ImageFile, raw: str) -> None:
    """Loads the pixels as if they were in the layout that Pillow calls so."""

    def other(args: Any) -> Any:
        return raw if isinstance(args, str) else (raw, *args[1:])

    image.tile = [tile._replace(args=other(tile.args)) for tile in image.tile]
    image.load()


def _without_texts(read: Callable[[BinaryIO], Result], file: BinaryIO) -> Result:
    """What `read` makes of a file. A PNG that Pillow refuses is read again without what does not change its pixels:
    texts and colour profiles larger than Pillow's limits do not make it damaged, and are not unpacked."""
    try:
        return read(file)
    except ValueError:
        file.seek(0)
        content = file.read()
        needed = _needed_of_png(content)
        if len(needed) == len(content):
            raise
        return read(io.BytesIO(needed))


def _needed_of_png(content: bytes) -> bytes:
    """A PNG without its texts and its colour profile; all of it, where it is none."""
    if not content.startswith(b"\x89PNG"):
        return content
    kept, at = [content[:_PNG_SIGNATURE_BYTES]], _PNG_SIGNATURE_BYTES
    while at < len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")  # length, name, content, checksum
        if content[at + 4 : at + 8] not in _PNG_TEXTS:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _has_more_behind_pixels(file: BinaryIO) -> bool:
    """Whether there may be EXIF data or texts behind the pixels of a PNG: Pillow finds them when it loads those."""
    place = file.tell()
    file.seek(-min(_PNG_TAIL, file.seek(0, io.SEEK_END)), io.SEEK_END)
    behind = file.read().rpartition(b"IDAT")[2]
    file.seek(place)
    return any(name in behind for name in (b"eXIf", *_PNG_TEXTS[:3]))
