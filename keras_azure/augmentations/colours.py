"""Augmentations of each pixel by itself, of two forms that a pass over the picture can apply together.

A `Curves` layer is a table of 256 levels for each channel of each picture, a `ChannelMix` layer a 3x3 matrix a picture.
Where the table depends on the picture (its contrast, its histogram), it does so through the histogram alone.
"""

import math

import keras
import numpy as np

from keras_azure.augmentations.arrays import Array, Arrays
from keras_azure.augmentations.layer import (
    UNIT,
    Augmentation,
    Range,
    applied,
    around_one,
    between,
    both_ways,
    from_units,
    in_units,
    times,
    up_to,
    whole,
)

LEVELS = 256
LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in PIL, Keras and torchvision


class Curves(Augmentation):
    """Replaces each level by another, the same way in the whole picture.

    Attributes:
        uses_histogram: whether the tables depend on the picture.
    """

    uses_histogram = False

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        changed = xp.cast(applied(uniform, self.probability), "int32")
        return xp.stack([changed, *self.amounts(uniform, xp)], axis=1)

    def amounts(self, uniform: Array, xp: Arrays) -> list[Array]:
        """The parameters of the curve, each int32 (batch,)."""
        return []

    def tables(self, parameters: Array, histogram: Array | None, xp: Arrays) -> Array:
        """Each level's new level, int32 (batch, 1 or channels, 256).

        Args:
            parameters: int32 (batch, k) from `sample`.
            histogram: int32 (batch, channels, 256), where `uses_histogram`.
        """
        levels = xp.cast(xp.arange(LEVELS), "int32")[None, None, :]
        amounts = [parameters[:, column][:, None, None] for column in range(1, parameters.shape[1])]
        curve = xp.clip(self.curve(levels, amounts, histogram, xp), 0, LEVELS - 1)
        return xp.where((parameters[:, 0] > 0)[:, None, None], curve, levels)

    def curve(self, levels: Array, amounts: list[Array], histogram: Array | None, xp: Arrays) -> Array:
        """The new levels, which may leave 0..255, of all levels (1, 1, 256); amounts are (batch, 1, 1)."""
        raise NotImplementedError

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        channels = levels.shape[-1]
        batch = xp.shape(levels)[0]
        histogram = _histogram(levels, xp) if self.uses_histogram else None
        tables = xp.broadcast_to(self.tables(parameters, histogram, xp), (batch, channels, LEVELS))
        place = xp.reshape(xp.cast(xp.arange(batch * channels), "int32") * LEVELS, (batch, 1, 1, channels))
        return xp.take(xp.reshape(tables, (-1,)), place + levels, axis=0)


class ChannelMix(Augmentation):
    """Makes each channel a sum of all three; gray pictures, with one channel, stay as they are."""

    def matrix(self, uniform: Array, xp: Arrays) -> list[list[Array]]:
        """The six entries beside the diagonal: for red, green and blue the parts of the other two, (batch,) each."""
        raise NotImplementedError

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        changed = applied(uniform, self.probability)
        columns = []
        for row, others in enumerate(self.matrix(uniform, xp)):
            parts = [xp.where(changed, in_units(part, xp), 0) for part in others]
            # The rest is the channel's own, so that each row adds up to 1 exactly: gray pixels stay as they are.
            parts.insert(row, UNIT - parts[0] - parts[1])
            columns += parts
        return xp.stack(columns, axis=1)

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        if levels.shape[-1] != 3:
            return levels
        m = [parameters[:, column][:, None, None] for column in range(9)]
        red, green, blue = levels[..., 0], levels[..., 1], levels[..., 2]
        rows = [m[at] * red + m[at + 1] * green + m[at + 2] * blue for at in (0, 3, 6)]
        return xp.clip(xp.stack([from_units(row, xp) for row in rows], axis=-1), 0, 255)


class _Factor(Augmentation):
    """What the layers share that draw one factor."""

    num_draws = 1

    def __init__(
        self, *, factor: Range = 0.2, probability: float = 1.0, seed: int | None = None, name: str | None = None
    ):
        super().__init__(probability, seed, name)
        self.factor = factor
        self._factor = around_one("factor", factor)

    def drawn_factor(self, uniform: Array) -> Array:
        return between(self._factor, uniform[:, 1])


@keras.saving.register_keras_serializable("keras_azure")
class Brightness(_Factor, Curves):
    """Multiplies all levels.

    Args:
        factor: 0.2 for factors from 0.8 to 1.2, or a range (low, high); 0 is black.
        probability: the share of the pictures that are changed.
    """

    def amounts(self, uniform: Array, xp: Arrays) -> list[Array]:
        return [in_units(self.drawn_factor(uniform), xp)]

    def curve(self, levels: Array, amounts: list[Array], histogram: Array | None, xp: Arrays) -> Array:
        return times(levels, amounts[0], xp)


