"""Augmentations that look at a pixel's surroundings, or put something in its place."""

import math
from functools import cache

import keras
import numpy as np
from scipy.special import ndtri

from keras_azure.augmentations.arrays import Array, Arrays
from keras_azure.augmentations.draws import threefry
from keras_azure.augmentations.layer import (
    UNIT,
    Augmentation,
    Range,
    applied,
    around_one,
    between,
    check_level,
    in_units,
    logarithms,
    times,
    up_to,
    whole,
)

_NORMAL_BITS = 12  # of a random word, for the table of normal numbers
_NORMAL_UNIT = 256


@keras.saving.register_keras_serializable("keras_azure")
class Sharpness(Augmentation):
    """Moves the picture away from a smoothed copy of itself, or towards it, as PIL's ImageEnhance.Sharpness does.

    Args:
        factor: 0.5 for factors from 0.5 to 1.5, or a range (low, high); 0 is smooth, 2 is sharp.
        probability: the share of the pictures that are changed.
    """

    num_draws = 1

    def __init__(
        self, *, factor: Range = 0.5, probability: float = 1.0, seed: int | None = None, name: str | None = None
    ):
        super().__init__(probability, seed, name)
        self.factor = factor
        self._factor = around_one("factor", factor)

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        factor = in_units(between(self._factor, uniform[:, 1]), xp)
        return xp.where(applied(uniform, self.probability), factor, UNIT)[:, None]

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        height, width = levels.shape[1:3]
        padded = xp.pad(levels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
        nine = sum(padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3))
        smooth = (nine + 4 * levels + 6) // 13  # the centre counts five times
        return xp.clip(smooth + times(levels - smooth, parameters[:, 0][:, None, None, None], xp), 0, 255)


@keras.saving.register_keras_serializable("keras_azure")
class Blur(Augmentation):
    """Smooths the picture with a Gaussian.

    Args:
        sigma: its standard deviation in pixels, or a range (low, high) of it.
        probability: the share of the pictures that are changed.
    """

    num_draws = 1

    def __init__(
        self,
        *,
        sigma: Range = (0.1, 2.0),
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name)
        self.sigma = sigma
        self._sigma = up_to("sigma", sigma, 0.01, 50)

    def _reach(self, shape: tuple[int, int, int]) -> int:
        """How many pixels to each side have a weight: three standard deviations, within the picture."""
        return min(math.ceil(3 * self._sigma[1]), min(shape[:2]))

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        reach = self._reach(shape)
        sigma = between(self._sigma, uniform[:, 1])[:, None]
        distance = xp.cast(xp.arange(1, reach + 1), "float32")[None, :]
        bell = xp.exp(-0.5 * (distance / sigma) ** 2)  # (batch, reach)
        share = bell / (1.0 + 2.0 * xp.sum(bell, axis=1, keepdims=True))
        aside = xp.where(applied(uniform, self.probability)[:, None], in_units(share, xp), 0)
        middle = UNIT - 2 * xp.sum(aside, axis=1, keepdims=True)  # so that they add up to 1
        return xp.cast(xp.concatenate([middle, aside], axis=1), "int32")

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        height, width = levels.shape[1:3]
        reach = parameters.shape[1] - 1
        weights = [parameters[:, column][:, None, None, None] for column in range(reach + 1)]
        padded = xp.pad(levels, ((0, 0), (0, 0), (reach, reach), (0, 0)), mode="symmetric")
        across = weights[0] * levels
        for distance in range(1, reach + 1):
            left, right = reach - distance, reach + distance
            across += weights[distance] * (padded[:, :, left : left + width] + padded[:, :, right : right + width])
        across = xp.right_shift(across + 128, 8)  # four bits behind the point, so that what follows fits in 31
        padded = xp.pad(across, ((0, 0), (reach, reach), (0, 0), (0, 0)), mode="symmetric")
        down = weights[0] * across
        for distance in range(1, reach + 1):
            above, below = reach - distance, reach + distance
            down += weights[distance] * (padded[:, above : above + height] + padded[:, below : below + height])
        return xp.clip(xp.right_shift(down + (1 << 15), 16), 0, 255)


