"""Augmentations that put two pictures together, and their labels in the same shares.

In the pipeline the other picture is any one of the training split, drawn by (seed, epoch, sample index) as all else, so
that what is mixed does not depend on the batch. In a Keras model it is the next one of the batch.
"""

import math
from functools import cache
from typing import Any, ClassVar

import keras
import numpy as np
from scipy.special import betaincinv

from keras_azure.augmentations.arrays import Array, Arrays, of_engine
from keras_azure.augmentations.filters import applied_share, rectangle, within
from keras_azure.augmentations.layer import Augmentation, applied, whole, whole_levels

_SHARE_UNIT = 256
_QUANTILES = 1024


class Mixing(Augmentation):
    """Takes a share of another picture. Needs `{"images", "labels"}`, labels being probabilities (batch, classes).

    Attributes:
        mixes_numbers: whether numbers to predict are mixed in the same shares: half of each image has the mean of both.
    """

    mixes_numbers: ClassVar[bool] = False

    def __init__(self, alpha: float, probability: float, seed: int | None, name: str | None):
        super().__init__(probability, seed, name)
        if not 0 < alpha <= 100:
            raise ValueError(f"alpha={alpha} must be above 0 and at most 100")
        self.alpha = alpha

    def share(self, uniform: Array, xp: Arrays) -> Array:
        """Numbers from the distribution Beta(alpha, alpha) that follow from uniform ones."""
        place = xp.cast(xp.floor(uniform * _QUANTILES), "int32")
        return xp.take(xp.cast(xp.array(_beta_quantiles(self.alpha)), "float32"), place, axis=0)

    def mix(self, levels: Array, others: Array, parameters: Array, xp: Arrays) -> Array:
        """The mixed levels, int32 (batch, height, width, channels), of two batches of such."""
        raise NotImplementedError

    def own_share(self, parameters: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        """How much of the own picture is left, float32 (batch,)."""
        raise NotImplementedError

    def mix_labels(
        self, labels: Array, others: Array, parameters: Array, shape: tuple[int, int, int], xp: Arrays
    ) -> Array:
        """The mixed labels, (batch, classes), of two batches of such."""
        own = xp.cast(self.own_share(parameters, shape, xp), labels.dtype)[:, None]
        return own * labels + (1 - own) * others

    def transform(self, levels: Array, parameters: Array, xp: Arrays) -> Array:
        return self.mix(levels, _next(levels, xp), parameters, xp)

    def call(self, inputs: Any, training: bool = True) -> Any:
        if not training:
            return inputs
        if not isinstance(inputs, dict) or len(inputs["images"].shape) != 4:
            raise ValueError(f"{type(self).__name__} takes a mapping of a batch of images and their labels")
        xp = of_engine(self.backend)
        images, labels = inputs["images"], inputs["labels"]
        parameters = self._drawn(images, xp)
        mixed = xp.cast(self.transform(whole_levels(images, xp), parameters, xp), images.dtype)
        shares = self.mix_labels(labels, _next(labels, xp), parameters, tuple(images.shape[1:]), xp)
        return {**inputs, "images": mixed, "labels": shares}


@keras.saving.register_keras_serializable("keras_azure")
class MixUp(Mixing):
    """A weighted mean of two pictures and of their labels.

    After Zhang and others, "mixup: beyond empirical risk minimization", 2017, https://arxiv.org/abs/1710.09412.

    Args:
        alpha: the weight is drawn from Beta(alpha, alpha): below 1 mostly one of the two, 1 any weight alike.
        probability: the share of the pictures that are changed.
    """

    num_draws = 1
    mixes_numbers = True

    def __init__(
        self, *, alpha: float = 0.2, probability: float = 1.0, seed: int | None = None, name: str | None = None
    ):
        super().__init__(alpha, probability, seed, name)

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        own = xp.where(applied(uniform, self.probability), self.share(uniform[:, 1], xp), 1.0)
        return whole(own * _SHARE_UNIT, xp)[:, None]

    def mix(self, levels: Array, others: Array, parameters: Array, xp: Arrays) -> Array:
        own = parameters[:, 0][:, None, None, None]
        return xp.right_shift(own * levels + (_SHARE_UNIT - own) * others + _SHARE_UNIT // 2, 8)

    def own_share(self, parameters: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        return xp.cast(parameters[:, 0], "float32") / _SHARE_UNIT


@keras.saving.register_keras_serializable("keras_azure")
class CutMix(Mixing):
    """A rectangle of another picture in its place; the labels in the shares of the area.

    After Yun and others, "CutMix: regularization strategy to train strong classifiers with localizable features", 2019,
    https://arxiv.org/abs/1905.04899. The rectangle has the picture's proportion and lies within it.

    Args:
        alpha: the rectangle's share of the area is drawn from Beta(alpha, alpha): 1 for any share alike.
        probability: the share of the pictures that are changed.
    """

    num_draws = 3

    def __init__(
        self, *, alpha: float = 1.0, probability: float = 1.0, seed: int | None = None, name: str | None = None
    ):
        super().__init__(alpha, probability, seed, name)

    def sample(self, uniform: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        area = self.share(uniform[:, 1], xp) * applied_share(uniform, self.probability, xp)
        log_ratio = 0.0 * uniform[:, 0] + math.log(shape[1] / shape[0])
        return rectangle(area, log_ratio, uniform[:, 2:], shape, xp)

    def mix(self, levels: Array, others: Array, parameters: Array, xp: Arrays) -> Array:
        return xp.where(within(parameters, levels.shape[1:3], xp), others, levels)

    def own_share(self, parameters: Array, shape: tuple[int, int, int], xp: Arrays) -> Array:
        covered = (parameters[:, 2] - parameters[:, 0]) * (parameters[:, 3] - parameters[:, 1])
        return 1.0 - xp.cast(covered, "float32") / (shape[0] * shape[1])


def _next(batch: Array, xp: Arrays) -> Array:
    """Each sample's neighbour in the batch."""
    return xp.roll(batch, -1, axis=0)


@cache
def _beta_quantiles(alpha: float) -> np.ndarray:
    """The middles of 1024 equally likely parts of Beta(alpha, alpha), (1024,)."""
    return betaincinv(alpha, alpha, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
