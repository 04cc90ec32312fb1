"""Whether images are nearly the same: candidates by a perceptual hash, each of which is then laid on the other.

The hash is the usual one of 64 bits (the signs of low frequencies, as in pHash): what is stored again in another size
or quality has nearly the same. A crop changes more of its bits, and different images may have few that differ, so that
a distance of bits alone finds too little or too much. What decides is how well one thumbnail fits on the other when it
is stretched and moved a little: see `fit`.
"""

import numba
import numpy as np
import scipy.fft

_FREQUENCIES = 8  # each way
_MOST_BITS = 24  # that differ between candidates; of different images 32 do, and of a crop 16 or fewer
NEAREST = 12  # candidates of each image, the nearest first
_ROUNDS = 12  # at most, of the search for how images lie on each other
_HOPELESS_AFTER = 4  # rounds, if nothing is explained by then
_STILL = 0.02  # pixels of a thumbnail: what moves less has found its place
_SMALLEST, _FARTHEST = 0.85, 3.0  # the scale of a crop, and pixels of a thumbnail that it may be moved by
_LEAST_GAIN = 0.2  # of contrast
_LEAST_COMMON = 0.7  # of the thumbnail that both have to show

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


def hashes(thumbnails: np.ndarray) -> np.ndarray:
    """The hashes, uint64 (n,), of thumbnails, uint8 (n, height, width)."""
    low = scipy.fft.dctn(thumbnails.astype(np.float32), axes=(1, 2))[:, :_FREQUENCIES, :_FREQUENCIES]
    low = low.reshape(len(low), -1)
    bits = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64).reshape(-1)


@_compiled
def nearest(hashes: np.ndarray, first: int, last: int) -> np.ndarray:
    """For each of the images `first` to before `last` the others whose hashes differ in fewest bits.

    Returns:
        int64 (last - first, 12), with -1 where there are fewer within 24 bits.
    """
    found = np.full((last - first, NEAREST), -1, np.int64)
    for i in range(first, last):
        bits = np.full(NEAREST, _MOST_BITS + 1, np.int64)
        for j in range(len(hashes)):
            word = hashes[i] ^ hashes[j]
            word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
            word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
            word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
            distance = np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))
            if distance < bits[-1] and i != j:
                place = NEAREST - 1
                while place > 0 and bits[place - 1] > distance:
                    bits[place], found[i - first, place] = bits[place - 1], found[i - first, place - 1]
                    place -= 1
                bits[place], found[i - first, place] = distance, j
    return found


@_compiled
def fit(one: np.ndarray, other: np.ndarray) -> float:
    """How well a thumbnail fits on another, after it was stretched, moved, and made brighter or darker, by little.

    Gauss and Newton's search of the scale and place, each way, that leave the least squares. It is the edges that are
    compared in the end: different images of bright skies above dark ground are alike in all else.

    Args:
        one, other: uint8 (height, width).

    Returns:
        The share of the squared differences between neighbouring pixels of `other` that `one` explains: 1 for the same
        image, at least -1.
    """
    a, b = _smoothed(one), _smoothed(other)
    height, width = b.shape
    moved, inside = np.empty((height, width)), np.empty((height, width), np.bool_)
    place = np.array([1.0, 0.0, 1.0, 0.0])  # how `other` lies on `one`: scale and move down, scale and move across
    gain = 1.0
    for turn in range(_ROUNDS):
        normal, right = _equations(a, b, place, moved, inside)
        found = np.linalg.solve(normal, right)
        gain = found[0]
        if not gain > _LEAST_GAIN:
            return -1.0
        step = 0.0
        for i in range(4):
            low, high = (_SMALLEST, 1 / _SMALLEST) if i % 2 == 0 else (-_FARTHEST, _FARTHEST)
            before = place[i]
            place[i] = min(max(before + found[2 + i] / gain, low), high)
            step = max(step, abs(place[i] - before) * (height / 2 if i % 2 == 0 else 1.0))
        if turn == _HOPELESS_AFTER and _explained(moved, b, inside, gain) < 0:
            return -1.0
        if step < _STILL:
            break
    _equations(a, b, place, moved, inside)
    return _explained(moved, b, inside, gain)


