"""What every augmentation of this package is: a Keras layer whose random part and whose pixels are apart.

    uniform numbers --sample--> parameters --transform--> pixels
    (batch, 1 + num_draws)      int32 (batch, k)          0..255

`sample` may compute with cosines and logarithms. Its parameters are whole numbers, and so is all arithmetic after them:
NumPy, compiled loops and every Keras engine then give the same picture to the bit.
"""

import inspect
import math
from typing import Any

import keras

# Keras's own base of layers that work in tf.data under every engine; it has no public name.
from keras.src.layers.preprocessing.data_layer import DataLayer

from keras_azure.augmentations.arrays import Array, Arrays, of_engine

UNIT = 4096  # parameters count in steps of 1/4096
_UNIT_BITS = 12

Range = float | tuple[float, float]


class Augmentation(DataLayer):
    """Changes pictures (batch, height, width, channels) or a single one without the batch, with pixels 0..255.

    Usable in any Keras model, in `tf.data`, and on `{"images": ..., "labels": ...}`. Pictures of floating-point numbers
    are rounded to whole levels, so that a layer does the same everywhere. Does nothing with `training=False`.

    Attributes:
        num_draws: the random numbers that a picture needs beside the one that decides whether it is changed.
        probability: the share of the pictures that are changed.
    """

    num_draws = 0

    def __init__(self, probability: float, seed: int | None, name: str | None):
        super().__init__(name=name)
        if not 0 <= probability <= 1:
            raise ValueError(f"probability={probability} must be from 0 to 1")
        self.probability = probability
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        """The parameters, int32 (batch, k), that follow from random numbers (batch, 1 + num_draws) in [0, 1)."""
        raise NotImplementedError

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        """New levels 0..255, int32 (batch, height, width, channels), from levels and parameters of such."""
        raise NotImplementedError

    def call(self, inputs: Any, training: bool = True) -> Any:
        if not training:
            return inputs
        xp = of_engine(self.backend)
        images = inputs["images"] if isinstance(inputs, dict) else inputs
        shape = tuple(images.shape[-3:])
        if len(images.shape) not in (3, 4) or None in shape:
            raise ValueError(f"{type(self).__name__} takes pictures of one known size, and not {tuple(images.shape)}")
        batch = xp.reshape(images, (-1, *shape))  # (batch, height, width, channels)
        out = self.transform(whole_levels(batch, xp), self._drawn(batch, xp), xp)
        out = xp.reshape(xp.cast(out, images.dtype), xp.shape(images))
        return {**inputs, "images": out} if isinstance(inputs, dict) else out

    def _drawn(self, images: Array, xp: Arrays) -> Array:
        """Parameters for a batch of pictures from the layer's own random numbers."""
        generator = self._get_seed_generator(self.backend.name)
        size = (xp.shape(images)[0], 1 + self.num_draws)
        return self.sample(self.backend.random.uniform(size, seed=generator), tuple(images.shape[1:]), xp)

    def compute_output_spec(self, inputs: Any, training: bool = True) -> Any:
        return keras.tree.map_structure(lambda values: keras.KerasTensor(values.shape, values.dtype), inputs)

    def get_config(self) -> dict[str, Any]:
        return {option: getattr(self, option) for option in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Augmentation":
        # JSON has no tuples.
        options: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in config.items()
        }
        return cls(**options)


def whole_levels(images: Array, xp: Arrays) -> Array:
    """Pictures of any type as int32, 0..255."""
    return xp.cast(xp.clip(xp.floor(xp.cast(images, "float32") + 0.5), 0, 255), "int32")


def applied(uniform: Array, probability: float) -> Array:
    """Whether each picture is changed, (batch,) bool."""
    return uniform[:, 0] < probability


def between(limits: tuple[float, float], uniform: Array) -> Array:
    """Spreads numbers in [0, 1) over a range."""
    low, high = limits
    return low + (high - low) * uniform


def logarithms(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    return math.log(low), math.log(high)


def whole(numbers: Array, xp: Arrays) -> Array:
    """The nearest whole numbers, int32."""
    return xp.cast(xp.floor(numbers + 0.5), "int32")


def in_units(numbers: Array, xp: Arrays) -> Array:
    """Numbers as int32 in steps of 1/4096."""
    return whole(numbers * UNIT, xp)


def times(levels: Array, factor: Array, xp: Arrays) -> Array:
    """Whole levels times a factor in steps of 1/4096, rounded to whole levels."""
    return from_units(levels * factor, xp)


def from_units(numbers: Array, xp: Arrays) -> Array:
    """Whole numbers in steps of 1/4096, rounded to whole ones."""
    return xp.right_shift(numbers + UNIT // 2, _UNIT_BITS)


def both_ways(name: str, value: Range, most: float) -> tuple[float, float]:
    """The range of an option that a number gives from its negative to itself."""
    if isinstance(value, tuple):
        return _range(name, value, -most, most)
    if not 0 <= value <= most:
        raise ValueError(f"{name}={value} must be from 0 to {most}, or a range within -{most} and {most}")
    return -value, value


def around_one(name: str, value: Range, *, least: float = 0.0, most: float = 10.0) -> tuple[float, float]:
    """The range of a factor; 0.2 stands for 0.8 to 1.2."""
    if isinstance(value, tuple):
        return _range(name, value, least, most)
    if not 0 <= value <= 1 - least:
        raise ValueError(
            f"{name}={value} must be from 0 to {1 - least:g} (0.2 means factors from 0.8 to 1.2), "
            f"or a range within {least} and {most}"
        )
    return 1 - value, 1 + value


def up_to(name: str, value: Range, least: float, most: float) -> tuple[float, float]:
    """The range of an option for which a number stands for itself alone."""
    return _range(name, value if isinstance(value, tuple) else (value, value), least, most)


def check_level(name: str, value: int) -> None:
    """Refuses an option that is no level."""
    if not 0 <= value <= 255:
        raise ValueError(f"{name}={value} must be from 0 to 255")


def _range(name: str, limits: tuple[float, float], least: float, most: float) -> tuple[float, float]:
    low, high = limits
    if not least <= low <= high <= most or not math.isfinite(high):
        raise ValueError(f"{name}={limits} must be two numbers, the smaller one first, within {least} and {most}")
    return float(low), float(high)
