"""Stretching pictures with a triangle filter, compiled by Numba, which lets go of Python's lock while it runs.

The filter is that of Pillow's `Resampling.BILINEAR`: where pictures get smaller it grows with what falls into one
pixel, so that nothing is left out. Rows are put together first and pixels within them afterwards, in whole numbers, in
a quarter of Pillow's time; the results differ by rounding, one level at most.
"""

import functools

import numba
import numpy as np
from numpy import add, multiply, right_shift

Size = tuple[int, int]  # height, width in pixels

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
_int = np.int32
_UNIT_BITS = 14  # what the weights of one pixel add up to
_KEPT_BITS = 6  # of a level's fraction, between the two passes: 255 levels fit in 16 bits
_AT_ONCE = 4  # pixels that are put together: their number is made a multiple of it by weights of 0


def resize(picture: np.ndarray, size: Size, extent: tuple[float, float] | None = None) -> np.ndarray:
    """Stretches a picture.

    Args:
        picture: uint8 (height, width, channels), with 1 or 3 channels.
        size: height and width of the result.
        extent: how much of the height and width is the picture, in pixels, where its last row and column stand for
            less than the others; all of it by default.

    Returns:
        uint8 (*size, channels).
    """
    height, width, channels = picture.shape
    tall, wide = extent or (height, width)
    if (tall, wide) == (height, width) == tuple(size):
        return picture
    first_rows, row_weights = _weights(height, tall, size[0])
    first_columns, column_weights = _weights(width, wide, size[1])
    out = np.empty((*size, channels), np.uint8)
    _stretch(np.ascontiguousarray(picture), first_rows, row_weights, first_columns, column_weights, out)
    return out


def resize_all(pictures: np.ndarray, size: Size) -> np.ndarray:
    """The same of many small pictures, uint8 (n, height, width, channels), to the bit, as products of matrices: Numba
    takes longer to load than these to compute."""
    rows, columns = (_matrix(pixels, target) for pixels, target in zip(pictures.shape[1:3], size, strict=True))
    upright = np.einsum("yh,nhwc->nywc", rows, pictures.astype(np.int32))
    upright = (upright + (1 << (_UNIT_BITS - _KEPT_BITS - 1))) >> (_UNIT_BITS - _KEPT_BITS)
    levels = np.einsum("xw,nywc->nyxc", columns, upright)
    return ((levels + (1 << (_UNIT_BITS + _KEPT_BITS - 1))) >> (_UNIT_BITS + _KEPT_BITS)).astype(np.uint8)


def _matrix(pixels: int, target: int) -> np.ndarray:
    """The weights of `_weights` as a matrix, int32 (target, pixels)."""
    first, weights = _weights(pixels, pixels, target)
    matrix = np.zeros((target, pixels + weights.shape[1]), np.int32)
    places = first[:, np.newaxis] + np.arange(weights.shape[1])
    np.put_along_axis(matrix, places, weights, axis=1)  # behind the last pixel they are 0
    return matrix[:, :pixels]


