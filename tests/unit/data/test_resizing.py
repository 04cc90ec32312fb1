import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_azure.data.resizing import resize, resize_all

sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))
channels = st.sampled_from([1, 3])


def by_pillow(picture: np.ndarray, size: tuple[int, int], extent: tuple[float, float]) -> np.ndarray:
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    box = (0, 0, extent[1], extent[0])
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR, box)).reshape(*size, picture.shape[-1])


def noise(size: tuple[int, int], channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, channels), dtype=np.uint8)


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """The compiled loops, whose loading would be taken for a test's own time."""
    for channels in (1, 3):
        resize(noise((2, 2), channels), (3, 3))


@given(sizes, sizes, channels, st.integers(0, 255))
def test_an_even_colour_stays_as_it_is(before, after, channels, value):
    stretched = resize(np.full((*before, channels), value, np.uint8), after)
    assert stretched.shape == (*after, channels)
    assert stretched.dtype == np.uint8
    assert (stretched == value).all()


@given(sizes, sizes, channels, st.integers(0, 2**32 - 1))
def test_the_filter_is_that_of_pillow(before, after, channels, seed):
    picture = noise(before, channels, seed)
    difference = np.abs(resize(picture, after).astype(int) - by_pillow(picture, after, before))
    assert difference.max() <= 1


@given(sizes, sizes, channels, st.floats(0.01, 1), st.floats(0.01, 1))
def test_the_last_row_and_column_may_stand_for_less(before, after, channels, tall, wide):
    picture = noise(before, channels)
    extent = before[0] - 1 + tall, before[1] - 1 + wide
    difference = np.abs(resize(picture, after, extent).astype(int) - by_pillow(picture, after, extent))
    assert difference.max() <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_a_photograph_sized_picture_is_made_much_smaller_and_larger(channels):
    picture = noise((375, 500), channels)
    for size in [(224, 224), (7, 450), (600, 3), (1, 1), (800, 1000)]:
        difference = np.abs(resize(picture, size).astype(int) - by_pillow(picture, size, (375, 500)))
        assert difference.max() <= 1
        assert difference.mean() < 0.3


def test_a_view_of_any_layout_is_read_right():
    picture = noise((40, 30), 3)
    for view in (picture[::-1, ::2], picture.transpose(1, 0, 2), np.asfortranarray(picture)):
        assert np.array_equal(resize(view, (16, 16)), resize(view.copy(order="C"), (16, 16)))


def test_a_picture_of_the_size_is_given_back():
    picture = noise((5, 6), 3)
    assert resize(picture, (5, 6)) is picture


@given(st.integers(1, 3), sizes, sizes, channels, st.integers(0, 2**32 - 1))
def test_many_at_once_are_each_by_itself(count, before, after, channels, seed):
    pictures = np.stack([noise(before, channels, seed + number) for number in range(count)])
    np.testing.assert_array_equal(resize_all(pictures, after), [resize(picture, after) for picture in pictures])
