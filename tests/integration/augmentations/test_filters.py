"""Filters, noise and erasing, against other implementations and statistics."""

import numpy as np
import pytest
import tensorflow as tf
from keras.src.utils.backend_utils import DynamicBackend
from PIL import Image, ImageEnhance
from scipy import ndimage, stats

from keras_azure.augmentations.arrays import NUMPY, of_engine
from keras_azure.augmentations.filters import Blur, Erase, Noise, Sharpness

TENSORFLOW = of_engine(DynamicBackend("tensorflow"))
LEVELS = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
GRAY = np.full((48, 64, 3), 128, np.uint8)


def changed(layer, image: np.ndarray) -> np.ndarray:
    return np.asarray(layer(image, training=True)).astype(int)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_sharpness_is_pils_within_the_edges(factor, channels):
    image = LEVELS[..., :channels]
    given = Image.fromarray(image[..., 0] if channels == 1 else image)
    expected = np.asarray(ImageEnhance.Sharpness(given).enhance(factor)).reshape(image.shape).astype(int)
    out = changed(Sharpness(factor=(factor, factor)), image)
    # PIL cuts off what is behind the point, and leaves the outermost pixels as they are.
    assert np.abs(out - expected)[1:-1, 1:-1].max() <= 1


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5, 3), (2, 2, 3)])
def test_sharpness_leaves_a_picture_of_one_level(shape):
    image = np.full(shape, 93, np.uint8)
    np.testing.assert_array_equal(changed(Sharpness(factor=(3.0, 3.0)), image), image)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 0.8, 1.0, 2.0, 3.7, 9.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_blur_is_scipys(sigma, channels):
    image = LEVELS[..., :channels]
    radius = int(np.ceil(3 * sigma))
    exact = ndimage.gaussian_filter(image.astype(np.float64), sigma, mode="reflect", radius=radius, axes=(0, 1))
    assert np.abs(changed(Blur(sigma=sigma), image) - exact).max() <= 1
    three = ndimage.gaussian_filter(image.astype(np.float64), sigma, mode="reflect", truncate=3, axes=(0, 1))
    assert np.abs(changed(Blur(sigma=sigma), image) - three).max() <= 1 + 0.01 * 255  # one pixel more or less of reach


def test_a_weak_blur_of_a_wide_range_is_as_exact():
    drawn = np.array([[0.0, 0.2]])  # sigma = 1
    layer = Blur(sigma=(0.5, 3.0))
    out = layer.transform(LEVELS[None].astype(np.int32), layer.sample(drawn, LEVELS.shape, NUMPY), NUMPY)[0]
    exact = ndimage.gaussian_filter(LEVELS.astype(np.float64), 1.0, mode="reflect", truncate=9, axes=(0, 1))
    assert np.abs(out - exact).max() <= 1


@pytest.mark.parametrize("level", [0, 1, 77, 255])
@pytest.mark.parametrize("sigma", [0.5, 2.0, 50.0])
def test_blur_leaves_a_picture_of_one_level(level, sigma):
    for shape in [(1, 1, 1), (1, 9, 3), (7, 5, 1)]:
        image = np.full(shape, level, np.uint8)
        np.testing.assert_array_equal(changed(Blur(sigma=sigma), image), image)


@pytest.mark.parametrize("std", [0.5, 5.0, 20.0])
def test_noise_has_the_asked_deviation(std):
    out = changed(Noise(std=std, seed=1), np.stack([GRAY] * 8)) - 128
    assert abs(out.mean()) < 5 * std / np.sqrt(out.size) + 0.01
    assert out.std() == pytest.approx(np.sqrt(std**2 + 1 / 12), rel=0.02)  # with that of rounding to whole levels
    within = np.mean(np.abs(out) <= 1.5 * std)
    normal = stats.norm.cdf((np.floor(1.5 * std) + 0.5) / std) * 2 - 1
    assert within == pytest.approx(normal, abs=0.02)


def test_noise_is_another_in_each_pixel_channel_and_picture():
    out = changed(Noise(std=20.0, seed=1), np.stack([GRAY] * 2)).astype(float) - 128
    pairs = [(out[0], out[1]), (out[0, 1:], out[0, :-1]), (out[0, :, 1:], out[0, :, :-1]), (out[..., 0], out[..., 1])]
    for mine, others in pairs:
        assert abs(np.corrcoef(mine.ravel(), others.ravel())[0, 1]) < 5 / np.sqrt(mine.size)


