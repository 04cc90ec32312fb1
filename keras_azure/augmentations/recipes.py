"""Named lists of augmentations: each a Keras pipeline of the layers of this package."""

from typing import Any

import keras
from keras import layers

from keras_azure.augmentations.colours import Brightness, Contrast, Saturation
from keras_azure.augmentations.geometry import Crop, Flip, Rotate, Shift, Zoom


def chapter() -> layers.Pipeline:
    """The chapter's: rotation up to 20 degrees, shifts up to 0.2, horizontal flip."""
    return layers.Pipeline([Rotate(degrees=20.0), Shift(horizontal=0.2, vertical=0.2), Flip()])


def light() -> layers.Pipeline:
    """Small changes that nearly any pictures bear, digits and letters too: nothing is mirrored."""
    return layers.Pipeline(
        [
            Rotate(degrees=8.0),
            Zoom(factor=0.08),
            Shift(horizontal=0.05, vertical=0.05),
            Brightness(factor=0.1),
            Contrast(factor=0.1),
        ]
    )


def imagenet() -> layers.Pipeline:
    """What networks for ImageNet are usually trained with: random crop, horizontal flip, colour."""
    colour = [Brightness(factor=0.4), Contrast(factor=0.4), Saturation(factor=0.4)]
    return layers.Pipeline([Crop(), Flip(), *colour])


def none() -> layers.Pipeline:
    """Nothing: the pictures as they are."""
    return Unchanged([])


@keras.saving.register_keras_serializable("keras_azure")
class Unchanged(layers.Pipeline):
    def call(self, inputs: Any, training: bool = True, mask: Any = None) -> Any:
        return inputs  # Keras's own pipeline fails where it has no layers
