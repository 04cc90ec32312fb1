import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pillow_heif import register_heif_opener

from keras_azure.data.formats.images import open_image
from keras_azure.data.hashes import digest
from keras_azure.data.images import MOST_PIXELS, image_header, read_image
from keras_azure.data.resizing import resize
from keras_azure.errors import UnreadableFile

GRADIENT = np.linspace(0, 255, 20 * 30 * 3).astype(np.uint8).reshape(20, 30, 3)
GRAY = GRADIENT[..., 0]
FORMATS = ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF", "HEIF"]
register_heif_opener(thumbnails=False)  # for saving: Pillow writes all others


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def save(path: Path, content: bytes | Image.Image, file_format: str = "PNG", **options) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else encoded(content, file_format, **options))
    return path


def refusal(path: Path, read=lambda path: read_image(path, None, 3)) -> str:
    with pytest.raises(UnreadableFile) as caught:
        read(path)
    assert caught.value.problem.startswith(f"The picture {path} cannot be read: ")
    assert "remove it, or pass --skip-unreadable" in str(caught.value)
    return caught.value.problem.removeprefix(f"The picture {path} cannot be read: ")


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_content_decides_the_format_not_the_name(tmp_path, file_format):
    path = save(tmp_path / "picture.txt", Image.fromarray(GRADIENT), file_format)
    assert image_header(path)[:3] == (20, 30, 3)
    picture = read_image(path, None, 3)
    assert (picture.shape, picture.dtype) == ((20, 30, 3), np.uint8)
    assert np.abs(picture.astype(int) - GRADIENT).max() < 40  # JPEG and GIF lose a little
    if file_format in ("PNG", "BMP"):
        assert np.array_equal(picture, GRADIENT)


@pytest.mark.parametrize("file_format", FORMATS)
def test_gray_pictures_have_one_channel(tmp_path, file_format):
    path = save(tmp_path / "x", Image.fromarray(GRAY), file_format)
    assert image_header(path)[:3] == (20, 30, 3 if file_format in ("GIF", "WEBP") else 1)  # no gray of their own
    assert np.abs(read_image(path, None, 1)[..., 0].astype(int) - GRAY).max() < 5
    colour = read_image(path, None, 3)
    assert colour.shape == (20, 30, 3)
    assert np.array_equal(colour[..., 0], colour[..., 2])


def test_colour_becomes_gray_where_one_channel_is_asked_for(tmp_path):
    path = save(tmp_path / "x", Image.new("RGB", (4, 4), (255, 0, 0)))
    assert read_image(path, None, 1)[0, 0, 0] == 76  # the luminance of red


@pytest.mark.parametrize(
    ("mode", "value", "channels", "pixel"),
    [
        ("1", 1, 1, [255] * 3),
        ("LA", (100, 255), 1, [100] * 3),
        ("LA", (100, 0), 1, [255] * 3),
        ("LA", (55, 128), 1, [155] * 3),
        ("RGBA", (1, 2, 3, 255), 3, [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), 3, [255] * 3),
        ("RGBA", (0, 100, 255, 51), 3, [204, 224, 255]),
        ("I;16", 65535, 1, [255] * 3),
        ("I;16", 32768, 1, [128] * 3),
        ("I;16", 300, 1, [1] * 3),
        ("I;16", 0, 1, [0] * 3),
    ],
)
def test_every_kind_of_png_becomes_eight_bits_a_channel(tmp_path, mode, value, channels, pixel):
    path = save(tmp_path / "x.png", Image.new(mode, (3, 2), value))
    assert image_header(path)[:3] == (2, 3, channels)
    assert read_image(path, None, 3)[1, 2].tolist() == pixel


def test_palettes_become_plain_colours_on_white(tmp_path):
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    for transparency, pixel in (
        (None, [10, 200, 30]),
        (1, [255] * 3),
        (b"\0\x80", [132, 227, 142]),
        (0, [10, 200, 30]),
    ):
        options = {} if transparency is None else {"transparency": transparency}
        path = save(tmp_path / "x.png", palette, **options)
        assert image_header(path)[:3] == (4, 4, 3)
        assert image_header(path).transparent == (transparency is not None)
        assert read_image(path, None, 3)[0, 0].tolist() == pixel


def test_a_cmyk_jpeg_becomes_red_green_and_blue(tmp_path):
    path = save(tmp_path / "x.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")
    assert read_image(path, None, 3)[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3)


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "green", "blue")]
    for file_format in ("GIF", "PNG"):
        path = save(tmp_path / file_format, frames[0], file_format, save_all=True, append_images=frames[1:])
        assert read_image(path, None, 3)[0, 0].tolist() == [255, 0, 0]


def test_pictures_are_stretched_to_exactly_the_size(tmp_path):
    path = save(tmp_path / "x.jpg", Image.fromarray(GRADIENT), "JPEG")
    assert read_image(path, (7, 50), 3).shape == (7, 50, 3)
    assert read_image(path, (7, 50), 1).shape == (7, 50, 1)
    assert np.array_equal(read_image(path, (7, 50), 3), resize(read_image(path, None, 3), (7, 50)))


