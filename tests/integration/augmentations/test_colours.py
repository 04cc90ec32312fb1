"""Changed levels: what PIL makes of the same picture, and one pass that equals one layer after another."""

from functools import reduce

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src.utils.backend_utils import DynamicBackend
from PIL import Image, ImageEnhance, ImageOps

from keras_azure.augmentations import kernels
from keras_azure.augmentations.arrays import NUMPY, of_engine
from keras_azure.augmentations.colours import (
    LUMA,
    AutoContrast,
    Brightness,
    Contrast,
    Equalize,
    Grayscale,
    Hue,
    Invert,
    Posterize,
    Saturation,
    Solarize,
)
from keras_azure.augmentations.plan import ColourStage, plan_stages
from keras_azure.registry.registry import AUGMENTATIONS

TENSORFLOW = of_engine(DynamicBackend("tensorflow"))
ALL_COLOURS = np.stack(np.meshgrid(*[np.arange(0, 256, 17, dtype=np.uint8)] * 3), axis=-1).reshape(64, 64, 3)


def pictures(channels: int) -> dict[str, np.ndarray]:
    """Noise, pictures of few levels, of one level, and of a narrow range."""
    rng = np.random.default_rng(channels)
    shape = (24, 31, channels)
    return {
        "noise": rng.integers(0, 256, shape, np.uint8),
        "narrow": rng.normal(120, 12, shape).clip(0, 255).astype(np.uint8),
        "dark": rng.exponential(25, shape).clip(0, 255).astype(np.uint8),
        "two levels": rng.choice(np.array([10, 13], np.uint8), shape),
        "one level": np.full(shape, 77, np.uint8),
        "one pixel": rng.integers(0, 256, (1, 1, channels), np.uint8),
    }


EXAMPLES = [(name, channels) for channels in (1, 3) for name in pictures(channels)]


def changed(layer, image: np.ndarray) -> np.ndarray:
    return np.asarray(layer(image, training=True)).astype(int)


def by_pil(function, image: np.ndarray, *arguments) -> np.ndarray:
    given = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    return np.asarray(function(given, *arguments)).reshape(image.shape).astype(int)


@pytest.mark.parametrize(("name", "channels"), EXAMPLES)
@pytest.mark.parametrize(
    ("layer", "function", "arguments"),
    [
        (Equalize(), ImageOps.equalize, ()),
        (Invert(probability=1.0), ImageOps.invert, ()),
        *[(Posterize(bits=bits), ImageOps.posterize, (bits,)) for bits in (1, 4, 7, 8)],
        *[(Solarize(threshold=level), ImageOps.solarize, (int(level),)) for level in (0.0, 100.0, 128.0, 256.0)],
    ],
    ids=lambda value: getattr(value, "__name__", None) or getattr(value, "name", None),
)
def test_tables_are_pils(name, channels, layer, function, arguments):
    image = pictures(channels)[name]
    np.testing.assert_array_equal(changed(layer, image), by_pil(function, image, *arguments))


@pytest.mark.parametrize(("name", "channels"), EXAMPLES)
def test_autocontrast_is_pils_but_rounds(name, channels):
    """PIL cuts off what is behind the point, of a number that floating point may have made a little too small."""
    image = pictures(channels)[name]
    difference = changed(AutoContrast(), image) - by_pil(ImageOps.autocontrast, image)
    assert 0 <= difference.min() <= difference.max() <= 1
    low, high = (bound(image.astype(int), axis=(0, 1)) for bound in (np.min, np.max))
    exact = (image - low) * 255 / np.maximum(high - low, 1)
    exact = np.where(high > low, exact, image)
    assert np.abs(changed(AutoContrast(), image) - exact).max() <= 0.5


@pytest.mark.parametrize(("name", "channels"), EXAMPLES)
@pytest.mark.parametrize("factor", [0.0, 0.3, 0.9, 1.0, 1.4, 2.0])
def test_brightness_is_pils(name, channels, factor):
    image = pictures(channels)[name]
    difference = changed(Brightness(factor=(factor, factor)), image) - by_pil(bright, image, factor)
    assert np.abs(difference).max() <= 1  # PIL cuts off what is behind the point


