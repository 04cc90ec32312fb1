"""Augmentations that move pixels: each is one affine map a picture, so that neighbours compose to one.

A map takes the place of an output pixel to the place in the input where it comes from, both measured in pixels from
the picture's centre. It is six columns a, b, t, d, e, u of shape (batch,): x = a x' + b y' + t and y = d x' + e y' + u.
"""

import math
from typing import Literal

import keras
import numpy as np

from keras_azure.augmentations.arrays import Array, Arrays
from keras_azure.augmentations.layer import (
    Augmentation,
    Range,
    applied,
    around_one,
    between,
    both_ways,
    check_level,
    logarithms,
    up_to,
)
from keras_azure.errors import DataError

Affine = tuple[Array, Array, Array, Array, Array, Array]
Fill = Literal["nearest", "constant", "reflect", "wrap"]  # aaa|abc|ccc, kkk|abc|kkk, cba|abc|cba, abc|abc|abc
NEAREST, CONSTANT, REFLECT, WRAP = range(4)
FILLS = ("nearest", "constant", "reflect", "wrap")

LARGEST_SIDE = 1 << 14  # pixels
FINER_BITS = 10
WEIGHT_BITS = 13  # the four weights of a bilinear sample add up to 2**13
PART_BITS = 11  # of a coordinate's fraction


