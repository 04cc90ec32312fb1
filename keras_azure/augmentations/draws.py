"""Random numbers without a state: each is a function of `(seed, epoch, sample index)` and of what it is drawn for.

The numbers are those of Threefry-2x32 with 20 rounds, a block cipher on a counter: Salmon, Moraes, Dror, Shaw,
"Parallel random numbers: as easy as 1, 2, 3", SC 2011, https://doi.org/10.1145/2063384.2063405. It needs nothing but
32-bit additions, rotations and exclusive-ors, so that NumPy and every Keras engine compute the same ones.
"""

import numba
import numpy as np

from keras_azure.augmentations.arrays import NUMPY, Array, Arrays

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def threefry(key: tuple[Array, Array], counter: tuple[Array, Array], xp: Arrays = NUMPY) -> tuple[Array, Array]:
    """Two random words, uint32, for each pair of keys and counters, uint32, whose shapes broadcast."""
    keys = (*key, xp.bitwise_xor(xp.bitwise_xor(key[0], key[1]), _word(_PARITY, xp)))
    x, y = counter[0] + keys[0], counter[1] + keys[1]
    for block in range(5):
        for bits in _ROTATIONS[block % 2]:
            x = x + y
            rotated = xp.bitwise_or(xp.left_shift(y, _word(bits, xp)), xp.right_shift(y, _word(32 - bits, xp)))
            y = xp.bitwise_xor(rotated, x)
        x = x + keys[(block + 1) % 3]
        y = y + keys[(block + 2) % 3] + _word(block + 1, xp)
    return x, y


def words(seed: int, epochs: np.ndarray, indices: np.ndarray, stream: int, count: int) -> np.ndarray:
    """Random words, uint32 (batch, count), for samples `indices` (batch,) of the rounds `epochs` (batch,).

    Different streams, 0 .. 65535, of one sample have nothing to do with each other.
    """
    drawn = np.empty((len(indices), 2 * -(-count // 2)), np.uint32)
    # Each pair of words is one block of the cipher: the key is (seed, epoch), the counter (index, stream and number).
    _encipher(np.uint32(seed), epochs.astype(np.uint32), indices.astype(np.uint32), stream << 16, drawn)
    return drawn[:, :count]


def uniform(seed: int, epochs: np.ndarray, indices: np.ndarray, stream: int, count: int) -> np.ndarray:
    """Random numbers, float64 (batch, count), from 0 up to and without 1, in steps of 2**-24, as `words` are drawn."""
    return (words(seed, epochs, indices, stream, count) >> np.uint32(8)) * 2.0**-24


@numba.njit(nogil=True, cache=True)
def _encipher(seed: np.uint32, epochs: np.ndarray, indices: np.ndarray, first_block: int, out: np.ndarray) -> None:
    """`threefry` for a few words of each of many samples, where NumPy would spend its time between the operations."""
    parity = np.uint32(_PARITY)
    for sample in range(out.shape[0]):
        keys = (seed, epochs[sample], np.uint32(seed ^ epochs[sample] ^ parity))
        for pair in range(out.shape[1] // 2):
            x = np.uint32(indices[sample] + keys[0])
            y = np.uint32(np.uint32(first_block + pair) + keys[1])
            for block in range(5):
                for turn in range(4):
                    bits = np.uint32(_ROTATIONS[block % 2][turn])
                    x = np.uint32(x + y)
                    y = np.uint32((np.uint32(y << bits) | np.uint32(y >> np.uint32(32 - bits))) ^ x)
                x = np.uint32(x + keys[(block + 1) % 3])
                y = np.uint32(y + keys[(block + 2) % 3] + np.uint32(block + 1))
            out[sample, 2 * pair], out[sample, 2 * pair + 1] = x, y


def _word(number: int, xp: Arrays) -> Array:
    return xp.cast(xp.array(number), "uint32")
