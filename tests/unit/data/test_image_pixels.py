"""What comes of an image file, whatever its format: as Pillow's `exif_transpose` has it, on white, to one level."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin
from pillow_heif import register_heif_opener

from keras_azure.data.decoding import largest_level
from keras_azure.data.formats.images import open_image
from keras_azure.data.images import image_header, read_image
from keras_azure.data.orientation import orientation_in_jpeg, orientation_of
from keras_azure.errors import UnreadableFile

register_heif_opener(thumbnails=False)  # for what is compared with: Pillow has all other formats
TAG = 0x0112


@dataclass(frozen=True)
class Case:
    """A way to store an image: a format of Pillow, a mode, and what `save` is told."""

    kind: str
    mode: str
    options: dict = field(default_factory=dict)
    turned: bool = True  # whether it can have EXIF data

    def __str__(self) -> str:
        return "-".join([self.kind, self.mode, *map(str, self.options.values())])


CASES = [
    *(Case("JPEG", mode, {"quality": 90}) for mode in ("L", "RGB", "CMYK")),
    Case("JPEG", "RGB", {"progressive": True}),
    *(Case("PNG", mode) for mode in ("1", "L", "LA", "RGB", "RGBA", "P", "I;16")),
    Case("PNG", "P", {"transparency": 3}),
    Case("PNG", "P", {"transparency": bytes(range(0, 250, 10))}),
    Case("PNG", "L", {"transparency": 7}),
    Case("PNG", "RGB", {"transparency": (1, 2, 3)}),
    Case("PNG", "I;16", {"transparency": 500}),
    *(Case("BMP", mode, turned=False) for mode in ("1", "L", "P", "RGB", "RGBA")),
    *(Case("GIF", mode, turned=False) for mode in ("1", "L", "P", "RGB")),
    Case("GIF", "P", {"transparency": 3}, turned=False),
    *(Case("WEBP", mode, {"lossless": lossless}) for mode in ("RGB", "RGBA") for lossless in (False, True)),
    *(Case("TIFF", mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")),
    *(Case("TIFF", mode, {"compression": "tiff_lzw"}) for mode in ("L", "RGB", "RGBA", "I;16")),
    Case("TIFF", "RGB", {"compression": "jpeg"}),
    *(Case("AVIF", mode, {"speed": 10}) for mode in ("L", "RGB", "RGBA")),
    *(Case("HEIF", mode) for mode in ("L", "RGB", "RGBA")),
]


def made(mode: str, height: int, width: int, seed: int, transparency: object = None) -> Image.Image:
    """Noise, in which few levels are frequent: those that a palette or one transparent colour is about."""
    rng = np.random.default_rng(seed)
    channels = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode)
    if mode == "I;16":
        levels = rng.integers(0, 65536, (height, width)).astype(np.uint16)
        levels[rng.random((height, width)) < 0.2] = 500
        return Image.fromarray(levels)
    levels = rng.integers(0, 256, (height, width, *([channels] if channels else []))).astype(np.uint8)
    some = rng.random((height, width)) < 0.2
    if mode == "P":
        levels[some] = 3
        image = Image.fromarray(levels).convert("L")
        image.putpalette(rng.integers(0, 256, 768).astype(np.uint8).tobytes())
        return image
    if mode == "1":
        return Image.fromarray(levels).convert("1")
    if transparency is not None:
        levels[some] = transparency
    return Image.fromarray(levels, mode)


def save(path: Path, image: Image.Image, case: Case, orientation: int | None = None) -> Path:
    options = dict(case.options)
    if case.kind == "TIFF" and orientation not in range(1, 9):
        orientation = None  # libtiff writes no other
    if orientation is not None and case.turned:
        exif = Image.Exif()
        exif[TAG] = orientation
        options["exif"] = exif
    image.save(path, case.kind, **options)
    return path


def seen(path: Path) -> np.ndarray:
    """What is documented, in fractions: float (height, width, 3), 0..255."""
    # Not by the path: Pillow turns a TIFF wrongly that it maps into memory.
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(path.read_bytes())))
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(float)
        visible = levels != image.info.get("transparency", -1)
        return np.where(visible, levels * 255 / 65535, 255.0)[..., np.newaxis].repeat(3, axis=-1)
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB")).astype(float)
    pixels = np.asarray(image.convert("RGBA")).astype(float)
    share = pixels[..., 3:] / 255
    return pixels[..., :3] * share + 255 * (1 - share)


def resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """With the triangle filter that grows with what falls into a pixel, in fractions."""
    for axis, target in enumerate(size):
        scale = pixels.shape[axis] / target
        centres, places = (np.arange(target) + 0.5) * scale, np.arange(pixels.shape[axis]) + 0.5
        weights = np.maximum(0, 1 - np.abs(places - centres[:, np.newaxis]) / max(scale, 1))
        weights /= weights.sum(axis=1, keepdims=True)
        pixels = np.moveaxis(np.tensordot(weights, pixels, (1, axis)), 0, axis)
    return pixels


def assert_equal_to_one_level(pixels: np.ndarray, exact: np.ndarray) -> None:
    assert pixels.dtype == np.uint8
    assert pixels.shape == exact.shape
    assert np.abs(pixels - exact).max() <= 1


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("images")


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    orientation=st.sampled_from([None, *range(10)]),
    seed=st.integers(0, 99),
    grow=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)),
)
def test_pixels_are_those_that_are_documented(scratch, case, height, width, orientation, seed, grow):
    image = made(case.mode, height, width, seed, case.options.get("transparency"))
    path = save(scratch / "x", image, case, orientation)
    exact = seen(path)
    native = read_image(path, None, 3)
    assert_equal_to_one_level(native, exact)
    assert image_header(path)[:2] == native.shape[:2]
    size = tuple(max(1, round(side * factor)) for side, factor in zip(native.shape, grow, strict=False))
    assert_equal_to_one_level(read_image(path, size, 3), resized(native.astype(float), size))
    gray = read_image(path, None, 1)[..., 0]
    weighed = native @ np.array([0.299, 0.587, 0.114])
    # That of a JPEG is the brightness that it holds, and not what became of it in red, green and blue.
    assert np.abs(gray - weighed).max() <= 1 or (case.kind == "JPEG" and np.abs(gray - weighed).mean() < 12)


def test_a_large_turned_jpeg_is_made_smaller_while_it_is_decoded(tmp_path):
    y, x = np.mgrid[:301, :203]
    image = Image.fromarray(np.stack([x, y * 255 // 301, x * 0 + 90], axis=-1).astype(np.uint8))
    for orientation in range(1, 9):
        path = save(tmp_path / "x.jpg", image, Case("JPEG", "RGB", {"quality": 95}), orientation)
        exact = seen(path)
        assert image_header(path)[:2] == exact.shape[:2]
        assert np.abs(read_image(path, (17, 23), 3) - resized(exact, (17, 23))).max() <= 3


def in_xmp(orientation: int) -> str:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_orientation_may_stand_in_xmp(tmp_path, kind):
    image, path = made("RGB", 20, 30, 0), tmp_path / "x"
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", in_xmp(6))
        image.save(path, kind, pnginfo=texts)
    elif kind == "TIFF":
        image.save(path, kind, tiffinfo={700: in_xmp(6).encode()})
    else:
        image.save(path, kind, xmp=in_xmp(6).encode())
    exact = seen(path)
    assert exact.shape == (30, 20, 3)
    assert_equal_to_one_level(read_image(path, None, 3), exact)
    assert image_header(path)[:2] == (30, 20)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_it_is_known_which_images_are_turned(tmp_path, kind):
    image, case = made("RGB", 20, 30, 0), Case(kind, "RGB")
    for orientation in (None, *range(10)):
        header = image_header(save(tmp_path / "x", image, case, orientation))
        assert header.turned is (orientation in range(2, 9)), orientation


def test_the_orientation_of_a_png_may_stand_behind_its_pixels(tmp_path):
    """As ExifTool writes it."""
    path = save(tmp_path / "x.png", made("RGB", 20, 30, 0), Case("PNG", "RGB"), 6)
    content = path.read_bytes()
    begin = content.index(b"eXIf") - 4
    end = begin + 12 + int.from_bytes(content[begin : begin + 4], "big")
    last = content.index(b"IEND") - 4
    path.write_bytes(content[:begin] + content[end:last] + content[begin:end] + content[last:])
    assert_equal_to_one_level(read_image(path, None, 3), seen(path))
    assert image_header(path)[:2] == (30, 20)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_data_that_makes_no_sense_turns_nothing(tmp_path, kind):
    image, path = made("RGB", 20, 30, 0), tmp_path / "x"
    for exif in (b"", b"nonsense", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff"):
        if kind == "TIFF":
            image.save(path, kind, tiffinfo={TAG: 77})
        else:
            image.save(path, kind, exif=b"Exif\0\0" + exif)
        assert image_header(path)[:2] == read_image(path, None, 3).shape[:2] == (20, 30)


@settings(deadline=None)
@given(
    entries=st.lists(
        st.tuples(st.sampled_from([TAG, 0x010F, 0x0110]), st.sampled_from([1, 3, 4]), st.integers(0, 9)), max_size=4
    ),
    order=st.sampled_from("<>"),
    xmp=st.sampled_from([None, 3, 8, 9]),
    fill=st.integers(0, 3),
)
def test_the_orientation_is_found_in_a_jpeg_as_pillow_finds_it(entries, order, xmp, fill):
    values = {1: lambda value: bytes([value, 0, 0, 0]), 3: lambda value: struct.pack(order + "HH", value, 0)}
    values[4] = lambda value: struct.pack(order + "I", value)
    directory = b"".join(struct.pack(order + "HHI", tag, kind, 1) + values[kind](value) for tag, kind, value in entries)
    header = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    exif = b"Exif\0\0" + header + struct.pack(order + "H", len(entries)) + directory + bytes(4)
    content = io.BytesIO()
    image = Image.new("RGB", (3, 2))
    image.save(content, "JPEG", exif=exif, **({} if xmp is None else {"xmp": in_xmp(xmp).encode()}))
    stored = content.getvalue()
    table = stored.index(b"\xff\xdb")
    stored = stored[:table] + b"\xff" * fill + stored[table:]
    found = orientation_in_jpeg(stored)
    with Image.open(io.BytesIO(stored)) as opened:
        expected = orientation_of(opened)
    assert found in (None, expected)
    if [kind for tag, kind, _ in entries if tag == TAG] in ([], [3]):
        assert found == expected


# Images of 16 bits a channel, which Pillow does not write.


def png_of(levels: np.ndarray, transparent: tuple[int, ...] = ()) -> bytes:
    height, width, channels = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    chunks = {b"IHDR": header}
    if transparent:
        chunks[b"tRNS"] = struct.pack(f">{len(transparent)}H", *transparent)
    chunks |= {b"IDAT": zlib.compress(rows), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks.items()
    )


def tiff_of(levels: np.ndarray, order: str = "<", compressed: bool = False) -> bytes:
    height, width, channels = levels.shape
    pixels = levels.astype(order + "u2").tobytes()
    pixels = zlib.compress(pixels) if compressed else pixels
    depths, strip = 8, 8 + 2 * channels
    tags = {
        256: (4, width),
        257: (4, height),
        258: (3, (depths, channels) if channels > 2 else 16),
        259: (3, 8 if compressed else 1),
        262: (3, 2 if channels > 2 else 1),
        273: (4, strip),
        277: (3, channels),
        278: (4, height),
        279: (4, len(pixels)),
    }
    if channels == 4:
        tags[338] = (3, 2)  # the fourth is how opaque they are
    entries = b""
    for tag, (kind, value) in tags.items():
        at, count = value if isinstance(value, tuple) else (value, 1)
        kind_of_value = "I" if count > 1 or kind == 4 else "H"
        entries += struct.pack(f"{order}HHI", tag, kind, count) + struct.pack(order + kind_of_value, at).ljust(4, b"\0")
    start = strip + len(pixels)
    return (
        {"<": b"II*\0", ">": b"MM\0*"}[order]
        + struct.pack(order + "I", start)
        + struct.pack(f"{order}{channels}H", *[16] * channels)
        + pixels
        + struct.pack(order + "H", len(tags))
        + entries
        + bytes(4)
    )


DEEP: dict[str, Callable[[np.ndarray], bytes]] = {
    "PNG": png_of,
    "TIFF": tiff_of,
    "TIFF, the other byte first": lambda levels: tiff_of(levels, ">"),
    "TIFF, compressed": lambda levels: tiff_of(levels, compressed=True),
    "TIFF, compressed, the other byte first": lambda levels: tiff_of(levels, ">", compressed=True),
}


@pytest.mark.parametrize(
    ("kind", "channels"), [*((kind, channels) for kind in DEEP for channels in (1, 3, 4)), ("PNG", 2)]
)
@settings(deadline=None, max_examples=20)
@given(bit_depth=st.integers(1, 16), seed=st.integers(0, 99))
def test_16_bits_are_scaled_by_the_bit_depth(scratch, kind, channels, bit_depth, seed):
    levels = np.random.default_rng(seed).integers(0, 2**bit_depth, (7, 9, channels))
    opaque, colours = np.full((7, 9, 1), 1.0), levels
    if channels in (2, 4):
        levels[..., -1] = np.random.default_rng(seed).choice([0, 30000, 65535], (7, 9))
        colours, opaque = levels[..., :-1], levels[..., -1:] / 65535
    path = scratch / "deep"
    path.write_bytes(DEEP[kind](levels))
    header = image_header(path)
    assert (header.deep, header.transparent, header.channels) == (True, channels in (2, 4), 1 if channels < 3 else 3)
    with open_image(path) as file:
        assert largest_level(file) == colours.max()
    exact = colours * 255 / (2**bit_depth - 1) * opaque + 255 * (1 - opaque)
    pixels = read_image(path, None, 3, bit_depth=bit_depth)
    assert_equal_to_one_level(pixels, np.broadcast_to(exact, (7, 9, 3)))


def test_levels_that_the_bit_depth_does_not_hold_are_refused(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png_of(np.full((2, 3, 3), 4096)))
    with pytest.raises(UnreadableFile, match=r"it has levels up to 4096, and 12 bits hold 4095") as caught:
        read_image(path, None, 3, bit_depth=12)
    assert caught.value.hint == "a larger --bit-depth"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_level_of_16_bits_is_that_level_alone(tmp_path, channels):
    """Also where another one would be the same in 8 bits."""
    levels = np.full((1, 2, channels), 1000)
    levels[0, 1] = 1001
    path = tmp_path / "x.png"
    path.write_bytes(png_of(levels, (1000,) * channels))
    assert read_image(path, None, 3)[0].tolist() == [[255] * 3, [4] * 3]


def test_gray_of_16_bits_with_transparency_lies_on_white(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png_of(np.array([[[0, 65535], [0, 0], [40000, 32768]]])))
    pixels = read_image(path, None, 1)[0, :, 0]
    assert np.abs(pixels - np.array([0, 255, 205.3])).max() <= 1


@pytest.mark.parametrize(("mode", "value"), [("F", 0.5), ("I", -7)])
def test_levels_of_no_known_range_are_refused(tmp_path, mode, value):
    path = tmp_path / "x.tif"
    Image.new(mode, (4, 3), value).save(path)
    for read in (image_header, lambda path: read_image(path, None, 3)):
        with pytest.raises(UnreadableFile, match="nothing says which of them is white"):
            read(path)


def test_a_small_copy_before_the_image_is_not_taken_for_it(tmp_path):
    """As raw files of cameras have it."""
    path = tmp_path / "x.nef"
    Image.new("RGB", (4, 3)).save(path, "TIFF", tiffinfo={254: 1})
    with pytest.raises(UnreadableFile, match="its first frame is a small copy"):
        image_header(path)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_the_first_of_several_frames_is_taken_and_known_to_be_one_of_them(tmp_path, kind):
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / "x"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:])
    assert np.abs(read_image(path, None, 3).astype(int) - [255, 0, 0]).max() <= 8
    assert image_header(path).animated
    frames[0].save(path, kind)
    assert not image_header(path).animated


@pytest.mark.parametrize("name", ["zTXt", "iTXt", "tEXt", "iCCP"])
def test_a_png_with_a_large_text_or_profile_is_read(tmp_path, name):
    large = bytes(3_000_000)
    content = {
        "zTXt": b"Comment\0\0" + zlib.compress(large),
        "iTXt": b"Comment\0\1\0\0\0" + zlib.compress(large),
        "tEXt": b"Comment\0" + b"x" * 70_000_000,  # beyond what Pillow keeps of them all
        "iCCP": b"profile\0\0" + zlib.compress(large),
    }[name]
    image = made("RGB", 20, 30, 0)
    path = save(tmp_path / "x.png", image, Case("PNG", "RGB"), 6)
    plain = path.read_bytes()
    named = name.encode() + content
    chunk = struct.pack(">I", len(content)) + named + struct.pack(">I", zlib.crc32(named))
    path.write_bytes(plain[:33] + chunk + plain[33:])
    with pytest.raises(ValueError, match=r"(?i)too (large|much)"), Image.open(path) as opened:
        opened.load()
    assert image_header(path)[:3] == (30, 20, 3)
    assert np.array_equal(read_image(path, None, 3), np.rot90(np.asarray(image), -1))


def test_colour_profiles_change_nothing(tmp_path):
    image = made("RGB", 20, 30, 0)
    for kind in ("PNG", "TIFF"):
        image.save(tmp_path / kind, kind, icc_profile=bytes(500))
        assert np.array_equal(read_image(tmp_path / kind, None, 3), np.asarray(image))
