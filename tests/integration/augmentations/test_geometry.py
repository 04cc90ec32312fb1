"""Moved pixels: one resampling of what each layer's documentation says, equal in every form."""

import math
from functools import reduce

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src.utils.backend_utils import DynamicBackend
from scipy import ndimage

from keras_azure.augmentations import kernels
from keras_azure.augmentations.arrays import NUMPY, of_engine
from keras_azure.augmentations.geometry import (
    FILLS,
    Crop,
    Flip,
    Rotate,
    Shear,
    Shift,
    Zoom,
    compose,
    fixed_point,
    resample,
)
from keras_azure.augmentations.plan import GeometricStage, plan_stages

TENSORFLOW = of_engine(DynamicBackend("tensorflow"))
SCIPY_MODES = {"nearest": "nearest", "constant": "grid-constant", "reflect": "reflect", "wrap": "grid-wrap"}
ROUNDING, CLAIMED = 0.5, 0.3  # levels; the second is what `resample` says of itself

SHARES = st.floats(0, 1 - 2**-24)
SHAPES = st.tuples(st.integers(1, 14), st.integers(1, 14), st.sampled_from([1, 3])) | st.sampled_from(
    [(1, 1, 1), (1, 1, 3), (1, 9, 3), (8, 1, 1), (33, 20, 3), (28, 28, 1)]
)


# What each layer does to a place, as its documentation says it, in pixels from the centre, x to the right and y down.


def shifted(right: float, down: float, shape) -> np.ndarray:
    return np.array([[1, 0, right * shape[1]], [0, 1, down * shape[0]], [0, 0, 1]])


def rotated(degrees: float) -> np.ndarray:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def zoomed(wide: float, high: float) -> np.ndarray:
    return np.diag([wide, high, 1.0])


def leaning(degrees: float) -> np.ndarray:
    return np.array([[1, -math.tan(math.radians(degrees)), 0], [0, 1, 0], [0, 0, 1]])


def falling(degrees: float) -> np.ndarray:
    return np.array([[1, 0, 0], [math.tan(math.radians(degrees)), 1, 0], [0, 0, 1]])


def cropped(area: float, ratio: float, places: tuple[float, float], shape) -> np.ndarray:
    height, width, _ = shape
    wide, high = min(math.sqrt(area * ratio), 1), min(math.sqrt(area / ratio), 1)
    left, top = places[0] * (1 - wide) * width, places[1] * (1 - high) * height
    to_centre = np.array([[1, 0, width / 2 - left - wide * width / 2], [0, 1, height / 2 - top - high * height / 2]])
    return np.diag([1 / wide, 1 / high, 1]) @ np.vstack([to_centre, [0, 0, 1]])


@st.composite
def operations(draw):
    """A layer's spec, the random numbers that it is given, and what it then does, as a function of the shape."""
    first, second, third, fourth = draw(st.tuples(SHARES, SHARES, SHARES, SHARES))
    kind = draw(st.sampled_from(["shift", "rotate", "zoom", "lean", "fall", "flip", "crop"]))
    number = draw(st.floats(-1, 1))
    given = (0.0, first, second, third, fourth)
    if kind == "shift":
        return "shift(horizontal=1.0, vertical=0.5)", given, lambda s: shifted(2 * first - 1, second - 0.5, s)
    if kind == "rotate":
        return f"rotate(degrees=({180 * number}, {180 * number}))", given, lambda s: rotated(180 * number)
    if kind == "zoom":
        spec = "zoom(factor=(0.5, 2.0), keep_aspect=False)"
        return spec, given, lambda s: zoomed(0.5 + 1.5 * first, 0.5 + 1.5 * second)
    if kind == "lean":
        return "shear(horizontal=30.0)", given, lambda s: leaning(60 * first - 30)
    if kind == "fall":
        return "shear(horizontal=0.0, vertical=30.0)", given, lambda s: falling(60 * second - 30)
    if kind == "flip":
        across, down = -1.0 if first < 0.5 else 1.0, -1.0 if second < 0.5 else 1.0
        return "flip(vertical=True)", given, lambda s: zoomed(across, down)
    area, ratio = 0.2 + 0.8 * first, 0.5 * 4**second
    return "crop(scale=(0.2, 1.0), ratio=(0.5, 2.0))", given, lambda s: cropped(area, ratio, (third, fourth), s)