def photo(height: int, width: int) -> Image.Image:
    """Smooth waves with noise on them."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([127 + 100 * np.sin(x / 37 + y / 91), 127 + 100 * np.cos(y / 53), 255 * x / width], axis=-1)
    noisy = waves + np.random.RandomState(0).normal(0, 20, waves.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def decoded_in_full(path: Path, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.open(path).resize(size[::-1], Image.Resampling.BILINEAR))


def assert_nearly_equal(picture: np.ndarray, other: np.ndarray) -> None:
    """Equal but for rounding, which is a level at most."""
    assert picture.shape == other.shape
    assert np.abs(picture.astype(int) - other).max() <= 1


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("side", [224, 128, 64, 32])
def test_a_much_too_large_jpeg_is_made_smaller_while_it_is_decoded_and_looks_the_same(tmp_path, side, progressive):
    path = save(tmp_path / "x.jpg", photo(1000, 1501), "JPEG", quality=90, progressive=progressive)
    picture = read_image(path, (side, side), 3)
    difference = np.abs(picture.astype(int) - decoded_in_full(path, (side, side)))
    assert difference.any()
    assert difference.mean() < 0.6  # measured: 0.22 to 0.43 of 255
    assert difference.max() <= 8  # measured: 3 to 5


@pytest.mark.parametrize(("height", "width"), [(127, 300), (300, 127), (127, 127), (64, 64), (31, 500)])
def test_a_jpeg_less_than_four_times_too_large_is_decoded_in_full(tmp_path, height, width):
    path = save(tmp_path / "x.jpg", photo(height, width), "JPEG", quality=95)
    assert_nearly_equal(read_image(path, (32, 32), 3), decoded_in_full(path, (32, 32)))


def test_other_formats_are_decoded_in_full(tmp_path):
    path = save(tmp_path / "x.png", photo(512, 512))
    assert_nearly_equal(read_image(path, (32, 32), 3), decoded_in_full(path, (32, 32)))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_is_decoded_as_by_pillow(tmp_path, mode, channels):
    path = save(tmp_path / "x.jpg", photo(41, 53).convert(mode), "JPEG", quality=90)
    exact = np.asarray(Image.open(path).convert("L" if channels == 1 else "RGB")).reshape(41, 53, channels)
    difference = np.abs(read_image(path, None, channels).astype(int) - exact)
    # Gray is the brightness that the file holds, which Pillow computes from red, green and blue, cut off at 255.
    assert difference.mean() < 0.5 if (mode, channels) == ("RGB", 1) else not difference.any()


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_of_other_colours_is_made_smaller_too(tmp_path, mode, channels):
    path = save(tmp_path / "x.jpg", photo(500, 700).convert(mode), "JPEG", quality=90)
    exact = np.asarray(Image.open(path).convert("L" if channels == 1 else "RGB").resize((40, 30), 2))
    difference = read_image(path, (30, 40), channels).astype(int) - exact.reshape(30, 40, channels)
    assert np.abs(difference).mean() < 1


def test_what_only_pillow_decodes_is_decoded(tmp_path):
    """A JPEG with a stray byte between its parts, over which the stricter library stumbles."""
    content = encoded(photo(60, 80), "JPEG", quality=90)
    path = save(tmp_path / "x.jpg", content)
    expected = read_image(path, None, 3)
    table = content.index(b"\xff\xdb")
    save(path, content[:table] + b"\0" + content[table:])
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(path.read_bytes())
    assert image_header(path)[:3] == (60, 80, 3)
    assert np.array_equal(read_image(path, None, 3), expected)


def test_a_size_that_stands_far_behind_the_beginning_of_a_jpeg_is_found(tmp_path):
    exif = b"Exif\0\0" + bytes(60_000)
    path = save(tmp_path / "x.jpg", photo(60, 80), "JPEG", exif=exif, icc_profile=bytes(200_000))
    assert image_header(path)[:3] == (60, 80, 3)
    assert read_image(path, None, 3).shape == (60, 80, 3)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_jpeg_is_found_while_it_is_made_smaller(tmp_path, kept, progressive):
    content = encoded(photo(600, 600), "JPEG", quality=90, progressive=progressive)
    path = save(tmp_path / "x.jpg", content[: int(len(content) * kept)])
    for read in (image_header, lambda path: read_image(path, (32, 32), 3)):
        assert refusal(path, read).startswith("it is damaged")


def hash_file(path: Path) -> bytes:
    with open_image(path) as file:
        return digest(file)


def test_the_hash_of_a_file_follows_from_its_content(tmp_path):
    one, same, other = (save(tmp_path / name, content) for name, content in zip("abc", [b"1", b"1", b"2"], strict=True))
    assert len(hash_file(one)) == 16
    assert hash_file(one) == hash_file(same) != hash_file(other)
    assert refusal(tmp_path / "gone.png", hash_file) == "no such file or directory."


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"a note about these pictures\n", "it is no picture"),
        (b"%PDF-1.7\n", "it is no picture"),
        (b"RIFF\0\0\0\0WEBP", "it is damaged"),
        (b"II*\0", "it is damaged"),
        (b"II*\0\x10\0\0\0CR\x02\0", "it is no picture"),  # of a Canon camera
        (b"\0\0\0\x1cftypavif" + b"\0" * 20, "it is damaged"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0miafavif" + b"\0" * 20, "it is damaged"),
        (b"\0\0\0\x1cftypheic" + b"\0" * 20, "it is damaged"),
        (b"\0\0\0\x1cftypmp42" + b"\0" * 20, "it is no picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "it is damaged"),
        (b"BM, they said, and wrote a text", "it is damaged"),
        (b"GIF89a", "it is damaged"),
        (b"\x89PNG\r\n\x1a\n", "it is damaged"),
        (png_header(10_000, 10_000), f"it has 10000x10000 pixels, more than {MOST_PIXELS} in all"),
        (png_header(100_000, 100_000), "it has 100000x100000 pixels"),
    ],
)
def test_what_is_no_picture_is_named_with_the_reason(tmp_path, content, reason):
    path = save(tmp_path / "picture.jpg", content)
    assert refusal(path).startswith(reason)
    assert refusal(path, image_header).startswith(reason)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused_when_it_is_read(tmp_path, file_format, kept):
    noise = np.random.RandomState(0).randint(0, 256, (40, 40, 3)).astype(np.uint8)
    content = encoded(Image.fromarray(noise), file_format)
    path = save(tmp_path / "x", content[: int(len(content) * kept)])
    assert refusal(path).startswith("it is damaged")


def test_a_png_that_is_damaged_inside_is_refused(tmp_path):
    content = bytearray(encoded(Image.fromarray(GRADIENT), "PNG"))
    content[60:80] = b"\xff" * 20
    path = save(tmp_path / "x.png", bytes(content))
    assert image_header(path)[:3] == (20, 30, 3)
    assert refusal(path).startswith("it is damaged")


@pytest.mark.parametrize("file_format", FORMATS)
@settings(deadline=None)
@given(data=st.data())
def test_whatever_is_damaged_the_error_names_the_file(scratch, file_format, data):
    content = bytearray(encoded(Image.fromarray(GRADIENT), file_format))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=5)):
        content[position] = data.draw(st.integers(0, 255))
    path = save(scratch / "x", bytes(content))
    for read in (image_header, lambda path: read_image(path, (8, 8), 3)):
        try:
            read(path)
        except UnreadableFile as error:
            assert str(path) in error.problem


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pictures")


def test_a_file_that_has_gone_is_named(tmp_path):
    assert refusal(tmp_path / "gone.png") == "no such file or directory."
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "gone.png")
    assert refusal(link) == "no such file or directory."


def test_a_folder_or_a_pipe_is_no_picture_and_nobody_waits_for_it(tmp_path):
    assert refusal(tmp_path) == "it is no ordinary file."
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "pipe.png") == "it is no ordinary file."


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "x.png", Image.fromarray(GRADIENT))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert refusal(path) == "permission denied."


def test_a_picture_that_does_not_fit_in_memory_is_named(tmp_path, monkeypatch):
    path = save(tmp_path / "x.png", Image.fromarray(GRADIENT))

    def fail(_):
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    assert refusal(path) == "there is not enough memory for it."


def test_the_error_can_be_printed_whatever_the_name_of_the_file(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    path.write_bytes(b"")
    with pytest.raises(UnreadableFile, match=r"caf\\udce9\.png cannot be read: it is empty") as caught:
        read_image(path, None, 3)
    str(caught.value).encode()


def test_damaged_metadata_do_not_warn(tmp_path):
    # An entry of 1000 characters that are not there; and an animation that announces no frames.
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHII", 8, 1, 0x010E, 2, 1000, 5000)
    jpeg = save(tmp_path / "x.jpg", Image.fromarray(GRADIENT), "JPEG", exif=exif)
    png = bytearray(encoded(Image.fromarray(GRADIENT), "PNG"))
    animation = b"acTL" + struct.pack(">2I", 0, 0)
    png[33:33] = struct.pack(">I", 8) + animation + struct.pack(">I", zlib.crc32(animation))
    png = save(tmp_path / "x.png", bytes(png))
    code = (
        "import sys, pathlib; from keras_azure.data.images import read_image\n"
        "for path in sys.argv[1:]: print(read_image(pathlib.Path(path), None, 3).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code, jpeg, png], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["(20, 30, 3)"] * 2
    assert done.stderr == ""
    plain = "from PIL import Image; import sys\nfor path in sys.argv[1:]: Image.open(path)"
    done = subprocess.run([sys.executable, "-c", plain, jpeg, png], capture_output=True, text=True, check=True)
    warned = [plugin in done.stderr for plugin in ("TiffImagePlugin", "PngImagePlugin")]
    assert all(warned), "Pillow itself no longer warns: the filter can go"
