"""What is measured of one image: all of it from its decoded pixels, in one go."""

import hashlib
from typing import NamedTuple

import numpy as np

from keras_azure.data.resizing import Size, resize

THUMBNAIL: Size = (32, 32)
_LONGEST = 256  # pixels of the longer side that brightness and sharpness are measured at: blur that nobody sees is none
_SMALLEST_BLURRED = 64  # pixels of the shorter side: in smaller images a blur that people see is less than a pixel
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
        sharpness: how much detail there is (the deviation of the Laplacian), for the contrast and for the detail that
            is left at a quarter of the size, as the geometric mean of both; 1 of images that are too small to tell.
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
        _sharpness(small.astype(np.float32), max(deviation, 1.0)),
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


def _sharpness(gray: np.ndarray, deviation: float) -> float:
    if min(gray.shape) < _SMALLEST_BLURRED:
        return 1.0
    detail = _detail(gray)
    return detail / (deviation * max(_detail(_quarter(gray)), 1.0)) ** 0.5


def _detail(gray: np.ndarray) -> float:
    """The standard deviation of the Laplacian, without the border."""
    inner = gray[1:-1, 1:-1]
    laplacian = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:] - 4 * inner
    return float(laplacian.std())


def _quarter(gray: np.ndarray) -> np.ndarray:
    """Each 4x4 pixels as their mean; what is over at the end is left out."""
    height, width = (side // 4 for side in gray.shape)
    return gray[: 4 * height, : 4 * width].reshape(height, 4, width, 4).mean(axis=(1, 3))
