"""The loops over pixels on the host, compiled by Numba, which lets go of Python's lock while they run.

They compute in whole numbers exactly what `geometry.resample` and the colour layers compute on every engine; a test
compares them to the bit. Why they are here: on two cores they resample about three times as many pictures a second as
the same arithmetic compiled by XLA, and about twice as many as OpenCV.

How: the three channels of a pixel are packed into one 64-bit number, 21 bits apart. A pixel has 8 bits and the weights
of the four neighbours have 13, so that one multiplication weighs all channels and no sum runs into the next lane.
"""

import numba
import numpy as np

from keras_azure.augmentations.geometry import CONSTANT, NEAREST, REFLECT, WEIGHT_BITS, WRAP, fraction_bits

_LANE = 21  # bits
_HALF = (1 << (WEIGHT_BITS - 1)) * (1 | 1 << _LANE | 1 << 2 * _LANE)
_PART = 11  # bits of a coordinate's fraction that weigh
_TO_WEIGHT = 2 * _PART - WEIGHT_BITS

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")
_inlined = numba.njit(nogil=True, cache=True, error_model="numpy", inline="always")


def resample_pictures(
    pictures: np.ndarray, indices: np.ndarray, matrices: np.ndarray, mode: int, fill_value: int
) -> np.ndarray:
    """`geometry.resample` of the pictures (N, height, width, 1 or 3) uint8 at `indices` (batch,).

    Returns:
        uint8 (batch, height, width, channels).
    """
    out = np.empty((len(indices), *pictures.shape[1:]), np.uint8)
    bits = fraction_bits(*pictures.shape[1:3])
    _resample(pictures, indices.astype(np.int64), matrices.astype(np.int64), mode, fill_value, bits, out)
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
        _look_up(images, tables)
    else:
        unchanged = np.broadcast_to(np.arange(256, dtype=np.uint8), (len(images), images.shape[-1], 256))
        _mix(images, np.ascontiguousarray(unchanged if tables is None else tables), matrices)


@_inlined
def _index(position, size, mode):
    if mode == WRAP:
        return position % size
    if mode == REFLECT:
        folded = position % (2 * size)
        return min(folded, 2 * size - 1 - folded)
    return min(max(position, 0), size - 1)


@_inlined
def _weights(x, y, bits):
    part = bits - _PART
    right, down = (x >> part) & 2047, (y >> part) & 2047
    both = (right * down + (1 << (_TO_WEIGHT - 1))) >> _TO_WEIGHT
    shift = WEIGHT_BITS - _PART
    right, down = right << shift, down << shift
    return (1 << WEIGHT_BITS) - right - down + both, right - both, down - both, both


@_inlined
def _inside(x, y, bits, lanes, width):
    """The weighed lanes of a position whose four neighbours are all in the picture."""
    w00, w01, w10, w11 = _weights(x, y, bits)
    at = (y >> bits) * width + (x >> bits)
    # Unsigned: Numba would look for negative indices each time.
    upper = lanes[np.uintp(at)] * w00 + lanes[np.uintp(at + 1)] * w01
    return upper + lanes[np.uintp(at + width)] * w10 + lanes[np.uintp(at + width + 1)] * w11 + _HALF


@_inlined
def _anywhere(x, y, bits, lanes, height, width, mode, fill):
    """The same where some neighbours are outside."""
    if mode == NEAREST:  # then the place itself may as well be moved to the edge
        x = min(max(x, 0), (width - 1) << bits)
        y = min(max(y, 0), (height - 1) << bits)
        return _inside(x, y, bits, lanes, width)
    w00, w01, w10, w11 = _weights(x, y, bits)
    column, row = x >> bits, y >> bits
    left, right = _index(column, width, mode), _index(column + 1, width, mode)
    upper, lower = _index(row, height, mode) * width, _index(row + 1, height, mode) * width
    p00, p01 = lanes[np.uintp(upper + left)], lanes[np.uintp(upper + right)]
    p10, p11 = lanes[np.uintp(lower + left)], lanes[np.uintp(lower + right)]
    if mode == CONSTANT:
        left_out, right_out = column < 0 or column >= width, column < -1 or column >= width - 1
        upper_out, lower_out = row < 0 or row >= height, row < -1 or row >= height - 1
        p00, p01 = fill if left_out or upper_out else p00, fill if right_out or upper_out else p01
        p10, p11 = fill if left_out or lower_out else p10, fill if right_out or lower_out else p11
    return p00 * w00 + p01 * w01 + p10 * w10 + p11 * w11 + _HALF