def by_scipy(picture: np.ndarray, forward: np.ndarray, fill: str, fill_value: int) -> np.ndarray:
    """The picture moved in one float64 resampling."""
    inverse = np.linalg.inv(forward)
    centre = (np.array(picture.shape[:2]) - 1) / 2
    matrix = inverse[1::-1, 1::-1]  # SciPy's order is row, column
    offset = inverse[1::-1, 2] + centre - matrix @ centre
    channels = [
        ndimage.affine_transform(
            channel.astype(np.float64), matrix, offset, order=1, mode=SCIPY_MODES[fill], cval=fill_value
        )
        for channel in np.moveaxis(picture, 2, 0)
    ]
    return np.stack(channels, axis=2)


def stage_of(specs: list[str], shape) -> GeometricStage:
    (stage,) = plan_stages(specs, shape, 2)
    assert isinstance(stage, GeometricStage)
    return stage


def with_fill(spec: str, fill: str, fill_value: int) -> str:
    return spec if spec.startswith(("flip", "crop")) else f"{spec[:-1]}, fill={fill}, fill_value={fill_value})"


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(operations(), min_size=1, max_size=3),
    shape=SHAPES,
    fill=st.sampled_from(FILLS),
    fill_value=st.integers(0, 255),
    seed=st.integers(0, 99),
)
def test_several_layers_are_one_exact_resampling(parts, shape, fill, fill_value, seed):
    rng = np.random.default_rng(seed)
    # Black and white pixels beside each other show a wrong place best.
    picture = rng.choice(np.array([0, 255], np.uint8), shape) if seed % 2 else rng.integers(0, 256, shape, np.uint8)
    specs, given_numbers, forwards = zip(*parts, strict=True)
    stage = stage_of([with_fill(spec, fill, fill_value) for spec in specs], shape)
    parameters = stage.sample(lambda stream, count: np.array([given_numbers[stream][:count]]))
    out = stage.on_host(picture[None], np.array([0]), parameters)[0]
    forward = reduce(lambda done, then: then @ done, [matrix(shape) for matrix in forwards])
    # Crops and flips alone never look far beyond the edges, where the stage takes the nearest pixel.
    asked = fill if any(not spec.startswith(("flip", "crop")) for spec in specs) else "nearest"
    expected = by_scipy(picture, forward, asked, fill_value)
    np.testing.assert_allclose(out, expected, rtol=0, atol=ROUNDING + CLAIMED)


@pytest.mark.parametrize("size", [128, 224, 512, 1024])
def test_large_pictures_are_resampled_as_exactly(size):
    """The claim of `resample` holds for every size that a data set can have."""
    shape = (size, size, 1)
    picture = np.random.default_rng(size).choice(np.array([0, 255], np.uint8), shape)
    stage = stage_of(["rotate(degrees=(19.3, 19.3))", "zoom(factor=(0.93, 0.93))"], shape)
    parameters = stage.sample(lambda stream, count: np.zeros((1, count)))
    out = stage.on_host(picture[None], np.array([0]), parameters)[0]
    expected = by_scipy(picture, zoomed(0.93, 0.93) @ rotated(19.3), "nearest", 0)
    error = np.abs(out - expected).max()
    assert error <= ROUNDING + CLAIMED


