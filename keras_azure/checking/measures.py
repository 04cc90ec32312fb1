"""What is measured of one image: all of it from its decoded pixels, in one go."""

import hashlib
from typing import NamedTuple

import numpy as np

from keras_azure.data.resizing import Size, resize

THUMBNAIL: Size = (32, 32)
_LONGEST = 256  # pixels of the longer side that brightness and sharpness are measured at: blur that nobody sees is none
_LUMA = np.array([77, 150, 29], np.uint16)  # of 256, for red, green and blue, as in JPEG


class Measures(NamedTuple):
    """
    Attributes:
        digest: of the pixels and their shape; equal only for equal images.
        thumbnail: uint8 `THUMBNAIL`, gray: the image stretched to it.
        height, width: of the image.
        darkest, brightest: the levels that 5 % and 99 % of the pixels do not exceed, 0..1.
        contrast: the standard deviation of the levels, as a share of what their mean allows: a photograph has about
            a half, one colour has 0.
        sharpness: how much neighbouring pixels differ (the deviation of the Laplacian) for the contrast there is.
    """

    digest: bytes
    thumbnail: np.ndarray
    height: int
    width: int
    darkest: float
    brightest: float
    contrast: float
    sharpness: float


def measure(pixels: np.ndarray) -> Measures:
    """Measures an image, uint8 (height, width, channels); threads may do so at the same time."""
    height, width, _ = pixels.shape
    small = _gray(resize(pixels, _size_within(height, width, _LONGEST)))
    counts = np.bincount(small.ravel(), minlength=256)
    darkest, brightest = np.searchsorted(np.cumsum(counts), np.array([0.05, 0.99]) * small.size)
    levels = np.arange(256)
    mean = float(counts @ levels) / small.size
    deviation = float(counts @ (levels - mean) ** 2 / small.size) ** 0.5
    return Measures(
        digest_of(pixels),
        resize(small[..., np.newaxis], THUMBNAIL)[..., 0],
        height,
        width,
        int(darkest) / 255,
        int(brightest) / 255,
        deviation / max(min(mean, 255 - mean), 1.0),
        _detail(small) / max(deviation, 1.0),
    )


def digest_of(pixels: np.ndarray) -> bytes:
    """16 bytes, which are equal only for images of equal shape and pixels."""
    content = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    content.update(np.ascontiguousarray(pixels).data)
    return content.digest()


def _gray(pixels: np.ndarray) -> np.ndarray:
    """(height, width, channels) as (height, width)."""
    if pixels.shape[-1] == 1:
        return pixels[..., 0]
    return ((pixels @ _LUMA + 128) >> 8).astype(np.uint8)


def _size_within(height: int, width: int, longest: int) -> Size:
    """The size in its proportions that fits within a square; what fits already stays as it is."""
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _detail(gray: np.ndarray) -> float:
    """The standard deviation of the Laplacian, without the border; 0 for what has no inner pixel."""
    if min(gray.shape) < 3:
        return 0.0
    levels = gray.astype(np.int16)
    inner = levels[1:-1, 1:-1]
    laplacian = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:] - 4 * inner
    return float(laplacian.std(dtype=np.float32))
