"""Grad-CAM: where in an image a layer finds what raises a score (Selvaraju et al., arXiv:1610.02391, section 3).

The score y of a class changes with the feature maps A of a convolution by its gradient. The mean of that over a map's
places is the weight of the map (equation 1), and what raises the score is where the weighted sum of the maps is above
0 (equation 2):

    weight_k = mean over i, j of dy / dA_k[i, j]
    map = max(0, sum over k of weight_k * A_k)
"""

from collections.abc import Sequence

import keras
import numpy as np

from keras_azure.description.events import Observer
from keras_azure.engines import gradients_of
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.explaining.batches import at_once, batches, checked_classes, checked_images
from keras_azure.explaining.networks import forward_of, last_spatial_layer, layer_called


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    classes: Sequence[int] | np.ndarray | int | None = None,
    *,
    layer: str | None = None,
    observer: Observer | None = None,
) -> np.ndarray:
    """Where in each image the model finds what speaks for a class, label or number.

    Args:
        model: from pixels 0..255 to (batch, classes), also with networks in it.
        images: (n, height, width, channels), 0..255.
        classes: the index of the class for each image, or one for all; by default that of the highest output. The score
            of a class or label is its logit, that of a number is itself.
        layer: the name of a layer that gives (batch, height, width, channels); by default the last one that has more
            than one place, in the networks within the model, too.
        observer: hears how far it is.

    Returns:
        float32 (n, height, width) of the images' size: 0 where nothing speaks for the class, 1 at the hottest pixel of
        each image. All are 0 where everything speaks against it.

    Raises:
        UsageError: the model has no such layer, the images are of another shape, or there is no such class.

    Example:
        maps = grad_cam(keras_azure.load("runs/...").model, images)
        images[0][maps[0] > 0.5]  # the pixels that it goes by
    """
    images = checked_images(model, images)
    classes = checked_classes(model, len(images), classes)
    observer = observer or Observer()
    height, width = images.shape[1:3]
    maps = np.zeros((len(images), height, width), np.float32)
    with keras_settings():
        at = last_spatial_layer(model) if layer is None else layer_called(model, layer)
        slopes_of, done = gradients_of(model, forward_of(model, at)), 0
        for count, (batch, wanted) in batches(at_once(images.shape[1:], len(images)), images, classes):
            slopes = slopes_of(batch.astype(np.float32), wanted)
            small = _maps(slopes.values[:count].astype(np.float32), slopes.gradients[:count].astype(np.float32))
            resized = keras.ops.image.resize(small, (height, width), antialias=True, data_format="channels_last")
            maps[done : done + count] = np.asarray(resized)[..., 0]
            done += count
            observer.advance("Grad-CAM", done, len(images))
    highest = maps.max(axis=(1, 2), keepdims=True)
    return np.divide(maps, highest, out=np.zeros_like(maps), where=highest > 0)


def _maps(values: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Equations 1 and 2, of arrays (batch, height, width, channels): (batch, height, width, 1)."""
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * values).sum(axis=-1, keepdims=True), 0)