@_compiled
def _equations(
    a: np.ndarray, b: np.ndarray, place: np.ndarray, moved: np.ndarray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lays `b` on `a`; the equations of the least squares of brightness, contrast and a small change of the place.

    Args:
        moved: becomes `a` as it lies on `b`.
        inside: becomes where it does.
    """
    height, width = b.shape
    normal, right, row = np.zeros((6, 6)), np.zeros(6), np.empty(6)
    for y in range(height):
        for x in range(width):
            v, u = y - (height - 1) / 2, x - (width - 1) / 2
            at_y, at_x = place[0] * v + place[1] + (height - 1) / 2, place[2] * u + place[3] + (width - 1) / 2
            inside[y, x] = 0 <= at_y <= height - 1 and 0 <= at_x <= width - 1
            if not inside[y, x]:
                continue
            top, left = min(int(at_y), height - 2), min(int(at_x), width - 2)
            down, across = at_y - top, at_x - left
            p, q, r, s = a[top, left], a[top, left + 1], a[top + 1, left], a[top + 1, left + 1]
            moved[y, x] = (1 - down) * ((1 - across) * p + across * q) + down * ((1 - across) * r + across * s)
            slope_y = (1 - across) * (r - p) + across * (s - q)
            slope_x = (1 - down) * (q - p) + down * (s - r)
            row[0], row[1], row[2], row[3], row[4], row[5] = (
                moved[y, x],
                1.0,
                slope_y * v,
                slope_y,
                slope_x * u,
                slope_x,
            )
            for i in range(6):
                right[i] += row[i] * b[y, x]
                for j in range(i + 1):
                    normal[i, j] += row[i] * row[j]
    for i in range(6):
        normal[i, i] += 1e-6 * normal[i, i] + 1e-9  # there may be no slopes
        for j in range(i):
            normal[j, i] = normal[i, j]
    return normal, right


@_compiled
def _smoothed(thumbnail: np.ndarray) -> np.ndarray:
    """A little: compression and resampling differ most in the finest structures."""
    height, width = thumbnail.shape
    found = np.empty((height, width), np.float64)
    for y in range(height):
        for x in range(width):
            total = 0.0
            for i in range(-1, 2):
                for j in range(-1, 2):
                    level = thumbnail[min(max(y + i, 0), height - 1), min(max(x + j, 0), width - 1)]
                    total += (2 - abs(i)) * (2 - abs(j)) * level
            found[y, x] = total / 16
    return found


@_compiled
def _explained(moved: np.ndarray, b: np.ndarray, inside: np.ndarray, gain: float) -> float:
    """The share of the squared differences between neighbours in `b` that those in `moved` explain."""
    height, width = b.shape
    left, total, count = 0.0, 1e-9, 0
    for y in range(height - 1):
        for x in range(width - 1):
            if inside[y, x] and inside[y, x + 1] and inside[y + 1, x]:
                count += 1
                for i, j in ((1, 0), (0, 1)):
                    theirs = b[y + i, x + j] - b[y, x]
                    ours = gain * (moved[y + i, x + j] - moved[y, x])
                    left += (theirs - ours) ** 2
                    total += theirs**2
    if count < _LEAST_COMMON * height * width:
        return -1.0
    return 1 - left / total


@_compiled
def best_fits(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """For each pair of thumbnails, (n, 2), the better `fit` of the one on the other and of the other on the one."""
    found = np.empty(len(pairs))
    for number in range(len(pairs)):
        one, other = thumbnails[pairs[number, 0]], thumbnails[pairs[number, 1]]
        found[number] = max(fit(one, other), fit(other, one))
    return found