class Geometric(Augmentation):
    """Resamples each picture once, bilinearly.

    Attributes:
        fill: what is beyond the picture's edges; None where nothing beyond is ever seen.
        fill_value: the level beyond the edges for "constant".
    """

    def __init__(self, probability: float, seed: int | None, name: str | None, fill: Fill | None, fill_value: int):
        super().__init__(probability, seed, name)
        if fill not in (None, *FILLS):
            raise ValueError(f"fill={fill!r} must be one of {', '.join(FILLS)}")
        check_level("fill_value", fill_value)
        self.fill = fill
        self.fill_value = fill_value

    def affine(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Affine:
        """The map of each picture that is changed, from random numbers (batch, 1 + num_draws).

        A column that is the same for all pictures may be one number.
        """
        raise NotImplementedError

    def maps(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Affine:
        """The map of each picture: `affine`, or the identity."""
        drawn = self.affine(uniform, shape, xp)
        changed = applied(uniform, self.probability)
        return tuple(xp.where(changed, *pair) for pair in zip(drawn, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), strict=True))

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        return fixed_point(self.maps(uniform, shape, xp), shape, xp)

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        return resample(levels, parameters, self.fill or "nearest", self.fill_value, xp)


@keras.saving.register_keras_serializable("keras_azure")
class Shift(Geometric):
    """Moves the picture.

    Args:
        horizontal: by up to this share of the width, to either side; a range (low, high) is to the right.
        vertical: by up to this share of the height; a range is downwards.
        fill: beyond the edges: nearest, constant, reflect, wrap.
        fill_value: the level for "constant", 0..255.
        probability: the share of the pictures that are changed.
    """

    num_draws = 2

    def __init__(
        self,
        *,
        horizontal: Range = 0.1,
        vertical: Range = 0.1,
        fill: Fill = "nearest",
        fill_value: int = 0,
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name, fill, fill_value)
        self.horizontal, self.vertical = horizontal, vertical
        self._horizontal, self._vertical = both_ways("horizontal", horizontal, 1), both_ways("vertical", vertical, 1)

    def affine(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Affine:
        right = between(self._horizontal, uniform[:, 1]) * shape[1]
        down = between(self._vertical, uniform[:, 2]) * shape[0]
        return 1.0, 0.0, -right, 0.0, 1.0, -down


@keras.saving.register_keras_serializable("keras_azure")
class Flip(Geometric):
    """Mirrors the picture.

    Args:
        horizontal: swaps left and right.
        vertical: swaps top and bottom.
        probability: of each of the two that is asked for, independently.
    """

    num_draws = 2

    def __init__(
        self,
        *,
        horizontal: bool = True,
        vertical: bool = False,
        probability: float = 0.5,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name, None, 0)
        self.horizontal, self.vertical = horizontal, vertical

    def maps(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Affine:
        across = xp.where(uniform[:, 1] < self.probability * self.horizontal, -1.0, 1.0)
        down = xp.where(uniform[:, 2] < self.probability * self.vertical, -1.0, 1.0)
        return across, 0.0, 0.0, 0.0, down, 0.0


@keras.saving.register_keras_serializable("keras_azure")
class Rotate(Geometric):
    """Turns the picture around its centre.

    Args:
        degrees: by up to so many, either way; a range (low, high) is counter-clockwise.
        fill: beyond the edges: nearest, constant, reflect, wrap.
        fill_value: the level for "constant", 0..255.
        probability: the share of the pictures that are changed.
    """

    num_draws = 1

    def __init__(
        self,
        *,
        degrees: Range = 20.0,
        fill: Fill = "nearest",
        fill_value: int = 0,
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name, fill, fill_value)
        self.degrees = degrees
        self._degrees = both_ways("degrees", degrees, 360)

    def affine(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Affine:
        angle = between(self._degrees, uniform[:, 1]) * (math.pi / 180)
        cosine, sine = xp.cos(angle), xp.sin(angle)
        return cosine, -sine, 0.0, sine, cosine, 0.0


@keras.saving.register_keras_serializable("keras_azure")
class Zoom(Geometric):
    """Makes the picture larger or smaller around its centre.

    Args:
        factor: 0.2 for factors from 0.8 to 1.2, or a range (low, high); above 1 enlarges.
        keep_aspect: the same factor for width and height; two independent ones otherwise.
        fill: beyond the edges: nearest, constant, reflect, wrap.
        fill_value: the level for "constant", 0..255.
        probability: the share of the pictures that are changed.
    """

    num_draws = 2

    def __init__(
        self,
        *,
        factor: Range = 0.2,
        keep_aspect: bool = True,
        fill: Fill = "nearest",
        fill_value: int = 0,
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name, fill, fill_value)
        self.factor, self.keep_aspect = factor, keep_aspect
        self._factor = around_one("factor", factor, least=0.1)

    def affine(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Affine:
        wide = between(self._factor, uniform[:, 1])
        high = wide if self.keep_aspect else between(self._factor, uniform[:, 2])
        return 1.0 / wide, 0.0, 0.0, 0.0, 1.0 / high, 0.0


@keras.saving.register_keras_serializable("keras_azure")
class Shear(Geometric):
    """Slants the picture.

    Args:
        horizontal: upright lines lean by up to so many degrees, either way; a range (low, high) is to the right.
        vertical: level lines fall by up to so many degrees, either way.
        fill: beyond the edges: nearest, constant, reflect, wrap.
        fill_value: the level for "constant", 0..255.
        probability: the share of the pictures that are changed.
    """

    num_draws = 2

    def __init__(
        self,
        *,
        horizontal: Range = 10.0,
        vertical: Range = 0.0,
        fill: Fill = "nearest",
        fill_value: int = 0,
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name, fill, fill_value)
        self.horizontal, self.vertical = horizontal, vertical
        self._horizontal, self._vertical = both_ways("horizontal", horizontal, 80), both_ways("vertical", vertical, 80)

    def affine(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Affine:
        lean = xp.tan(between(self._horizontal, uniform[:, 1]) * (math.pi / 180))
        fall = xp.tan(between(self._vertical, uniform[:, 2]) * (math.pi / 180))
        return 1.0, lean, 0.0, -fall, 1.0 - lean * fall, 0.0


@keras.saving.register_keras_serializable("keras_azure")
class Crop(Geometric):
    """A random part of the picture, stretched to the whole: the "random resized crop".

    After Szegedy and others, "Going deeper with convolutions", 2014, https://arxiv.org/abs/1409.4842.

    Args:
        scale: the part's share of the area, as a range.
        ratio: its width over its height, as a range, in the picture's own proportion; drawn evenly on a logarithmic
            scale. A part that would be larger than the picture is cut to it.
        probability: the share of the pictures that are changed.
    """

    num_draws = 4

    def __init__(
        self,
        *,
        scale: Range = (0.08, 1.0),
        ratio: Range = (0.75, 1.333),
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name, None, 0)
        self.scale, self.ratio = scale, ratio
        if max(scale if isinstance(scale, tuple) else (scale,)) > 1:
            raise ValueError(f"scale={scale} asks for a crop larger than the picture, whose whole area is 1")
        self._scale, self._ratio = up_to("scale", scale, 0.001, 1), up_to("ratio", ratio, 0.01, 100)

    def affine(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Affine:
        area = between(self._scale, uniform[:, 1])
        stretch = xp.exp(between(logarithms(self._ratio), uniform[:, 2]))
        wide = xp.minimum(xp.sqrt(area * stretch), 1.0)  # shares of the picture's width and height
        high = xp.minimum(xp.sqrt(area / stretch), 1.0)
        right = (uniform[:, 3] - 0.5) * (1.0 - wide) * shape[1]
        down = (uniform[:, 4] - 0.5) * (1.0 - high) * shape[0]
        return wide, 0.0, right, 0.0, high, down


def compose(first: Affine, second: Affine) -> Affine:
    """The one map that does what `first` and, on its result, `second` do."""
    a, b, t, d, e, u = first
    a2, b2, t2, d2, e2, u2 = second
    return (
        *(a * a2 + b * d2, a * b2 + b * e2, a * t2 + b * u2 + t),
        *(d * a2 + e * d2, d * b2 + e * e2, d * t2 + e * u2 + u),
    )


def fraction_bits(height: int, width: int) -> int:
    """The bits behind the point of a coordinate: so many that sixteen pictures side by side fit in 30 bits.

    Raises:
        DataError: a side has more than 16,384 pixels.
    """
    if max(height, width) > LARGEST_SIDE:
        raise DataError(
            f"Pictures of {height}x{width} pixels cannot be moved.", expected=f"{LARGEST_SIDE} or less a side"
        )
    return 25 - max(height - 1, width - 1, 1).bit_length()


def fixed_point(maps: Affine, shape: tuple[int, int, int], xp: Arrays) -> Array:
    """Maps from the centre as whole numbers from the corner.

    What would reach beyond sixteen pictures, a zoom to less than a sixteenth, is cut to that.

    Returns:
        int32 (batch, 10): a, b, x0, d, e, y0 in steps of 2**-fraction_bits, rounded down, and what is left of the
        slopes a, b, d, e in steps of another 2**-FINER_BITS, since it adds up from pixel to pixel.
    """
    height, width, _ = shape
    bits, size = fraction_bits(height, width), max(height, width)
    a, b, t, d, e, u = maps
    x_centre, y_centre = (width - 1) / 2, (height - 1) / 2
    x0 = t + x_centre - a * x_centre - b * y_centre + 0.5 / (1 << bits)
    y0 = u + y_centre - d * x_centre - e * y_centre + 0.5 / (1 << bits)
    zeros = 0.0 * (a + b + t + d + e + u)  # (batch,): some columns may be one number for all
    columns = xp.stack([column + zeros for column in (a, b, x0, d, e, y0)], axis=1)  # (batch, 6)
    limits = np.array([(1 << 29) // size, (1 << 29) // size, 1 << 29] * 2, np.float32)
    numbers = xp.minimum(xp.maximum(columns * float(1 << bits), -limits), limits)
    whole = xp.floor(numbers)
    rest = xp.floor((numbers - whole) * float(1 << FINER_BITS) + 0.5)
    slopes = [rest[:, column] for column in (0, 1, 3, 4)]
    return xp.cast(xp.concatenate([whole, xp.stack(slopes, axis=1)], axis=1), "int32")


def resample(levels: Array, matrices: Array, fill: Fill, fill_value: int, xp: Arrays) -> Array:
    """One bilinear resampling, in whole numbers.

    Args:
        levels: int32 (batch, height, width, channels), 0..255.
        matrices: int32 (batch, 10) from `fixed_point`.
        fill, fill_value: what each of the four neighbours of a place is that lies beyond the edges.

    Returns:
        int32 levels as they came; they differ from exact arithmetic by the rounding and at most 0.3 levels.
    """
    height, width, channels = levels.shape[1:]
    bits = fraction_bits(height, width)
    mode = FILLS.index(fill)
    a, b, x0, d, e, y0, *finer = (matrices[:, column][:, None, None] for column in range(10))
    rows = xp.cast(xp.arange(height), "int32")[None, :, None]
    columns = xp.cast(xp.arange(width), "int32")[None, None, :]
    x = a * columns + b * rows + x0 + xp.right_shift(finer[0] * columns + finer[1] * rows, FINER_BITS)
    y = d * columns + e * rows + y0 + xp.right_shift(finer[2] * columns + finer[3] * rows, FINER_BITS)
    if mode == REFLECT:
        half = 1 << (bits - 1)
        x, y = folded(x, width << bits, half, xp), folded(y, height << bits, half, xp)
    column, row = xp.right_shift(x, bits), xp.right_shift(y, bits)
    w00, w01, w10, w11 = _weights(x, y, bits, xp)
    pixels = xp.reshape(levels, (-1, channels))
    start = xp.cast(xp.arange(xp.shape(levels)[0]), "int32")[:, None, None] * (height * width)

    def neighbour(column: Array, row: Array) -> Array:
        at = start + _index(row, height, mode, xp) * width + _index(column, width, mode, xp)
        found = xp.take(pixels, at, axis=0)  # (batch, height, width, channels)
        if mode == CONSTANT:
            outside = (column < 0) | (column >= width) | (row < 0) | (row >= height)
            found = xp.where(outside[..., None], fill_value, found)
        return found

    total = neighbour(column, row) * w00[..., None] + neighbour(column + 1, row) * w01[..., None]
    total += neighbour(column, row + 1) * w10[..., None] + neighbour(column + 1, row + 1) * w11[..., None]
    return xp.right_shift(total + (1 << (WEIGHT_BITS - 1)), WEIGHT_BITS)


def folded(position: Array, size: int, half: int, xp: Arrays) -> Array:
    """Positions mirrored at the edges until they are within half a pixel of the picture, -half .. size - half."""
    place = xp.mod(position + half, 2 * size)
    return xp.minimum(place, 2 * size - place) - half


def _weights(x: Array, y: Array, bits: int, xp: Arrays) -> tuple[Array, Array, Array, Array]:
    """The weights of the neighbours; they add up to 2**WEIGHT_BITS exactly."""
    mask, shift = (1 << PART_BITS) - 1, 2 * PART_BITS - WEIGHT_BITS
    right = xp.bitwise_and(xp.right_shift(x, bits - PART_BITS), mask)
    down = xp.bitwise_and(xp.right_shift(y, bits - PART_BITS), mask)
    both = xp.right_shift(right * down + (1 << (shift - 1)), shift)
    right, down = right * (1 << WEIGHT_BITS - PART_BITS), down * (1 << WEIGHT_BITS - PART_BITS)
    return (1 << WEIGHT_BITS) - right - down + both, right - both, down - both, both


def _index(position: Array, size: int, mode: int, xp: Arrays) -> Array:
    if mode == WRAP:
        return xp.mod(position, size)
    return xp.clip(position, 0, size - 1)  # a folded position is at most half a pixel outside
