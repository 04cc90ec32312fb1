"""What is measured of one image, and what is thought poor of it."""

import numpy as np
import pytest
from fixtures.photographs import blurred, exposed, photograph, with_contrast
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_azure.checking.measures import THUMBNAIL, Measures, digest_of, measure
from keras_azure.checking.quality import KINDS, poor_images

SEEDS = st.integers(0, 10_000)


def measured(image: Image.Image) -> Measures:
    pixels = np.asarray(image)
    return measure(pixels if pixels.ndim == 3 else pixels[..., np.newaxis])


def kinds(*images: Image.Image) -> list[set[str]]:
    """What is thought poor of each image."""
    found = poor_images([measured(image) for image in images])
    assert tuple(found) == KINDS
    return [{kind for kind, numbers in found.items() if number in numbers} for number in range(len(images))]


@given(SEEDS)
@settings(max_examples=20)
def test_nothing_is_wrong_with_photographs(seed):
    image = photograph(seed)
    assert kinds(image, image.convert("L")) == [set(), set()]


@given(SEEDS, st.floats(0.05, 0.25))
@settings(max_examples=20)
def test_underexposed_images_are_dark_and_nothing_else(seed, factor):
    assert kinds(exposed(photograph(seed), factor)) == [{"dark"}]


@given(SEEDS, st.floats(0.0, 0.04))
@settings(max_examples=20)
def test_washed_out_images_are_light(seed, factor):
    image = photograph(seed).point(lambda level: round(255 - factor * (255 - level)))
    assert "light" in kinds(image)[0]


@given(SEEDS, st.floats(5, 9))
@settings(max_examples=20)
def test_what_is_out_of_focus_is_blurry(seed, radius):
    assert kinds(blurred(photograph(seed, (300, 400)), radius)) == [{"blurry"}]


@given(SEEDS, st.integers(8, 63))
@settings(max_examples=10)
def test_small_images_are_not_called_blurry(seed, size):
    """A blur that people see in them is less than a pixel, and many sets of them were enlarged."""
    small = photograph(seed).resize((8, 8)).resize((size, size), Image.Resampling.BICUBIC)
    assert "blurry" not in kinds(small)[0]


@given(SEEDS, st.floats(0, 0.05))
@settings(max_examples=20)
def test_what_has_hardly_any_contrast_is_flat(seed, factor):
    assert kinds(with_contrast(photograph(seed), factor)) == [{"flat"}]


@pytest.mark.parametrize("level", [0, 1, 40, 128, 254, 255])
def test_one_colour_is_flat(level):
    assert "flat" in kinds(Image.new("RGB", (40, 30), (level,) * 3))[0]
    assert "blurry" not in kinds(Image.new("RGB", (40, 30), (level,) * 3))[0]


def test_long_and_tall_images_are_odd_among_others():
    usual = [photograph(seed) for seed in range(5)]
    odd = kinds(*usual, photograph(5, (40, 160)), photograph(6, (160, 40)), photograph(7, (100, 250)))
    assert odd == [set()] * 5 + [{"odd shape"}] * 2 + [set()]


def test_panoramas_are_not_odd_among_their_like():
    assert kinds(*[photograph(seed, (40, 160)) for seed in range(5)]) == [set()] * 5


@given(SEEDS, st.floats(0.3, 1.0))
@settings(max_examples=15)
def test_measures_are_those_of_the_image_and_not_of_its_size(seed, scale):
    image = photograph(seed, (400, 500))
    smaller = image.resize((round(500 * scale), round(400 * scale)), Image.Resampling.BILINEAR)
    one, other = measured(image), measured(smaller)
    assert one.brightest == pytest.approx(other.brightest, abs=0.06)
    assert one.darkest == pytest.approx(other.darkest, abs=0.06)
    assert one.contrast == pytest.approx(other.contrast, rel=0.1)
    difference = one.thumbnail.astype(int) - other.thumbnail
    assert np.abs(difference).max() <= 8


def test_digests_are_of_pixels_and_shape():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert digest_of(pixels) == digest_of(np.asfortranarray(pixels))
    changed = pixels.copy()
    changed[0, 0, 0] += 1
    assert len({digest_of(each) for each in (pixels, changed, pixels.reshape(4, 2, 3), pixels.reshape(2, 12, 1))}) == 4


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (1, 500, 3), (2, 2, 1), (700, 1, 1)])
def test_the_smallest_images_have_all_measures(shape):
    found = measure(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    assert (found.height, found.width) == shape[:2]
    assert found.thumbnail.shape == THUMBNAIL
    assert all(np.isfinite([found.darkest, found.brightest, found.contrast, found.sharpness]))