@keras.saving.register_keras_serializable("keras_azure")
class Contrast(_Factor, Curves):
    """Moves all levels away from the picture's mean brightness, or towards it.

    Args:
        factor: 0.2 for factors from 0.8 to 1.2, or a range (low, high); 0 is a gray picture.
        probability: the share of the pictures that are changed.
    """

    uses_histogram = True

    def amounts(self, uniform: Array, xp: Arrays) -> list[Array]:
        return [in_units(self.drawn_factor(uniform), xp)]

    def curve(self, levels: Array, amounts: list[Array], histogram: Array | None, xp: Arrays) -> Array:
        mean = _mean_brightness(levels, histogram, xp)
        return mean + times(levels - mean, amounts[0], xp)


@keras.saving.register_keras_serializable("keras_azure")
class Invert(Curves):
    """The negative: 255 minus each level.

    Args:
        probability: the share of the pictures that are changed.
    """

    def __init__(self, *, probability: float = 0.5, seed: int | None = None, name: str | None = None):
        super().__init__(probability, seed, name)

    def curve(self, levels: Array, amounts: list[Array], histogram: Array | None, xp: Arrays) -> Array:
        return 255 - levels


@keras.saving.register_keras_serializable("keras_azure")
class Posterize(Curves):
    """Keeps the highest bits of each level.

    Args:
        bits: how many, 1..8, or a range (low, high) of it.
        probability: the share of the pictures that are changed.
    """

    num_draws = 1

    def __init__(
        self,
        *,
        bits: int | tuple[int, int] = 4,
        probability: float = 1.0,
        seed: int | None = None,
        name: str | None = None,
    ):
        super().__init__(probability, seed, name)
        self.bits = bits
        self._bits = up_to("bits", bits, 1, 8)

    def amounts(self, uniform: Array, xp: Arrays) -> list[Array]:
        low, high = self._bits
        # Cut at the highest: a number just below 1 may be rounded up to it.
        kept = xp.minimum(xp.floor(low + (high - low + 1) * uniform[:, 1]), high)
        return [8 - xp.cast(kept, "int32")]  # bits that are dropped

    def curve(self, levels: Array, amounts: list[Array], histogram: Array | None, xp: Arrays) -> Array:
        return xp.left_shift(xp.right_shift(levels, amounts[0]), amounts[0])


@keras.saving.register_keras_serializable("keras_azure")
class Solarize(Curves):
    """Inverts the levels from a threshold upwards.

    Args:
        threshold: a level, 0..256, or a range (low, high) of it; 256 changes nothing.
        probability: the share of the pictures that are changed.
    """

    num_draws = 1

    def __init__(
        self, *, threshold: Range = 128.0, probability: float = 1.0, seed: int | None = None, name: str | None = None
    ):
        super().__init__(probability, seed, name)
        self.threshold = threshold
        self._threshold = up_to("threshold", threshold, 0, 256)

    def amounts(self, uniform: Array, xp: Arrays) -> list[Array]:
        return [whole(between(self._threshold, uniform[:, 1]), xp)]

    def curve(self, levels: Array, amounts: list[Array], histogram: Array | None, xp: Arrays) -> Array:
        return xp.where(levels >= amounts[0], 255 - levels, levels)