@keras.saving.register_keras_serializable("keras_azure")
class Noise(Augmentation):
    """Adds Gaussian noise, another number to each channel of each pixel.

    Args:
        std: its standard deviation in levels, or a range (low, high) of it.
        probability: the share of the pictures that are changed.
    """

    num_draws = 3

    def __init__(
        self,
        *,
        std: Range = (0.0, 15.0),
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name)
        self.std = std
        self._std = up_to("std", std, 0, 255)

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        std = xp.where(applied(uniform, self.probability), between(self._std, uniform[:, 1]), 0.0)
        keys = [xp.cast(uniform[:, column] * 2.0**24, "int32") for column in (2, 3)]
        return xp.stack([whole(std * _NORMAL_UNIT, xp), *keys], axis=1)

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        pixels = math.prod(levels.shape[1:])
        key = tuple(xp.cast(parameters[:, column], "uint32")[:, None] for column in (1, 2))
        half = -(-pixels // 2)
        counter = xp.cast(xp.arange(half), "uint32")[None, :]
        words = xp.concatenate(threefry(key, (counter, xp.zeros_like(counter)), xp), axis=1)[:, :pixels]
        places = xp.cast(xp.right_shift(words, xp.cast(xp.array(32 - _NORMAL_BITS), "uint32")), "int32")
        normal = xp.take(xp.cast(xp.array(_normal_numbers()), "int32"), places, axis=0)  # (batch, pixels)
        scaled = normal * parameters[:, :1]
        noise = xp.right_shift(scaled + _NORMAL_UNIT**2 // 2, 16)
        return xp.clip(levels + xp.reshape(noise, xp.shape(levels)), 0, 255)


@keras.saving.register_keras_serializable("keras_azure")
class Erase(Augmentation):
    """Covers a random rectangle: "random erasing", or "cutout" where it is square.

    After Zhong and others, "Random erasing data augmentation", 2017, https://arxiv.org/abs/1708.04896.

    Args:
        scale: the rectangle's share of the area, as a range.
        ratio: its width over its height, as a range, drawn evenly on a logarithmic scale.
        fill_value: the level that it is covered with, 0..255.
        probability: the share of the pictures that are changed.
    """

    num_draws = 4

    def __init__(
        self,
        *,
        scale: Range = (0.02, 0.33),
        ratio: Range = (0.3, 3.3),
        fill_value: int = 0,
        probability: float = 0.5,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name)
        self.scale, self.ratio, self.fill_value = scale, ratio, fill_value
        self._scale, self._ratio = up_to("scale", scale, 0, 1), up_to("ratio", ratio, 0.01, 100)
        check_level("fill_value", fill_value)

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        area = between(self._scale, uniform[:, 1]) * applied_share(uniform, self.probability, xp)
        return rectangle(area, between(logarithms(self._ratio), uniform[:, 2]), uniform[:, 3:], shape, xp)

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        return xp.where(within(parameters, levels.shape[1:3], xp), self.fill_value, levels)


def applied_share(uniform: Array, probability: float, xp: Arrays) -> Array:
    """1 for the pictures that are changed, 0 for the others."""
    return xp.where(applied(uniform, probability), 1.0, 0.0)


def rectangle(area: Array, log_ratio: Array, places: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
    """Rectangles of a share of the picture and a proportion, anywhere within it.

    Args:
        area: shares of the picture's area, (batch,).
        log_ratio: logarithms of width over height, (batch,).
        places: random numbers, (batch, 2).

    Returns:
        The first row, the first column, the row and the column after the last ones: int32 (batch, 4).
    """
    height, width, _ = shape
    stretch = xp.exp(log_ratio)
    pixels = area * (height * width)
    rows = xp.minimum(xp.floor(xp.sqrt(pixels / stretch) + 0.5), float(height))
    columns = xp.minimum(xp.floor(xp.sqrt(pixels * stretch) + 0.5), float(width))
    top = xp.floor(places[:, 0] * (height - rows + 1.0))
    left = xp.floor(places[:, 1] * (width - columns + 1.0))
    return xp.cast(xp.stack([top, left, top + rows, left + columns], axis=1), "int32")


def within(rectangles: Array, size: tuple[int, int], xp: Arrays) -> Array:
    """Which pixels are in each picture's rectangle: bool (batch, height, width, 1)."""
    top, left, bottom, right = (rectangles[:, column][:, None, None, None] for column in range(4))
    rows = xp.cast(xp.arange(size[0]), "int32")[None, :, None, None]
    columns = xp.cast(xp.arange(size[1]), "int32")[None, None, :, None]
    return (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)


@cache
def _normal_numbers() -> np.ndarray:
    """The middles of 4096 equally likely parts of the normal distribution, int32 in steps of 1/256."""
    count = 1 << _NORMAL_BITS
    return np.round(ndtri((np.arange(count) + 0.5) / count) * _NORMAL_UNIT).astype(np.int32)