@pytest.mark.parametrize(("name", "channels"), EXAMPLES)
@pytest.mark.parametrize("factor", [0.0, 0.3, 0.9, 1.0, 1.4, 2.0])
def test_contrast_is_pils(name, channels, factor):
    image = pictures(channels)[name]
    difference = changed(Contrast(factor=(factor, factor)), image) - by_pil(contrasted, image, factor)
    # PIL cuts off what is behind the point, and takes the mean of rounded brightness where we weigh rounded means.
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.9, 1.0, 1.4, 2.0])
def test_saturation_is_pils(factor):
    for image in (*pictures(3).values(), ALL_COLOURS):
        difference = changed(Saturation(factor=(factor, factor)), image) - by_pil(coloured, image, factor)
        assert np.abs(difference).max() <= 1  # PIL rounds the brightness first, and then cuts off


def bright(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def contrasted(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(factor)


def coloured(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Color(image).enhance(factor)


def test_grayscale_is_pils_and_has_three_equal_channels():
    out = changed(Grayscale(probability=1.0), ALL_COLOURS)
    expected = np.asarray(Image.fromarray(ALL_COLOURS).convert("L")).astype(int)
    assert (out == out[..., :1]).all()
    assert np.abs(out[..., 0] - expected).max() <= 1  # of weights in steps of 1/4096


def test_hue_leaves_gray_pixels():
    gray = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 3, axis=2)
    for degrees in (-180.0, -77.0, 13.0, 120.0):
        np.testing.assert_array_equal(changed(Hue(degrees=(degrees, degrees)), gray), gray)


@pytest.mark.parametrize(
    ("degrees", "becomes"), [(120.0, ["green", "blue", "red"]), (-120.0, ["blue", "red", "green"])]
)
def test_a_third_of_a_turn_makes_red_green(degrees, becomes):
    pure = (np.eye(3) * 160 + 40).astype(np.uint8)[None]  # red, green, blue, none of which clips
    out = changed(Hue(degrees=(degrees, degrees)), pure)[0]
    assert [("red", "green", "blue")[each] for each in out.argmax(axis=1)] == becomes


def test_a_hue_turned_three_times_by_a_third_is_itself():
    soft = (ALL_COLOURS // 4 + 96).astype(np.uint8)  # far from 0 and 255: nothing clips
    third = Hue(degrees=(120.0, 120.0))
    out = reduce(lambda image, _: changed(third, image).astype(np.uint8), range(3), soft)
    assert np.abs(out.astype(int) - soft).max() <= 3  # rounded three times, with weights above 1
    half_turns = [changed(Hue(degrees=(degrees, degrees)), soft) for degrees in (180.0, -180.0)]
    np.testing.assert_array_equal(*half_turns)


@pytest.mark.parametrize("degrees", [-180.0, -120.0, -40.0, 7.0, 90.0, 150.0])
def test_hue_keeps_brightness(degrees):
    soft = (ALL_COLOURS // 4 + 96).astype(np.uint8)
    out = changed(Hue(degrees=(degrees, degrees)), soft)
    assert 0 < out.min() < out.max() < 255
    assert np.abs((out - soft.astype(int)) @ np.array(LUMA)).max() <= 1


def test_saturation_hue_and_gray_leave_pictures_of_one_channel():
    image = pictures(1)["noise"]
    for layer in (Saturation(factor=(0.0, 0.0)), Hue(degrees=(90.0, 90.0)), Grayscale(probability=1.0)):
        np.testing.assert_array_equal(changed(layer, image), image)


@pytest.mark.parametrize(
    ("layer", "low", "high"),
    [(Brightness(factor=0.2, seed=1), 80, 120), (Brightness(factor=(0.5, 0.6), seed=1), 50, 60)],
)
def test_factors_are_drawn_over_the_whole_range(layer, low, high):
    out = changed(layer, np.full((500, 1, 1, 1), 100, np.uint8)).reshape(-1)
    assert (out.min(), out.max()) == (low, high)
    assert abs(out.mean() - (low + high) / 2) < 0.06 * (high - low)


def test_bits_are_drawn_over_the_whole_range():
    out = changed(Posterize(bits=(2, 5), seed=1), np.full((600, 1, 1, 1), 255, np.uint8)).reshape(-1)
    counts = {level: int((out == level).sum()) for level in (0b11000000, 0b11100000, 0b11110000, 0b11111000)}
    assert sum(counts.values()) == 600
    assert min(counts.values()) > 110


def test_the_highest_number_that_can_be_drawn_keeps_the_highest_bits():
    """An engine draws float32: near 1, adding to it may round up to the next whole number."""
    for bits in (1, 4, 8):
        layer = Posterize(bits=bits)
        drawn = np.array([[0.0, 1 - 2**-23]], np.float32)
        assert layer.sample(drawn, (1, 1, 1), NUMPY).tolist() == [[1, 8 - bits]]


@pytest.mark.parametrize("name", ["brightness", "contrast", "invert", "posterize", "solarize", "equalize"])
@pytest.mark.parametrize(("probability", "least", "most"), [(0.0, 0, 0), (0.5, 60, 140), (1.0, 199, 200)])
def test_so_many_pictures_are_changed(name, probability, least, most):
    image = pictures(3)["narrow"]  # of enough pixels for `equalize`
    options = {"brightness": "factor=(0.5, 0.6), ", "contrast": "factor=(0.5, 0.6), "}.get(name, "")
    layer = AUGMENTATIONS.build(f"{name}({options}probability={probability}, seed=0)")
    out = changed(layer, np.stack([image] * 200))
    assert least <= (out != image).any(axis=(1, 2, 3)).sum() <= most


# The colour stage.

SPECS = [
    "brightness(factor=0.9, probability=0.8)",
    "contrast(factor=(0.0, 3.0))",
    "invert",
    "posterize(bits=(1, 8))",
    "solarize(threshold=(0.0, 256.0))",
    "equalize(probability=0.6)",
    "autocontrast(probability=0.6)",
    "saturation(factor=(0.0, 3.0))",
    "grayscale(probability=0.5)",
    "hue(degrees=180.0)",
]


def stage_of(specs: list[str], shape) -> ColourStage:
    (stage,) = plan_stages(specs, shape, 2)
    assert isinstance(stage, ColourStage)
    return stage


def one_after_another(specs: list[str], images: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    levels = images.astype(np.int32)
    for stream, spec in enumerate(specs):
        layer = AUGMENTATIONS.build(spec)
        parameters = layer.sample(numbers[stream][:, : 1 + layer.num_draws], images.shape[1:], NUMPY)
        levels = layer.transform(levels, parameters, NUMPY)
    return levels


@settings(max_examples=40, deadline=None)
@given(
    specs=st.lists(st.sampled_from(SPECS), min_size=1, max_size=6),
    shape=st.sampled_from([(1, 1, 1), (1, 1, 3), (5, 8, 3), (9, 4, 1)]),
    seed=st.integers(0, 2**20),
)
def test_one_pass_is_one_layer_after_another(specs, shape, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, rng.integers(1, 257), (5, *shape)).astype(np.uint8)
    numbers = rng.random((len(specs), 4, 2))
    stage = stage_of(specs, shape)
    parameters = stage.sample(lambda stream, count: numbers[stream][:, :count])
    indices = np.array([4, 0, 0, 2])
    expected = one_after_another(specs, images[indices], numbers)
    before = images.copy()
    np.testing.assert_array_equal(stage.on_host(images, indices, parameters), expected)
    np.testing.assert_array_equal(images, before)  # of all epochs to come
    levels = images[indices].astype(np.int32)
    np.testing.assert_array_equal(stage.transform(levels, parameters, NUMPY), expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("order", range(2))
def test_tensorflow_agrees_to_the_bit(order, compiled, channels):
    rng = np.random.default_rng(order)
    specs = [str(spec) for spec in rng.permutation(SPECS)]
    images = rng.integers(0, 256, (4, 6, 7, channels), np.uint8)
    stage = stage_of(specs, images.shape[1:])
    numbers = rng.random((len(specs), 4, 2))
    parameters = stage.sample(lambda stream, count: numbers[stream][:, :count])

    @tf.function(jit_compile=compiled)
    def run(images, parameters):
        return stage.transform(tf.cast(images, tf.int32), parameters, TENSORFLOW)

    out = run(tf.constant(images), tf.constant(parameters))
    np.testing.assert_array_equal(out, stage.on_host(images, np.arange(4), parameters))


def test_histograms_count_every_pixel():
    images = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    expected = [[np.bincount(images[i, ..., c].reshape(-1), minlength=256) for c in range(3)] for i in range(3)]
    np.testing.assert_array_equal(kernels.histograms(images), expected)