@settings(max_examples=100, deadline=None)
@given(numbers=st.lists(st.floats(-2, 2), min_size=12, max_size=12))
def test_composed_maps_are_multiplied_matrices(numbers):
    first, second = numbers[:6], numbers[6:]
    matrices = [np.array([*each, 0, 0, 1]).reshape(3, 3) for each in (first, second)]
    composed = np.array([*compose(tuple(first), tuple(second)), 0, 0, 1]).reshape(3, 3)
    np.testing.assert_allclose(composed, matrices[0] @ matrices[1], atol=1e-12)


@tf.function(jit_compile=True)
def by_xla(levels, matrices, fill, fill_value):
    return resample(levels, matrices, fill, fill_value, TENSORFLOW)


MAPS = st.tuples(*[st.floats(-3, 3)] * 2, st.floats(-30, 30), *[st.floats(-3, 3)] * 2, st.floats(-30, 30))


@pytest.mark.parametrize("fill", FILLS)
@settings(max_examples=20, deadline=None)
@given(
    maps=st.lists(MAPS, min_size=4, max_size=4),
    shape=st.sampled_from([(1, 1, 1), (1, 7, 3), (9, 4, 1), (13, 10, 3)]),  # each is compiled for
    fill_value=st.integers(0, 255),
    seed=st.integers(0, 99),
)
def test_kernel_numpy_and_tensorflow_agree_to_the_bit(fill, maps, shape, fill_value, seed):
    pictures = np.random.default_rng(seed).integers(0, 256, (6, *shape), np.uint8)
    indices = np.array([5, 0, 0, 3])
    matrices = fixed_point(tuple(np.array(maps).T), shape, NUMPY)
    levels = pictures[indices].astype(np.int32)
    expected = resample(levels, matrices, fill, fill_value, NUMPY)
    kernel = kernels.resample_pictures(pictures, indices, matrices, FILLS.index(fill), fill_value)
    np.testing.assert_array_equal(kernel, expected)
    np.testing.assert_array_equal(resample(levels, matrices, fill, fill_value, TENSORFLOW), expected)
    np.testing.assert_array_equal(by_xla(levels, matrices, fill, tf.constant(fill_value)), expected)


def test_maps_beyond_sixteen_pictures_stay_in_range():
    """No whole number runs over: the kernel, which counts in 64 bits, and NumPy's 32 bits agree."""
    far = tuple(np.array([value]) for value in (1e6, -1e6, 1e9, 1e6, 1e6, -1e9))
    for shape in [(1, 1, 1), (7, 12, 1), (300, 200, 1)]:
        picture = np.random.default_rng(0).integers(0, 256, (1, *shape), np.uint8)
        matrices = fixed_point(far, shape, NUMPY)
        kernel = kernels.resample_pictures(picture, np.array([0]), matrices, 3, 0)
        np.testing.assert_array_equal(kernel, resample(picture.astype(np.int32), matrices, "wrap", 0, NUMPY))


# Each layer by itself, called as any Keras layer.


def one_pixel(height: int, width: int, row: int, column: int) -> np.ndarray:
    picture = np.zeros((height, width, 1), np.uint8)
    picture[row, column] = 255
    return picture


def picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)


def changed(layer, image: np.ndarray) -> np.ndarray:
    return np.asarray(layer(image, training=True))


def test_a_shift_moves_to_the_right_and_down():
    right = changed(Shift(horizontal=(0.25, 0.25), vertical=0.0, fill="constant"), one_pixel(8, 12, 3, 4))
    np.testing.assert_array_equal(right, one_pixel(8, 12, 3, 7))
    down = changed(Shift(horizontal=0.0, vertical=(0.5, 0.5), fill="constant"), one_pixel(8, 12, 3, 4))
    np.testing.assert_array_equal(down, one_pixel(8, 12, 7, 4))


def test_a_number_shifts_to_either_side():
    pixels = np.stack([one_pixel(1, 100, 0, 50)] * 300)
    out = changed(Shift(horizontal=0.2, vertical=0.0, seed=1), pixels)
    places = (out[:, 0, :, 0] * np.arange(100)).sum(axis=1) / out[:, 0, :, 0].sum(axis=1)
    assert 29.9 < places.min() < 31 < 69 < places.max() < 70.1