def test_noise_of_a_range_differs_in_strength():
    out = changed(Noise(std=(0.0, 30.0), seed=1), np.stack([GRAY] * 60)).std(axis=(1, 2, 3))
    assert out.min() < 4
    assert 26 < out.max() < 31
    assert abs(out.mean() - 15) < 5


def test_an_odd_number_of_pixels_has_noise():
    out = changed(Noise(std=30.0, seed=1), np.full((50, 1, 3, 1), 128, np.uint8))
    assert (out.std(axis=0) > 10).all()


@pytest.mark.parametrize(("scale", "ratio"), [((0.25, 0.25), (1.0, 1.0)), ((0.02, 0.33), (0.3, 3.3))])
def test_erase_covers_the_asked_share_of_one_rectangle(scale, ratio):
    white = np.full((300, 40, 60, 3), 255, np.uint8)
    out = changed(Erase(scale=scale, ratio=ratio, fill_value=7, probability=1.0, seed=1), white)
    covered = (out == 7).all(axis=-1)
    assert ((out == 7) | (out == 255)).all()
    rows, columns = covered.any(axis=2).sum(axis=1), covered.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(covered.sum(axis=(1, 2)), rows * columns)
    for mask in covered:  # in one piece
        assert ndimage.label(mask)[1] == 1
    rounding = (rows + columns + 1) / 2 / 2400  # half a pixel at each edge
    shares = rows * columns / 2400
    assert (shares >= scale[0] - rounding).all()
    assert (shares <= scale[1] + rounding).all()
    assert (columns + 0.5 >= ratio[0] * (rows - 0.5)).all()
    assert (columns - 0.5 <= ratio[1] * (rows + 0.5)).all()
    if scale[0] == scale[1]:
        assert (rows[0], columns[0]) == (24, 24)  # sqrt(600) = 24.5
    # Anywhere within the picture, its edges as well.
    assert covered[:, 0].any()
    assert covered[:, -1].any()
    assert covered[:, :, 0].any()
    assert covered[:, :, -1].any()


def test_erase_of_everything_stays_within_the_picture():
    out = changed(Erase(scale=(1.0, 1.0), ratio=(0.01, 100.0), probability=1.0, seed=1), np.stack([LEVELS] * 50))
    assert out.shape == (50, *LEVELS.shape)
    assert (out == 0).any(axis=(1, 2, 3)).all()


LAYERS = {
    "sharpness": lambda probability: Sharpness(factor=(3.0, 3.0), probability=probability, seed=0),
    "blur": lambda probability: Blur(sigma=2.0, probability=probability, seed=0),
    "noise": lambda probability: Noise(std=30.0, probability=probability, seed=0),
    "erase": lambda probability: Erase(scale=(0.2, 0.3), probability=probability, seed=0),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize(("probability", "least", "most"), [(0.0, 0, 0), (0.5, 60, 140), (1.0, 200, 200)])
def test_so_many_pictures_are_changed(make, probability, least, most):
    images = np.stack([LEVELS[:8, :8]] * 200)
    out = changed(make(probability), images)
    assert least <= (out != images).any(axis=(1, 2, 3)).sum() <= most


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 10, 3)])
def test_tensorflow_agrees_to_the_bit(make, shape):
    rng = np.random.default_rng(0)
    layer = make(0.8)
    levels = rng.integers(0, 256, (6, *shape), np.int32)
    parameters = layer.sample(rng.random((6, 1 + layer.num_draws)), shape, NUMPY)
    expected = layer.transform(levels, parameters, NUMPY)
    run = tf.function(lambda levels, parameters: layer.transform(levels, parameters, TENSORFLOW), jit_compile=True)
    np.testing.assert_array_equal(run(tf.constant(levels), tf.constant(parameters)), expected)
    np.testing.assert_array_equal(layer.transform(levels, parameters, TENSORFLOW), expected)
    assert 0 <= expected.min() <= expected.max() <= 255
