"""Images brought to what a model takes, where their data set does not do it."""

import numpy as np

from keras_azure.data.resizing import resize

_LUMA = np.array([[0.299], [0.587], [0.114]])  # of red, green and blue: ITU-R BT.601, as Pillow's "L" has it


def fitted(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """An image, uint8 (height, width, channels), stretched to another shape; colours become gray as Pillow makes them,
    and gray ones three equal channels."""
    pixels = resize(pixels, shape[:2])
    if pixels.shape[-1] == shape[-1]:
        return pixels
    if shape[-1] == 3:
        return np.repeat(pixels, 3, axis=-1)
    return np.rint(pixels @ _LUMA).astype(np.uint8)