@_inlined
def _put(value, row, column, channels):
    if channels == 3:
        row[np.uintp(3 * column)] = (value >> WEIGHT_BITS) & 255
        row[np.uintp(3 * column + 1)] = (value >> (WEIGHT_BITS + _LANE)) & 255
        row[np.uintp(3 * column + 2)] = (value >> (WEIGHT_BITS + 2 * _LANE)) & 255
    else:
        row[np.uintp(column)] = (value >> WEIGHT_BITS) & 255


@_inlined
def _within(start, step, last, count):
    """The range of columns j, 0 .. count, at which 0 <= start + step * j <= last."""
    if step == 0:
        first, end = (0, count) if 0 <= start <= last else (0, 0)
    elif step > 0:
        first, end = -(start // step), (last - start) // step + 1
    else:
        first, end = -((last - start) // -step), start // -step + 1
    first = max(0, min(count, first))
    return first, max(first, min(count, end))


@_compiled
def _resample(pictures, indices, matrices, mode, fill_value, bits, out):
    batch, height, width, channels = out.shape
    # And a row and a pixel more: the neighbours behind the last pixel, of weight 0, are read too.
    lanes = np.zeros(height * width + width + 1, np.int64)
    one = np.int64(1)
    fill = fill_value * (one | one << _LANE | one << 2 * _LANE)
    for sample in range(batch):
        picture = pictures[indices[sample]].reshape(-1)
        result = out[sample].reshape(-1)
        a, b, x0, d, e, y0 = matrices[sample]
        if a == one << bits and b == 0 and x0 == 0 and d == 0 and e == a and y0 == 0:
            result[:] = picture
            continue
        if channels == 3:
            for at in range(height * width):
                lanes[at] = (
                    np.int64(picture[3 * at])
                    | np.int64(picture[3 * at + 1]) << _LANE
                    | np.int64(picture[3 * at + 2]) << 2 * _LANE
                )
        else:
            for at in range(height * width):
                lanes[at] = picture[at]
        for i in range(height):
            x_row, y_row = x0 + b * i, y0 + e * i
            row = result[i * width * channels : (i + 1) * width * channels]
            first, end = _within(x_row, a, ((width - 1) << bits) - 1, width)
            first_down, end_down = _within(y_row, d, ((height - 1) << bits) - 1, width)
            first = max(first, first_down)
            end = max(first, min(end, end_down))
            for j in range(first):
                value = _anywhere(x_row + a * j, y_row + d * j, bits, lanes, height, width, mode, fill)
                _put(value, row, j, channels)
            x, y = x_row + a * first, y_row + d * first
            for j in range(first, end):
                _put(_inside(x, y, bits, lanes, width), row, j, channels)
                x += a
                y += d
            for j in range(end, width):
                value = _anywhere(x_row + a * j, y_row + d * j, bits, lanes, height, width, mode, fill)
                _put(value, row, j, channels)


@_compiled
def _count(images, counts):
    batch, height, width, channels = images.shape
    for sample in range(batch):
        for i in range(height):
            for j in range(width):
                for channel in range(channels):
                    counts[sample, channel, images[sample, i, j, channel]] += 1


@_compiled
def _look_up(images, tables):
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
def _mix(images, tables, matrices):
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