@keras.saving.register_keras_serializable("keras_azure")
class Equalize(Curves):
    """Spreads the levels of each channel so that all are about equally frequent, as PIL's ImageOps.equalize does.

    Args:
        probability: the share of the pictures that are changed.
    """

    uses_histogram = True

    def __init__(self, *, probability: float = 1.0, seed: int | None = None, name: str | None = None):
        super().__init__(probability, seed, name)

    def curve(self, levels: Array, amounts: list[Array], histogram: Array | None, xp: Arrays) -> Array:
        assert histogram is not None  # as uses_histogram asks for
        used = xp.cast(histogram > 0, "int32")
        last = xp.max(used * levels, axis=-1, keepdims=True)
        pixels = xp.sum(histogram, axis=-1, keepdims=True)
        step = (pixels - xp.sum(xp.where(levels == last, histogram, 0), axis=-1, keepdims=True)) // 255
        below = xp.cumsum(histogram, axis=-1) - histogram
        spread = (step // 2 + below) // xp.maximum(step, 1)
        return xp.where(step == 0, levels, spread)


@keras.saving.register_keras_serializable("keras_azure")
class AutoContrast(Curves):
    """Stretches the levels of each channel to 0..255.

    Args:
        probability: the share of the pictures that are changed.
    """

    uses_histogram = True

    def __init__(self, *, probability: float = 1.0, seed: int | None = None, name: str | None = None):
        super().__init__(probability, seed, name)

    def curve(self, levels: Array, amounts: list[Array], histogram: Array | None, xp: Arrays) -> Array:
        assert histogram is not None  # as uses_histogram asks for
        used = xp.cast(histogram > 0, "int32")
        last = xp.max(used * levels, axis=-1, keepdims=True)
        first = 255 - xp.max(used * (255 - levels), axis=-1, keepdims=True)
        width = last - first
        stretched = ((levels - first) * 255 + width // 2) // xp.maximum(width, 1)
        return xp.where(width <= 0, levels, stretched)


@keras.saving.register_keras_serializable("keras_azure")
class Saturation(_Factor, ChannelMix):
    """Moves the colours away from gray, or towards it.

    Args:
        factor: 0.2 for factors from 0.8 to 1.2, or a range (low, high); 0 is gray.
        probability: the share of the pictures that are changed.
    """

    def matrix(self, uniform: Array, xp: Arrays) -> list[list[Array]]:
        gray = 1.0 - self.drawn_factor(uniform)
        return [[gray * LUMA[other] for other in range(3) if other != row] for row in range(3)]


@keras.saving.register_keras_serializable("keras_azure")
class Grayscale(ChannelMix):
    """Takes the colour away; the picture keeps its channels.

    Args:
        probability: the share of the pictures that are changed.
    """

    def __init__(self, *, probability: float = 0.1, seed: int | None = None, name: str | None = None):
        super().__init__(probability, seed, name)

    def matrix(self, uniform: Array, xp: Arrays) -> list[list[Array]]:
        one = 0.0 * uniform[:, 0] + 1.0
        return [[one * LUMA[other] for other in range(3) if other != row] for row in range(3)]


@keras.saving.register_keras_serializable("keras_azure")
class Hue(ChannelMix):
    """Turns the colours around the gray axis; brightness stays (a rotation of the chroma plane I, Q of YIQ).

    Args:
        degrees: by up to so many, either way, or a range (low, high); 120 makes red green.
        probability: the share of the pictures that are changed.
    """

    num_draws = 1

    def __init__(
        self, *, degrees: Range = 18.0, probability: float = 1.0, seed: int | None = None, name: str | None = None
    ):
        super().__init__(probability, seed, name)
        self.degrees = degrees
        self._degrees = both_ways("degrees", degrees, 180)

    def matrix(self, uniform: Array, xp: Arrays) -> list[list[Array]]:
        angle = between(self._degrees, uniform[:, 1]) * (math.pi / 180)
        cosine, sine = xp.cos(angle), xp.sin(angle)
        # Y + cos (own - Y) + sin (across): `across` is the chroma turned by 90 degrees, in RGB.
        rows = []
        for row in range(3):
            parts = [(1.0 - cosine) * LUMA[other] + sine * _ACROSS[row][other] for other in range(3) if other != row]
            rows.append(parts)
        return rows


def _across() -> list[list[float]]:
    """RGB -> YIQ, a quarter turn of (I, Q), -> RGB; of the NTSC's coefficients as FCC 73.682 rounds them."""
    to_yiq = np.array([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
    quarter = np.array([(0, 0, 0), (0, 0, 1), (0, -1, 0)])
    return (np.linalg.inv(to_yiq) @ quarter @ to_yiq).tolist()


_ACROSS = _across()


def _histogram(levels: Array, xp: Arrays) -> Array:
    """How often each level occurs in each channel of each picture, int32 (batch, channels, 256)."""
    batch, channels = xp.shape(levels)[0], levels.shape[-1]
    place = xp.reshape(xp.cast(xp.arange(batch * channels), "int32") * LEVELS, (batch, 1, 1, channels))
    counts = xp.count(xp.reshape(place + levels, (-1,)), batch * channels * LEVELS)
    return xp.reshape(xp.cast(counts, "int32"), (batch, channels, LEVELS))


def _mean_brightness(levels: Array, histogram: Array, xp: Arrays) -> Array:
    """The mean of each picture's brightness, in whole levels, (batch, 1, 1); of up to 8 million pixels."""
    pixels = xp.sum(histogram, axis=-1)
    means = (xp.sum(histogram * levels, axis=-1) + pixels // 2) // pixels  # (batch, channels)
    if means.shape[1] == 3:
        weights = [round(1000 * weight) for weight in LUMA]
        means = (sum(means[:, channel] * weights[channel] for channel in range(3)) + 500) // 1000
        return means[:, None, None]
    return means[:, :1, None]
