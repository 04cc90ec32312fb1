"""What maps are made of: the images and classes that were given, checked, and how many of them are computed at once."""

import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from keras_azure.errors import UsageError

_PIXELS_AT_ONCE = 1 << 19  # a ResNet-50 keeps some 2 kB for each on its way back: a gigabyte
_IMAGES_AT_ONCE = 64


def checked_images(model: object, images: np.ndarray) -> np.ndarray:
    """
    Raises:
        UsageError: the model is no network, gives no scores, or takes images of another shape.
    """
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"A {type(model).__name__} cannot be explained: it is no network all through, and has no gradients.",
            expected="a keras.Model",
        )
    shapes = [output.shape for output in getattr(model, "outputs", None) or ()]
    if [len(shape) for shape in shapes] != [2]:
        raise UsageError(
            f"The model {model.name!r} gives {', '.join(map(str, shapes)) or 'what it does not tell'}, which cannot be "
            "explained.",
            expected="a functional or sequential keras.Model that gives (batch, classes), labels or numbers",
        )
    images = np.asarray(images)
    if images.shape[1:] != model.input_shape[1:]:
        raise UsageError(
            f"The model cannot take images of the shape {images.shape}.",
            expected=f"(n, {', '.join(map(str, model.input_shape[1:]))})",
        )
    return images


def checked_classes(model: keras.Model, count: int, classes: Sequence[int] | np.ndarray | int | None) -> np.ndarray:
    """A class for each image, int32 (count,): one for all, one for each, or -1, which is the predicted one.

    Raises:
        UsageError: there are more or fewer of them, or the model has no such class.
    """
    if classes is None:
        return np.full(count, -1, np.int32)
    found, known = np.asarray(classes), model.output_shape[-1]
    is_possible = found.shape in ((), (count,)) and (found.dtype.kind in "iu" or not found.size)
    if not is_possible or (found.size and not 0 <= found.min() <= found.max() < known):
        raise UsageError(
            f"The classes {classes!r} cannot be explained.",
            expected=f"one for all or one for each of {count} images, from 0 to {known - 1}",
        )
    return np.broadcast_to(found, (count,)).astype(np.int32)


def at_once(shape: Sequence[int], count: int) -> int:
    """How many of `count` images (height, width, channels) are a batch: as few batches as memory allows, of one size,
    for an engine may compile for each size."""
    most = max(1, min(_IMAGES_AT_ONCE, _PIXELS_AT_ONCE // (shape[0] * shape[1])))
    return math.ceil(count / math.ceil(count / most)) if count else 1


def batches(size: int, *arrays: np.ndarray) -> Iterator[tuple[int, tuple[np.ndarray, ...]]]:
    """The arrays, `size` of each at a time, and how many of them there are: the last batch ends with repetitions."""
    for start in range(0, len(arrays[0]), size):
        parts = [array[start : start + size] for array in arrays]
        count = len(parts[0])
        places = np.minimum(np.arange(size), count - 1)
        yield count, tuple(part[places] for part in parts)
