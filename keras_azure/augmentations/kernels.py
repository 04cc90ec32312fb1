"""The loops over pixels on the host, compiled by Numba, which lets go of Python's lock while they run.

They compute in whole numbers exactly what `geometry.resample` and the colour layers compute on every engine; a test
compares them to the bit. Why they are here: an image is the same on the host and on the device, and resampling is
faster than by the same arithmetic compiled by XLA; README's table has it beside OpenCV too.

How: the picture is packed, one 32-bit number a pixel, with an edge of one pixel around it, so that it does not matter
where a place lies. Then a few rows at a time, in loops that the compiler turns into vector instructions: where each
pixel comes from and the four weights; the four neighbours; the weighed sums. Only the second jumps about in memory.

Numba makes every sum of 32-bit numbers a 64-bit one, which halves what a vector holds: NumPy's functions do not.
"""

from typing import Any, TypeAlias

import numba
import numpy as np
from numpy import add, bitwise_and, multiply, right_shift, subtract

from keras_azure.augmentations.geometry import (
    CONSTANT,
    FINER_BITS,
    PART_BITS,
    REFLECT,
    WEIGHT_BITS,
    WRAP,
    fraction_bits,
)
from keras_azure.data.memory import aligned_empty

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
_int = np.int32
Whole: TypeAlias = Any  # a whole number, in whichever of the types that Numba gives it
_AT_ONCE = 1024  # pixels: what is known of them stays in the nearest cache


def resample_pictures(
    pictures: np.ndarray, indices: np.ndarray, matrices: np.ndarray, mode: int, fill_value: int
) -> np.ndarray:
    """`geometry.resample` of the pictures (N, height, width, 1 or 3) uint8 at `indices` (batch,).

    Returns:
        uint8 (batch, height, width, channels).
    """
    out = aligned_empty((len(indices), *pictures.shape[1:]))
    bits = fraction_bits(*pictures.shape[1:3])
    _resample(pictures, indices.astype(np.int64), matrices.astype(np.int32), mode, fill_value, bits, out)
    return out


def histograms(images: np.ndarray) -> np.ndarray:
    """How often each level occurs, int32 (batch, channels, 256), in uint8 (batch, height, width, channels)."""
    counts = np.zeros((len(images), images.shape[-1], 256), np.int32)
    _count(images, counts)
    return counts


def recolour(images: np.ndarray, tables: np.ndarray | None, matrices: np.ndarray | None) -> None:
    """Takes each pixel through its picture's tables, then through its matrix, in place.

    Args:
        images: uint8 (batch, height, width, channels).
        tables: uint8 (batch, channels, 256), or None.
        matrices: int32 (batch, 9) in units of 1/4096, for three channels, or None; one of the two is given.
    """
    if matrices is None:
        if tables is not None:
            _look_up(images, tables)
    else:
        unchanged = np.broadcast_to(np.arange(256, dtype=np.uint8), (len(images), images.shape[-1], 256))
        _mix(images, np.ascontiguousarray(unchanged if tables is None else tables), matrices)


