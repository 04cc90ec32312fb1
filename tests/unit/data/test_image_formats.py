"""The table of image formats, and how files that end too early are told from whole ones without decoding them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from keras_azure.data import decoding
from keras_azure.data.formats.images import FORMATS, HINT, check_image, image_format, is_image
from keras_azure.data.images import image_header, read_image
from keras_azure.errors import UnreadableFile

register_heif_opener(thumbnails=False)  # for saving: Pillow writes all others
NAMES = {each.name: {"HEIC": "HEIF"}.get(each.name, each.name) for each in FORMATS}  # as Pillow calls them


def stored(kind: str, **options) -> bytes:
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    Image.fromarray(noise).save(content, NAMES[kind], **options)
    return content.getvalue()


@pytest.mark.parametrize("kind", NAMES)
def test_a_whole_file_is_known_to_be_whole_and_one_that_is_cut_off_is_not(tmp_path, kind):
    content, path = stored(kind), tmp_path / "x"
    file = io.BytesIO(content)
    found = image_format(file)
    assert found.name == kind
    assert found.reaches_end(file)
    for kept in (0.2, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * kept)])
        assert is_image(path)
        for look in (check_image, image_header, lambda path: read_image(path, None, 3)):
            with pytest.raises(UnreadableFile, match="it is damaged"):
                look(path)


@pytest.mark.parametrize("kind", NAMES)
def test_a_file_with_something_appended_is_read(tmp_path, kind):
    """As the photographs of some telephones have it."""
    path = tmp_path / "x"
    path.write_bytes(stored(kind) + b"\0\0\0\x10free and nothing more of it")
    check_image(path)
    assert image_header(path)[:3] == (40, 50, 3)
    assert read_image(path, None, 3).shape == (40, 50, 3)


@pytest.mark.parametrize("options", [{"compression": "tiff_lzw"}, {"big_tiff": True}])
def test_the_pixels_of_a_tiff_are_found_however_it_is_written(options):
    content = stored("TIFF", **options)
    file = io.BytesIO(content)
    assert image_format(file).reaches_end(file)
    assert not image_format(file).reaches_end(io.BytesIO(content[: len(content) // 2]))


def test_heic_without_its_package_is_one_sentence_that_names_it(tmp_path, monkeypatch):
    def missing(target: str):
        raise ModuleNotFoundError(f"No module named {target!r}")

    path = tmp_path / "x.heic"
    path.write_bytes(stored("HEIC"))
    monkeypatch.setattr(decoding, "lazy", missing)
    decoding._decoder.cache_clear()
    for look in (image_header, lambda path: read_image(path, (8, 8), 3)):
        with pytest.raises(UnreadableFile) as caught:
            look(path)
        assert caught.value.problem == (
            f"The picture {path} cannot be read: it is a HEIC picture, which takes one more package to read."
        )
        assert caught.value.hint == 'pip install "keras-azure[heic]"'
    monkeypatch.undo()
    decoding._decoder.cache_clear()
    assert image_header(path)[:2] == (40, 50)


def test_all_formats_are_named_in_what_is_expected(tmp_path: Path):
    path = tmp_path / "x"
    path.write_text("no image")
    with pytest.raises(UnreadableFile) as caught:
        check_image(path)
    assert caught.value.expected == "a JPEG, PNG, BMP, GIF, WebP, TIFF, AVIF or HEIC picture"
    assert caught.value.hint == HINT
