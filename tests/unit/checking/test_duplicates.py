"""Images that are there more than once."""

import io

import numpy as np
import scipy.ndimage
from fixtures.photographs import exposed, photograph
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from keras_azure.checking.duplicates import exact_duplicates, groups_of, near_duplicates
from keras_azure.checking.measures import measure
from keras_azure.checking.near import NEAREST, best_fits, fit, hashes, nearest, smoothed
from keras_azure.data.digits import digits
from keras_azure.description.events import Observer

OTHERS = [photograph(seed) for seed in range(100, 140)]


def near(*images: Image.Image) -> list[list[int]]:
    measures = [measure(np.asarray(image)) for image in images]
    return near_duplicates(measures, exact_duplicates(measures), Observer())


def resized(image: Image.Image, scale: float) -> Image.Image:
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def stored(image: Image.Image, quality: int) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Image.open(content)


def cropped(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Without these shares of its width and height."""
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


@given(st.integers(0, 99), st.floats(0.3, 0.95) | st.floats(1.1, 2.0))
@settings(max_examples=15)
def test_the_same_image_in_another_size(seed, scale):
    assert near(photograph(seed), *OTHERS, resized(photograph(seed), scale)) == [[0, 41]]


@given(st.integers(0, 99), st.integers(30, 95))
@settings(max_examples=15)
def test_the_same_image_stored_with_loss(seed, quality):
    assert near(photograph(seed), *OTHERS, stored(photograph(seed), quality)) == [[0, 41]]


SHARES = st.floats(0, 0.05)


@given(st.integers(0, 99), SHARES, SHARES, SHARES, SHARES)
@settings(max_examples=25)
def test_the_same_image_cut_at_the_edges(seed, left, top, right, bottom):
    image = photograph(seed)
    part = cropped(image, left, top, right, bottom)
    expected = [] if part.size == image.size else [[0, 41]]
    assert near(image, *OTHERS, part) == expected
    assert near(part, *OTHERS, image) == expected


@given(st.integers(0, 99), st.floats(0.6, 1.3))
@settings(max_examples=10)
def test_the_same_image_made_darker_or_brighter(seed, factor):
    changed = exposed(photograph(seed), factor)
    expected = [] if np.array_equal(changed, photograph(seed)) else [[0, 41]]
    assert near(photograph(seed), *OTHERS, changed) == expected


def test_different_images_are_not_duplicates():
    assert near(*[photograph(seed) for seed in range(200)]) == []


def test_handwritten_digits_are_alike_and_not_the_same():
    dataset = digits()
    pixels = [dataset.read(split, index)[0] for split, size in dataset.split_sizes.items() for index in range(size)]
    measures = [measure(each) for each in pixels]
    assert exact_duplicates(measures) == []
    assert near_duplicates(measures, [], Observer()) == []


def test_among_digits_too_what_was_stored_with_loss_is_found():
    dataset = digits()
    pixels = [dataset.read("train", index)[0][..., 0] for index in range(300)]
    again = [np.asarray(stored(Image.fromarray(pixels[number]), 90)) for number in range(0, 300, 30)]
    measures = [measure(each[..., np.newaxis]) for each in [*pixels, *again]]
    assert near_duplicates(measures, [], Observer()) == [[30 * copy, 300 + copy] for copy in range(10)]


@given(st.integers(0, 99), st.lists(st.tuples(*[st.floats(0.005, 0.05)] * 4), min_size=2, max_size=9, unique=True))
@settings(max_examples=10)
def test_many_crops_of_one_image(seed, cuts):
    image = photograph(seed)
    parts = [cropped(image, *cut) for cut in cuts]
    assert near(image, *OTHERS, *parts) == [[0, *range(41, 41 + len(parts))]]


def test_few_digits_are_not_the_same_either():
    dataset = digits()
    for start in range(0, 1200, 300):
        measures = [measure(dataset.read("train", start + index)[0]) for index in range(300)]
        assert near_duplicates(measures, [], Observer()) == []


def test_groups_of_near_ones_hold_their_exact_copies():
    image = photograph(0)
    assert near(image, *OTHERS, image, stored(image, 60)) == [[0, 41, 42]]
    assert near(image, *OTHERS, image) == []


def test_exact_duplicates_are_groups():
    images = [photograph(seed) for seed in (0, 1, 0, 2, 1, 0)]
    measures = [*(measure(np.asarray(image)) for image in images), None, None]
    assert exact_duplicates(measures) == [[0, 2, 5], [1, 4]]


def test_images_of_one_colour_are_near_to_nothing():
    assert near(Image.new("RGB", (40, 30), "red"), Image.new("RGB", (41, 30), "red"), *OTHERS) == []


def test_one_image_alone_has_no_duplicates():
    assert near(photograph(0)) == []


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=30))
def test_groups_are_what_hangs_together(pairs):
    groups = groups_of(pairs)
    place = {number: index for index, group in enumerate(groups) for number in group}
    assert sorted(place) == sorted({number for pair in pairs for number in pair})
    assert all(place[one] == place[other] for one, other in pairs)
    # As few pairs as hold a group together are within it, so that no two groups were made one.
    reached = {number: {number} for number in place}
    for one, other in pairs:
        together = reached[one] | reached[other]
        for number in together:
            reached[number] = together
    assert all(set(group) == reached[group[0]] for group in groups)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_the_nearest_hashes_are_those_that_differ_in_fewest_bits(seed):
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 2**63, 30).astype(np.uint64)
    made[10:20] = made[:10] ^ (np.uint64(1) << rng.integers(0, 63, 10).astype(np.uint64))
    found = nearest(made, 0, len(made))
    for number, others in enumerate(found):
        bits = np.bitwise_count(made ^ made[number]).astype(int)
        bits[number] = 64
        kept = others[others >= 0]
        assert sorted(bits[kept]) == sorted(bits[bits <= 24])[:NEAREST]
        assert (np.diff(bits[kept]) >= 0).all()


def test_hashes_are_of_64_bits():
    found = hashes(np.random.default_rng(0).integers(0, 256, (500, 32, 32), np.uint8))
    assert found.dtype == np.uint64
    ones = [np.count_nonzero(found >> np.uint64(bit) & np.uint64(1)) for bit in range(64)]
    assert sorted(ones)[-1] == 500  # the mean brightness, which is larger than all others
    assert all(200 < count < 300 for count in sorted(ones)[:-1])


def test_an_image_fits_on_itself():
    thumbnail = measure(np.asarray(photograph(0))).thumbnail
    one, inverse, nothing = smoothed(np.stack([thumbnail, 255 - thumbnail, np.zeros_like(thumbnail)]))
    assert fit(one, one) > 0.9999
    assert fit(one, inverse) < 0
    assert fit(one, nothing) < 0.5
    assert best_fits(np.stack([one, inverse]), np.array([[0, 0], [0, 1]])).tolist() == [fit(one, one), -1]


@given(st.integers(0, 50), st.floats(0.9, 1.1), st.floats(-1.5, 1.5), st.floats(0.8, 2), st.floats(-20, 20))
@settings(max_examples=20)
def test_an_image_fits_that_is_stretched_and_moved_and_brighter(seed, scale, move, gain, level):
    """The search is for least squares: what is made by the transform that it seeks is explained nearly in full."""
    photo = np.asarray(photograph(seed).convert("L").filter(ImageFilter.GaussianBlur(6)), np.float64)
    height, width = photo.shape
    y, x = np.mgrid[:32, :32]
    shown = np.asarray(
        scipy.ndimage.map_coordinates(
            photo, [(scale * (y - 15.5) + 22 + move) * height / 45, (scale * (x - 15.5) + 22 - move) * width / 45]
        )
    )
    plain = scipy.ndimage.map_coordinates(photo, [(y - 15.5 + 22) * height / 45, (x - 15.5 + 22) * width / 45])
    one, other = smoothed(np.stack([plain, shown * gain / 2 + 60 + level]).clip(0, 255).astype(np.uint8))
    assert max(fit(one, other), fit(other, one)) > 0.97