@pytest.mark.parametrize(
    ("fill", "row"),
    [
        ("nearest", [1, 1, 1, 1, 2]),
        ("constant", [9, 9, 9, 1, 2]),
        ("reflect", [3, 2, 1, 1, 2]),
        ("wrap", [3, 4, 5, 1, 2]),
    ],
)
def test_fills(fill, row):
    image = np.arange(1, 6, dtype=np.uint8)[None, :, None]
    layer = Shift(horizontal=(0.6, 0.6), vertical=0.0, fill=fill, fill_value=9)
    assert changed(layer, image)[0, :, 0].tolist() == row


@pytest.mark.parametrize("size", [1, 2, 7, 28])
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("quarters", [-1, 1, 2, 3])
def test_right_angles_of_a_square_picture_are_exact_and_counter_clockwise(size, fill, quarters):
    layer = Rotate(degrees=(90 * quarters, 90 * quarters), fill=fill)
    np.testing.assert_array_equal(changed(layer, picture(size, size)), np.rot90(picture(size, size), quarters))


@pytest.mark.parametrize("height, width", [(1, 1), (1, 6), (5, 1), (5, 6), (8, 7)])
def test_flips_are_exact(height, width):
    image = picture(height, width)
    np.testing.assert_array_equal(changed(Flip(probability=1.0), image), image[:, ::-1])
    np.testing.assert_array_equal(changed(Flip(horizontal=False, vertical=True, probability=1.0), image), image[::-1])
    np.testing.assert_array_equal(changed(Flip(vertical=True, probability=1.0), image), image[::-1, ::-1])


def test_the_two_flips_are_independent():
    image = picture(2, 2, 1)
    forms = [image, image[:, ::-1], image[::-1], image[::-1, ::-1]]
    out = changed(Flip(vertical=True, seed=3), np.stack([image] * 400))
    counts = [sum(np.array_equal(each, form) for each in out) for form in forms]
    assert sum(counts) == 400
    assert min(counts) > 60


def test_a_zoom_above_one_enlarges():
    square = np.zeros((12, 16, 1), np.uint8)
    square[4:8, 6:10] = 255
    larger = changed(Zoom(factor=(2.0, 2.0), fill="constant"), square)
    smaller = changed(Zoom(factor=(0.5, 0.5), fill="constant"), square)
    assert (larger[3:9, 5:11] == 255).all()
    assert 3 < larger.sum() / square.sum() < 5
    assert (smaller[5:7, 7:9] == 255).all()
    assert smaller.sum() == square.sum() / 4


def test_a_zoom_keeps_the_proportion_only_if_asked():
    drawn = np.array([[0.0, 0.2, 0.9]])
    wide, _, _, _, high, _ = Zoom().maps(drawn, (9, 9, 1), NUMPY)
    assert wide == high == pytest.approx(1 / (0.8 + 0.4 * 0.2))
    wide, _, _, _, high, _ = Zoom(keep_aspect=False).maps(drawn, (9, 9, 1), NUMPY)
    assert (wide, high) == pytest.approx((1 / (0.8 + 0.4 * 0.2), 1 / (0.8 + 0.4 * 0.9)))


def test_a_shear_leans_upright_lines_to_the_right():
    upright = np.zeros((9, 9, 1), np.uint8)
    upright[:, 4] = 255
    out = changed(Shear(horizontal=(45.0, 45.0), fill="constant"), upright)
    np.testing.assert_array_equal(out[..., 0], 255 * np.eye(9, dtype=np.uint8)[::-1])


