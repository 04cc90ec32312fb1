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
_AT_ONCE = 4096  # images whose frequencies are computed together
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
    low = np.empty((len(thumbnails), _FREQUENCIES**2), np.float32)
    for start in range(0, len(thumbnails), _AT_ONCE):
        part = thumbnails[start : start + _AT_ONCE].astype(np.float32)
        low[start : start + _AT_ONCE] = scipy.fft.dctn(part, axes=(1, 2))[:, :_FREQUENCIES, :_FREQUENCIES].reshape(
            len(part), -1
        )
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
def smoothed(thumbnails: np.ndarray) -> np.ndarray:
    """Thumbnails, uint8 (n, height, width), with each pixel's neighbours in it, int16: 16 times as large.

    Compression and resampling differ most in the finest structures.
    """
    count, height, width = thumbnails.shape
    found = np.empty((count, height, width), np.int16)
    for number in range(count):
        for y in range(height):
            for x in range(width):
                total = 0
                for i in range(-1, 2):
                    for j in range(-1, 2):
                        level = thumbnails[number, min(max(y + i, 0), height - 1), min(max(x + j, 0), width - 1)]
                        total += (2 - abs(i)) * (2 - abs(j)) * int(level)
                found[number, y, x] = total
    return found


@_compiled
def best_fits(smoothed: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """For each pair of smoothed thumbnails, (n, 2), the better `fit` of the one on the other and the other way."""
    found = np.empty(len(pairs))
    for number in range(len(pairs)):
        one, other = smoothed[pairs[number, 0]], smoothed[pairs[number, 1]]
        found[number] = max(fit(one, other), fit(other, one))
    return found


@_compiled
def fit(a: np.ndarray, b: np.ndarray) -> float:
    """How well a thumbnail fits on another, after it was stretched, moved, and made brighter or darker, by little.

    Gauss and Newton's search of the scale and place, each way, that leave the least squares. It is the edges that are
    compared in the end: different images of bright skies above dark ground are alike in all else.

    Args:
        a, b: smoothed, (height, width).

    Returns:
        The share of the squared differences between neighbouring pixels of `b` that `a` explains: 1 for the same
        image, at least -1.
    """
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
    normal, right = np.zeros((6, 6)), np.zeros(6)
    lefts, acrosses = np.empty(width, np.int64), np.empty(width)
    first, last = width, 0  # columns in which `a` lies on `b`
    for x in range(width):
        at_x = place[2] * (x - (width - 1) / 2) + place[3] + (width - 1) / 2
        if 0 <= at_x <= width - 1:
            first, last = min(first, x), x + 1
            lefts[x] = min(int(at_x), width - 2)
            acrosses[x] = at_x - lefts[x]
    inside[:] = False
    for y in range(height):
        v = y - (height - 1) / 2
        at_y = place[0] * v + place[1] + (height - 1) / 2
        if not 0 <= at_y <= height - 1:
            continue
        top = min(int(at_y), height - 2)
        down = at_y - top
        # Sums over a row, in registers: of the level m, its slopes d down and e across, f = e * u, and the level z.
        m_ = mm = d_ = dd = dm = e_ = ee = em = ed = f_ = ff = fm = fd = fe = z_ = zm = zd = ze = zf = 0.0
        inside[y, first:last] = True
        for x in range(first, last):
            u, left, across = x - (width - 1) / 2, lefts[x], acrosses[x]
            p, q, r, t = a[top, left], a[top, left + 1], a[top + 1, left], a[top + 1, left + 1]
            upper, lower = p + across * (q - p), r + across * (t - r)
            m, d, e, z = upper + down * (lower - upper), lower - upper, (1 - down) * (q - p) + down * (t - r), b[y, x]
            f = e * u
            moved[y, x] = m
            m_, d_, e_, f_, z_ = m_ + m, d_ + d, e_ + e, f_ + f, z_ + z
            mm, dm, em, fm, zm = mm + m * m, dm + d * m, em + e * m, fm + f * m, zm + z * m
            dd, ed, fd, zd = dd + d * d, ed + e * d, fd + f * d, zd + z * d
            ee, fe, ze, ff, zf = ee + e * e, fe + f * e, ze + z * e, ff + f * f, zf + z * f
        # In the order of what is sought: contrast, brightness, scale down, place down, scale across, place across.
        for i, row in enumerate(
            (
                (mm, 0.0, 0.0, 0.0, 0.0, 0.0),
                (m_, float(last - first), 0.0, 0.0, 0.0, 0.0),
                (v * dm, v * d_, v * v * dd, 0.0, 0.0, 0.0),
                (dm, d_, v * dd, dd, 0.0, 0.0),
                (fm, f_, v * fd, fd, ff, 0.0),
                (em, e_, v * ed, ed, fe, ee),
            )
        ):
            for j in range(i + 1):
                normal[i, j] += row[j]
        for i, product in enumerate((zm, z_, v * zd, zd, zf, ze)):
            right[i] += product
    for i in range(6):
        normal[i, i] += 1e-6 * normal[i, i] + 1e-9  # there may be no slopes
        for j in range(i):
            normal[j, i] = normal[i, j]
    return normal, right


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
