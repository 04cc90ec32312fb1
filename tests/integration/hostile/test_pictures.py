"""Picture files that are damaged or made to do harm."""

import io
import re
import struct
import zlib

import numpy as np
import psutil
import pytest
from hypothesis import strategies as st
from PIL import Image
from pillow_heif import register_heif_opener

from keras_azure.data.images import image_header, read_image
from keras_azure.errors import UnreadableFile

ENORMOUS = 60_000  # pixels a side, which all of the formats can say
register_heif_opener(thumbnails=False)  # for saving: Pillow writes all others


def saved(kind: str, mode: str, **options) -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 4)).astype(np.uint8)
    Image.fromarray(pixels).convert("RGBA" if mode == "RGBA" else "RGB").convert(mode).save(content, kind, **options)
    return content.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def enormous(kind: str) -> bytes:
    content = bytearray(saved("PNG" if kind == "PNG" else kind, "RGB"))
    side = ENORMOUS
    match kind:
        case "PNG":
            return png(100_000, 100_000)
        case "BMP":
            content[18:26] = struct.pack("<ii", 100_000, 100_000)
        case "GIF":
            content[6:10] = struct.pack("<HH", side, side)
            frame = content.index(b",", 13 + 3 * 2 ** ((content[10] & 7) + 1))
            content[frame + 5 : frame + 9] = struct.pack("<HH", side, side)
        case "JPEG":
            frame = content.index(b"\xff\xc0")
            content[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
        case "WEBP":  # at most 16,384 a side
            content[26:30] = b"\xff\x3f\xff\x3f"
        case "TIFF":
            for tag in (256, 257):
                entry = content.index(struct.pack("<HHI", tag, 4, 1))
                content[entry + 8 : entry + 12] = struct.pack("<I", side)
        case "AVIF" | "HEIF":
            for sizes in re.finditer(b"ispe", bytes(content)):  # larger ones the libraries refuse as damaged
                content[sizes.end() + 4 : sizes.end() + 12] = struct.pack(">II", 16_000, 16_000)
    return bytes(content)


KINDS = ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF", "HEIF"]
VALID = [
    *(saved("JPEG", mode) for mode in ("L", "RGB", "CMYK")),
    saved("JPEG", "RGB", progressive=True),
    *(saved("PNG", mode) for mode in ("1", "L", "RGB", "RGBA", "P", "I;16")),
    *(saved("BMP", mode) for mode in ("1", "L", "RGB")),
    *(saved("GIF", mode) for mode in ("L", "RGB")),
    *(saved("WEBP", mode, lossless=lossless) for mode in ("RGB", "RGBA") for lossless in (False, True)),
    *(saved("TIFF", mode) for mode in ("1", "L", "RGB", "RGBA", "P", "CMYK", "I;16")),
    *(saved("TIFF", "RGB", compression=compression) for compression in ("tiff_lzw", "jpeg")),
    *(saved(kind, mode) for kind in ("AVIF", "HEIF") for mode in ("RGB", "RGBA")),
    *(enormous(kind) for kind in KINDS),
]


@pytest.mark.parametrize("size", [None, (5, 6)])
def test_damaged_pictures(throw, changed, tmp_path, size):
    path = tmp_path / "picture"

    def parse(content):
        path.write_bytes(content)
        height, width, channels = image_header(path)[:3]
        assert channels in (1, 3)
        pixels = read_image(path, size, channels)
        assert (pixels.dtype, pixels.shape) == (np.uint8, (*(size or (height, width)), channels))

    for content in VALID[: -len(KINDS)]:  # Numba loads what it compiled when it is first called
        parse(content)
    throw(st.one_of(changed(VALID), st.binary(max_size=200)), parse)


def test_a_heic_image_that_is_cropped_to_what_it_has_not_is_refused(tmp_path):
    content, path = bytearray(saved("HEIF", "RGB")), tmp_path / "x"
    crop = content.index(b"clap") + 4  # width, height and place, each number with what it is divided by
    content[crop + 24] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"its header says \d+x\d+ pixels, and it has \d+x\d+"):
        read_image(path, None, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_header_of_billions_of_pixels_is_refused_before_any_is_read(survives, tmp_path, kind):
    path = tmp_path / "enormous"
    path.write_bytes(enormous(kind))
    before = psutil.Process().memory_info().rss
    for read in (image_header, lambda path: read_image(path, (224, 224), 3)):
        refusal = survives(lambda read=read: read(path))
        assert isinstance(refusal, UnreadableFile)
        assert re.search(r"00x\d*00 pixels, more than|it has more than \d+ pixels", str(refusal))
    assert psutil.Process().memory_info().rss - before < 50_000_000


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_unpacks_to_gigabytes_takes_no_memory(tmp_path, name):
    bomb = zlib.compress(bytes(300_000_000), 9)
    content = {
        b"zTXt": b"Comment\0\0" + bomb,
        b"iTXt": b"Comment\0\1\0\0\0" + bomb,
        b"iCCP": b"profile\0\0" + bomb,
    }[name]
    path = tmp_path / "bomb.png"
    path.write_bytes(png(10, 10, chunk(name, content)))
    before = psutil.Process().memory_info().rss
    for read in (image_header, lambda path: read_image(path, None, 3)):
        try:
            read(path)
        except UnreadableFile as error:
            assert str(path) in str(error)
    assert psutil.Process().memory_info().rss - before < 50_000_000
