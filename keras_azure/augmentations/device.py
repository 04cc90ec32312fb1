"""The augmentations of a run inside the compiled training step, on the device that trains.

The host has drawn all random numbers; here they are only applied, by the same whole-number arithmetic, so that the
pictures are those of the host to the bit.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import keras

from keras_azure.augmentations.arrays import of_engine
from keras_azure.augmentations.plan import MixingStage, Stage


class DeviceAugment(keras.layers.Layer):
    """Goes on where `Augment.split` stopped; outside training it gives the pictures as they are.

    In: `images` uint8 (batch, leaves, height, width, channels) and `parameters` int32 (batch, leaves, k).
    Out: float32 (batch, height, width, channels), 0..255.
    """

    def __init__(self, stages: Sequence[Stage]):
        super().__init__(name="augment", dtype="float32", autocast=False)
        self._stages = tuple(stages)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        xp = _engine()
        images, parameters = inputs["images"], inputs["parameters"]
        if not training:
            return xp.cast(images[:, 0], "float32")
        # One leaf after another, each a batch: a mixing stage takes the second half of what is there for partners.
        leaves = images.shape[1]
        levels = xp.cast(xp.concatenate([images[:, leaf] for leaf in range(leaves)], axis=0), "int32")
        drawn = xp.concatenate([parameters[:, leaf] for leaf in range(leaves)], axis=0)
        column = 0
        for stage in self._stages:
            part = drawn[:, column : column + stage.num_parameters]
            column += stage.num_parameters
            if isinstance(stage, MixingStage):
                half = xp.shape(images)[0] * leaves // 2
                levels = stage.mix(levels[:half], levels[half:], part[:half], xp)
                leaves, drawn = leaves // 2, drawn[:half]
            else:
                levels = stage.transform(levels, part, xp)
        return xp.cast(levels, "float32")

    def compute_output_shape(self, input_shape: dict[str, tuple[int | None, ...]]) -> tuple[int | None, ...]:
        batch, _, *shape = input_shape["images"]
        return (batch, *shape)


def _engine() -> Any:
    ops = keras.ops
    return of_engine(SimpleNamespace(numpy=ops, math=ops, cast=ops.cast, shape=ops.shape))