def test_a_shear_lets_level_lines_fall():
    level = np.zeros((9, 9, 1), np.uint8)
    level[4] = 255
    out = changed(Shear(horizontal=0.0, vertical=(45.0, 45.0), fill="constant"), level)
    np.testing.assert_array_equal(out[..., 0], 255 * np.eye(9, dtype=np.uint8))


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_a_crop_is_a_part_of_the_documented_area_and_proportion(ratio):
    height, width = 40, 60
    gradient = np.zeros((500, height, width, 3), np.uint8)
    gradient[..., 0], gradient[..., 1] = np.arange(width)[None, None], np.arange(height)[None, :, None]
    out = changed(Crop(scale=(0.25, 0.25), ratio=(ratio, ratio), seed=1), gradient).astype(int)
    # The middles of the outermost pixels are a part's pixel less than the whole part.
    wide = (out[:, 20, -2, 0] - out[:, 20, 1, 0]) / (width - 3)
    high = (out[:, -2, 30, 1] - out[:, 1, 30, 1]) / (height - 3)
    np.testing.assert_allclose(wide, math.sqrt(0.25 * ratio), atol=1.1 / (width - 3))
    np.testing.assert_allclose(high, math.sqrt(0.25 / ratio), atol=1.1 / (height - 3))
    # It lies anywhere in the picture, and nowhere beyond.
    left, right = out[:, 20, 0, 0], out[:, 20, -1, 0]
    assert left.min() == 0
    assert right.max() == width - 1
    assert len(np.unique(left)) > (1 - math.sqrt(0.25 * ratio)) * width - 3


def test_a_crop_of_a_corner_is_that_corner_enlarged():
    image = np.kron(picture(3, 4), np.ones((4, 4, 1), np.uint8))  # 12 x 16, each pixel four times
    corner = np.array([[0.0, 0.5, 0.5, 1 - 2**-24, 1 - 2**-24]])
    layer = Crop(scale=(0.25, 0.25), ratio=(1.0, 1.0))
    out = layer.transform(image[None].astype(np.int32), layer.sample(corner, image.shape, NUMPY), NUMPY)[0]
    expected = by_scipy(image, cropped(0.25, 1.0, (1, 1), image.shape), "nearest", 0)
    np.testing.assert_allclose(out, expected, atol=ROUNDING + CLAIMED)
    np.testing.assert_array_equal(out[-2, -2], image[-1, -1])
    np.testing.assert_array_equal(out[1, 1], image[6, 8])


def test_a_crop_larger_than_the_picture_is_cut_to_it():
    image = picture(10, 10)
    layer = Crop(scale=(1.0, 1.0), ratio=(4.0, 4.0), seed=0)
    out = changed(layer, np.stack([image] * 20))
    halves = np.diff(out.astype(int), axis=2)
    assert np.abs(halves).max() > 50  # the whole width
    wide, _, right, _, high, _ = layer.maps(np.array([[0.0, 0.5, 0.5, 0.5, 0.5]]), (10, 10, 3), NUMPY)
    assert (wide, right, high) == (1.0, 0.0, 0.5)


LAYERS = {
    "shift": lambda probability: Shift(horizontal=(0.5, 0.5), probability=probability, seed=0),
    "flip": lambda probability: Flip(probability=probability, seed=0),
    "rotate": lambda probability: Rotate(degrees=(90.0, 90.0), probability=probability, seed=0),
    "zoom": lambda probability: Zoom(factor=(2.0, 2.0), probability=probability, seed=0),
    "shear": lambda probability: Shear(horizontal=(40.0, 40.0), probability=probability, seed=0),
    "crop": lambda probability: Crop(scale=(0.2, 0.2), probability=probability, seed=0),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
@pytest.mark.parametrize(("probability", "least", "most"), [(0.0, 0, 0), (0.5, 60, 140), (1.0, 200, 200)])
def test_so_many_pictures_are_changed(make, probability, least, most):
    pictures = np.stack([picture(6, 6)] * 200)
    moved = (changed(make(probability), pictures) != pictures).any(axis=(1, 2, 3)).sum()
    assert least <= moved <= most