@_compiled
def _resample(
    pictures: np.ndarray,
    indices: np.ndarray,
    matrices: np.ndarray,
    mode: int,
    fill_value: int,
    bits: int,
    out: np.ndarray,
) -> None:
    batch, height, width, channels = out.shape
    # Two rows more: the neighbours of weight 0 behind the last pixel are read, too.
    packed = np.zeros((height + 4) * (width + 2), np.int32)
    rows_at_once = min(height, max(1, _AT_ONCE // width))
    count = rows_at_once * width
    x, y, places = np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count, np.int32)
    weights = np.empty((4, count), np.int16)
    neighbours = np.empty((4, count), np.int32)
    colours = np.empty((3, count), np.uint8)
    for sample in range(batch):
        picture = pictures[indices[sample]].reshape(-1)
        result = out[sample].reshape(-1)
        a, b, x0, d, e, y0, finer_a, finer_b, finer_d, finer_e = matrices[sample]
        unmoved = a == 1 << bits and b == 0 and x0 == 0 and d == 0 and e == a and y0 == 0
        if unmoved and finer_a == 0 and finer_b == 0 and finer_d == 0 and finer_e == 0:
            result[:] = picture
            continue
        _pack(picture, height, width, channels, mode, fill_value, packed)
        for first in range(0, height, rows_at_once):
            rows = min(rows_at_once, height - first)
            count = rows * width
            _locate(x0, b, a, finer_b, finer_a, first, rows, width, x[:count])
            _locate(y0, e, d, finer_e, finer_d, first, rows, width, y[:count])
            _bring_in(x[:count], width, mode, bits)
            _bring_in(y[:count], height, mode, bits)
            _find_weights(x[:count], y[:count], width + 2, bits, places, weights)
            _collect(packed, places[:count], width + 2, neighbours)
            pixels = result[first * width * channels : (first * width + count) * channels]
            if channels == 1:
                _weigh(0, neighbours, weights, pixels)
            else:
                for channel in range(3):
                    _weigh(8 * channel, neighbours, weights, colours[channel, :count])
                _interleave(colours, count, pixels)


@_compiled
def _pack(
    picture: np.ndarray, height: int, width: int, channels: int, mode: int, fill_value: int, packed: np.ndarray
) -> None:
    """Fills (height + 2) x (width + 2) numbers: red, green and blue in 8 bits each, or gray."""
    stride = width + 2
    for i in range(height):
        row = packed[(i + 1) * stride + 1 : (i + 1) * stride + 1 + width]
        pixels = picture[i * width * channels : (i + 1) * width * channels]
        if channels == 1:
            row[:] = pixels
        else:
            for j in range(width):
                row[j] = _int(pixels[3 * j]) | _int(pixels[3 * j + 1]) << 8 | _int(pixels[3 * j + 2]) << 16
    fill = _int(fill_value) * (1 if channels == 1 else 0x010101)
    for i in range(1, height + 1):
        row = packed[i * stride : (i + 1) * stride]
        row[0] = fill if mode == CONSTANT else row[width] if mode == WRAP else row[1]
        row[width + 1] = fill if mode == CONSTANT else row[1] if mode == WRAP else row[width]
    first, last = packed[stride : 2 * stride], packed[height * stride : (height + 1) * stride]
    above, below = packed[:stride], packed[(height + 1) * stride : (height + 2) * stride]
    for j in range(stride):
        above[j] = fill if mode == CONSTANT else last[j] if mode == WRAP else first[j]
        below[j] = fill if mode == CONSTANT else first[j] if mode == WRAP else last[j]


@_compiled
def _locate(
    start: Whole,
    down: Whole,
    right: Whole,
    finer_down: Whole,
    finer_right: Whole,
    first: Whole,
    rows: Whole,
    width: Whole,
    positions: np.ndarray,
) -> None:
    """One coordinate of where the pixels of some rows come from, given its steps from row to row and pixel to pixel."""
    right, finer_right = _int(right), _int(finer_right)
    for i in range(rows):
        row = positions[i * width : (i + 1) * width]
        begin, finer = _int(start + down * (first + i)), _int(finer_down * (first + i))
        for j in range(width):
            rest = right_shift(add(multiply(finer_right, _int(j)), finer), _int(FINER_BITS))
            row[j] = add(add(begin, multiply(right, _int(j))), rest)


@_compiled
def _bring_in(positions: np.ndarray, size: int, mode: int, bits: int) -> None:
    """Positions beyond the picture, brought to where the same pixels are in the picture or in its edge."""
    end, one, half = _int(size << bits), _int(1 << bits), _int(1 << (bits - 1))
    if mode == WRAP:
        for j in range(len(positions)):
            positions[j] = positions[j] % end
    elif mode == REFLECT:  # as `geometry.folded`
        for j in range(len(positions)):
            place = (positions[j] + half) % (2 * end)
            positions[j] = min(place, 2 * end - place) - half
    else:
        least, most = (-one, end) if mode == CONSTANT else (_int(0), _int(end - one))
        for j in range(len(positions)):
            positions[j] = min(max(positions[j], least), most)


@_compiled
def _find_weights(
    x: np.ndarray, y: np.ndarray, stride: Whole, bits: Whole, places: np.ndarray, weights: np.ndarray
) -> None:
    """The place of each upper left neighbour in the packed picture, and the weights of all four."""
    w00, w01, w10, w11 = weights[0], weights[1], weights[2], weights[3]
    part, mask = _int(bits - PART_BITS), _int((1 << PART_BITS) - 1)
    bits, shift, rounding = _int(bits), _int(2 * PART_BITS - WEIGHT_BITS), _int(1 << (2 * PART_BITS - WEIGHT_BITS - 1))
    unit, factor = _int(1 << WEIGHT_BITS), _int(1 << (WEIGHT_BITS - PART_BITS))
    first, stride = _int(stride + 1), _int(stride)  # the first pixel is behind the edge
    for j in range(len(x)):
        places[j] = add(add(multiply(right_shift(y[j], bits), stride), right_shift(x[j], bits)), first)
        right, down = bitwise_and(right_shift(x[j], part), mask), bitwise_and(right_shift(y[j], part), mask)
        both = right_shift(add(multiply(right, down), rounding), shift)
        right, down = multiply(right, factor), multiply(down, factor)
        w00[j] = add(subtract(subtract(unit, right), down), both)
        w01[j] = subtract(right, both)
        w10[j] = subtract(down, both)
        w11[j] = both


@_compiled
def _collect(packed: np.ndarray, places: np.ndarray, stride: int, neighbours: np.ndarray) -> None:
    p00, p01, p10, p11 = neighbours[0], neighbours[1], neighbours[2], neighbours[3]
    for j in range(len(places)):
        at = np.uintp(places[j])  # unsigned: Numba would look for negative indices each time
        p00[j], p01[j] = packed[at], packed[at + np.uintp(1)]
        p10[j], p11[j] = packed[at + np.uintp(stride)], packed[at + np.uintp(stride + 1)]


@_compiled
def _weigh(lowest: Whole, neighbours: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """One channel, whose lowest bit is given, of the weighed sums."""
    p00, p01, p10, p11 = neighbours[0], neighbours[1], neighbours[2], neighbours[3]
    w00, w01, w10, w11 = weights[0], weights[1], weights[2], weights[3]
    lowest, mask = _int(lowest), _int(255)
    half, bits = _int(1 << (WEIGHT_BITS - 1)), _int(WEIGHT_BITS)
    for j in range(len(out)):
        upper = add(
            multiply(bitwise_and(right_shift(p00[j], lowest), mask), _int(w00[j])),
            multiply(bitwise_and(right_shift(p01[j], lowest), mask), _int(w01[j])),
        )
        lower = add(
            multiply(bitwise_and(right_shift(p10[j], lowest), mask), _int(w10[j])),
            multiply(bitwise_and(right_shift(p11[j], lowest), mask), _int(w11[j])),
        )
        out[j] = right_shift(add(add(upper, lower), half), bits)


@_compiled
def _interleave(colours: np.ndarray, count: int, row: np.ndarray) -> None:
    red, green, blue = colours[0], colours[1], colours[2]
    for j in range(count):
        row[np.uintp(3 * j)], row[np.uintp(3 * j + 1)], row[np.uintp(3 * j + 2)] = red[j], green[j], blue[j]


@_compiled
def _count(images: np.ndarray, counts: np.ndarray) -> None:
    batch, height, width, channels = images.shape
    for sample in range(batch):
        for i in range(height):
            for j in range(width):
                for channel in range(channels):
                    counts[sample, channel, images[sample, i, j, channel]] += 1


@_compiled
def _look_up(images: np.ndarray, tables: np.ndarray) -> None:
    batch, height, width, channels = images.shape
    for sample in range(batch):
        pixels = images[sample].reshape(-1)
        if channels == 3:
            red, green, blue = tables[sample, 0], tables[sample, 1], tables[sample, 2]
            for at in range(height * width):
                pixels[np.uintp(3 * at)] = red[pixels[np.uintp(3 * at)]]
                pixels[np.uintp(3 * at + 1)] = green[pixels[np.uintp(3 * at + 1)]]
                pixels[np.uintp(3 * at + 2)] = blue[pixels[np.uintp(3 * at + 2)]]
        else:
            table = tables[sample, 0]
            for at in range(height * width):
                pixels[np.uintp(at)] = table[pixels[np.uintp(at)]]


@_compiled
def _mix(images: np.ndarray, tables: np.ndarray, matrices: np.ndarray) -> None:
    batch, height, width, _ = images.shape
    for sample in range(batch):
        pixels = images[sample].reshape(-1)
        first, second, third = tables[sample, 0], tables[sample, 1], tables[sample, 2]
        m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrices[sample]
        for at in range(height * width):
            red = np.int32(first[pixels[np.uintp(3 * at)]])
            green = np.int32(second[pixels[np.uintp(3 * at + 1)]])
            blue = np.int32(third[pixels[np.uintp(3 * at + 2)]])
            pixels[np.uintp(3 * at)] = min(max((m00 * red + m01 * green + m02 * blue + 2048) >> 12, 0), 255)
            pixels[np.uintp(3 * at + 1)] = min(max((m10 * red + m11 * green + m12 * blue + 2048) >> 12, 0), 255)
            pixels[np.uintp(3 * at + 2)] = min(max((m20 * red + m21 * green + m22 * blue + 2048) >> 12, 0), 255)
