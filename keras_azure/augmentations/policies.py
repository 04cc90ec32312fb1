"""Augmentation policies: of a list of augmentations, one is drawn for each picture and each round.

They are made of the other augmentations of this package, so that in the pipeline their parts are fused like any others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_azure.augmentations.arrays import NUMPY, Array, Arrays
from keras_azure.augmentations.colours import (
    AutoContrast,
    Brightness,
    Contrast,
    Equalize,
    Posterize,
    Saturation,
    Solarize,
)
from keras_azure.augmentations.filters import Sharpness
from keras_azure.augmentations.geometry import Fill, Rotate, Shear, Shift
from keras_azure.augmentations.layer import Augmentation, Range

_LARGEST_MAGNITUDE = 30


@dataclass(frozen=True)
class Part:
    """One augmentation of a policy in one round.

    Attributes:
        layer: the augmentation.
        uniform: from the policy's random numbers (batch, n) to those of the layer (batch, 1 + num_draws): they say
            that it was not drawn, or how strong it is.
    """

    layer: Augmentation
    uniform: Callable[[Array, Arrays], Array]


class Policy(Augmentation):
    """Draws one of `layers`, or nothing at all, in each of `rounds`."""

    rounds = 1

    def __init__(self, layers: list[Augmentation], probability: float, seed: int | None, name: str | None):
        super().__init__(probability, seed, name)
        self.layers = layers

    @property
    def num_draws(self) -> int:  # type: ignore[override]  # a layer's number of draws is fixed, a policy's is not
        return 2 * self.rounds

    def build(self, input_shape: Any) -> None:
        for layer in self.layers:
            layer.build(input_shape)

    def strength(self, uniform: Array, xp: Arrays) -> Array:
        """From a random number (batch,) to where in a layer's range it lies, [0, 1)."""
        return uniform

    def parts(self) -> list[Part]:
        """All augmentations in the order in which they are applied; of each round, a picture gets one."""
        return [
            Part(layer, self._numbers_for(number, layer, 1 + 2 * round))
            for round in range(self.rounds)
            for number, layer in enumerate(self.layers)
        ]

    def _numbers_for(self, number: int, layer: Augmentation, column: int) -> Callable[[Array, Arrays], Array]:
        def numbers(uniform: Array, xp: Arrays) -> Array:
            # One more than there are layers: the last one means that the picture stays as it is.
            drawn = xp.floor(uniform[:, column] * (len(self.layers) + 1)) == number
            changed = xp.where(drawn & (uniform[:, 0] < self.probability), 0.0, 1.0)
            strength = self.strength(uniform[:, column + 1], xp)
            return xp.stack([changed] + [strength] * layer.num_draws, axis=1)

        return numbers

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        return xp.concatenate([p.layer.sample(p.uniform(uniform, xp), shape, xp) for p in self.parts()], axis=1)

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        column = 0
        for part in self.parts():
            count = _width(part.layer, tuple(levels.shape[1:]))
            levels = part.layer.transform(levels, parameters[:, column : column + count], xp)
            column += count
        return levels


@keras.saving.register_keras_serializable("keras_azure")
class RandAugment(Policy):
    """Several random augmentations of one strength.

    After Cubuk and others, "RandAugment: practical automated data augmentation with a reduced search space", 2019,
    https://arxiv.org/abs/1909.13719.

    Args:
        num_ops: how many, one after another.
        magnitude: how strong, 0..30.
        fill: beyond the edges of what is moved: nearest, constant, reflect, wrap.
        probability: the share of the pictures that are changed.
    """

    def __init__(
        self,
        *,
        num_ops: int = 2,
        magnitude: float = 9.0,
        fill: Fill = "nearest",
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        if not 1 <= num_ops <= 10:
            raise ValueError(f"num_ops={num_ops} must be from 1 to 10")
        if not 0 <= magnitude <= _LARGEST_MAGNITUDE:
            raise ValueError(f"magnitude={magnitude} must be from 0 to {_LARGEST_MAGNITUDE}")
        share = magnitude / _LARGEST_MAGNITUDE
        # The strongest of each as in the paper; a shear of 0.3 is one of 16.7 degrees.
        bits, threshold = round(8 - 4 * share), 256 * (1 - share)
        layers = _layers(fill, share * 30.0, share * 16.7, share * 0.45, share * 0.9, bits, threshold)
        super().__init__(layers, probability, seed, name)
        self.num_ops, self.magnitude, self.fill = num_ops, magnitude, fill
        self.rounds = num_ops

    def strength(self, uniform: Array, xp: Arrays) -> Array:
        return xp.where(uniform < 0.5, 0.0, 1.0)  # either end of a layer's range: the strength is given, the sign drawn


@keras.saving.register_keras_serializable("keras_azure")
class TrivialAugment(Policy):
    """One random augmentation of any strength.

    After Müller and Hutter, "TrivialAugment: tuning-free yet state-of-the-art data augmentation", 2021,
    https://arxiv.org/abs/2103.10158, with its wide ranges.

    Args:
        fill: beyond the edges of what is moved: nearest, constant, reflect, wrap.
        probability: the share of the pictures that are changed.
    """

    def __init__(
        self,
        *,
        fill: Fill = "nearest",
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        layers = _layers(fill, 135.0, 44.7, 0.14, 0.99, (2, 8), (0.0, 256.0))
        super().__init__(layers, probability, seed, name)
        self.fill = fill


def _layers(
    fill: Fill,
    degrees: float,
    shear: float,
    shift: float,
    factor: float,
    bits: int | tuple[int, int],
    threshold: Range,
) -> list[Augmentation]:
    """The augmentations of both papers, of these strengths: degrees, degrees, a share of the size, a factor's range."""
    return [
        Rotate(degrees=degrees, fill=fill),
        Shear(horizontal=shear, vertical=0.0, fill=fill),
        Shear(horizontal=0.0, vertical=shear, fill=fill),
        Shift(horizontal=shift, vertical=0.0, fill=fill),
        Shift(horizontal=0.0, vertical=shift, fill=fill),
        Brightness(factor=factor),
        Contrast(factor=factor),
        Posterize(bits=bits),
        Solarize(threshold=threshold),
        AutoContrast(),
        Equalize(),
        Saturation(factor=factor),
        Sharpness(factor=factor),
    ]


def _width(layer: Augmentation, shape: tuple[int, int, int]) -> int:
    """How many parameters a layer has for pictures of a shape."""
    return layer.sample(np.zeros((1, 1 + layer.num_draws)), shape, NUMPY).shape[1]