@functools.lru_cache(256)
def _weights(pixels: int, extent: float, target: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of `target` pixels along one side, the first pixel that it is made of, and the weights from there on.

    Returns:
        int64 (target,), and int32 (target, a multiple of 4), which adds up to 2 ** 14 for each.
    """
    scale = extent / target
    reach = max(scale, 1.0)
    centres = (np.arange(target) + 0.5) * scale
    first = np.maximum(np.floor(centres - reach + 0.5), 0).astype(np.int64)
    places = first[:, np.newaxis] + np.arange(int(np.ceil(reach)) * 2 + 1)
    weights = np.maximum(1 - np.abs(places + 0.5 - centres[:, np.newaxis]) / reach, 0) * (places < pixels)
    weights = np.rint(weights / weights.sum(axis=1, keepdims=True) * (1 << _UNIT_BITS)).astype(np.int32)
    weights[np.arange(target), weights.argmax(axis=1)] += (1 << _UNIT_BITS) - weights.sum(axis=1, dtype=np.int32)
    used = 1 + np.flatnonzero(weights.any(axis=0))[-1]
    padded = np.zeros((target, -(-used // _AT_ONCE) * _AT_ONCE), np.int32)
    padded[:, :used] = weights[:, :used]
    return first, padded


@_compiled
def _stretch(
    picture: np.ndarray,
    first_rows: np.ndarray,
    row_weights: np.ndarray,
    first_columns: np.ndarray,
    column_weights: np.ndarray,
    out: np.ndarray,
) -> None:
    _, width, channels = picture.shape
    # Some zeros more: pixels of weight 0 behind the last one are read, too.
    row = np.zeros((width + column_weights.shape[1]) * channels, np.int32)
    for y in range(out.shape[0]):
        _put_rows_together(picture, first_rows[y], row_weights[y], row[: width * channels])
        if channels == 1:
            _put_pixels_together(row, first_columns, column_weights, out[y].reshape(-1))
        else:
            _put_colours_together(row, first_columns, column_weights, out[y].reshape(-1))


@_compiled
def _put_rows_together(picture: np.ndarray, first: int, weights: np.ndarray, row: np.ndarray) -> None:
    """The weighed sum of some rows, in units of a 64th of a level."""
    last, rounding, bits = picture.shape[0] - 1, _int(1 << (_UNIT_BITS - _KEPT_BITS - 1)), _int(_UNIT_BITS - _KEPT_BITS)
    for start in range(0, len(weights), _AT_ONCE):
        # Rows behind the last one have a weight of 0.
        one = picture[min(first + start, last)].reshape(-1)
        two = picture[min(first + start + 1, last)].reshape(-1)
        three = picture[min(first + start + 2, last)].reshape(-1)
        four = picture[min(first + start + 3, last)].reshape(-1)
        w1, w2, w3, w4 = weights[start], weights[start + 1], weights[start + 2], weights[start + 3]
        for j in range(len(row)):
            upper = add(multiply(_int(one[j]), w1), multiply(_int(two[j]), w2))
            lower = add(multiply(_int(three[j]), w3), multiply(_int(four[j]), w4))
            row[j] = add(upper, lower) if start == 0 else add(row[j], add(upper, lower))
    for j in range(len(row)):
        row[j] = right_shift(add(row[j], rounding), bits)


@_compiled
def _put_pixels_together(row: np.ndarray, first: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """The weighed sums of some pixels within a row."""
    rounding, bits = _int(1 << (_UNIT_BITS + _KEPT_BITS - 1)), _int(_UNIT_BITS + _KEPT_BITS)
    for x in range(len(first)):
        total = rounding
        at = np.uintp(first[x])  # unsigned: Numba would look for negative indices each time
        for k in range(weights.shape[1]):
            total = add(total, multiply(row[at + np.uintp(k)], weights[x, k]))
        out[x] = right_shift(total, bits)


@_compiled
def _put_colours_together(row: np.ndarray, first: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """As `_put_pixels_together`, of red, green and blue."""
    rounding, bits = _int(1 << (_UNIT_BITS + _KEPT_BITS - 1)), _int(_UNIT_BITS + _KEPT_BITS)
    for x in range(len(first)):
        red, green, blue = rounding, rounding, rounding
        at = np.uintp(3 * first[x])
        for k in range(weights.shape[1]):
            weight = weights[x, k]
            red = add(red, multiply(row[at], weight))
            green = add(green, multiply(row[at + np.uintp(1)], weight))
            blue = add(blue, multiply(row[at + np.uintp(2)], weight))
            at += np.uintp(3)
        out[3 * x], out[3 * x + 1], out[3 * x + 2] = (
            right_shift(red, bits),
            right_shift(green, bits),
            right_shift(blue, bits),
        )
