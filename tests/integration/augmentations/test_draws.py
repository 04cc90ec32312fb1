"""The random numbers: those of the published cipher, the same in every form, even and independent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src.utils.backend_utils import DynamicBackend

from keras_azure.augmentations.arrays import NUMPY, of_engine
from keras_azure.augmentations.draws import threefry, uniform, words

U32 = st.integers(0, 2**32 - 1)
COUNT = 20_000


@pytest.mark.parametrize("xp", [NUMPY, of_engine(DynamicBackend("tensorflow"))], ids=["numpy", "tensorflow"])
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(counter, key, expected, xp):
    """Those of Random123's file kat_vectors for threefry2x32 with 20 rounds."""
    key, counter = (tuple(np.array([word], np.uint32) for word in pair) for pair in (key, counter))
    assert tuple(int(np.asarray(word)[0]) for word in threefry(key, counter, xp)) == expected


@settings(max_examples=50, deadline=None)
@given(
    seed=U32,
    epochs=st.lists(U32, min_size=1, max_size=4),
    first=U32,
    stream=st.integers(0, 65535),
    count=st.integers(1, 7),
)
def test_words_are_the_ciphers(seed, epochs, first, stream, count):
    epochs = np.array(epochs, np.int64)
    indices = (first + np.arange(len(epochs), dtype=np.int64)) % 2**32
    key = (np.uint32([[seed]]), epochs.astype(np.uint32)[:, None])
    blocks = np.uint32((stream << 16) + np.arange(-(-count // 2)))[None, :]
    pairs = threefry(key, (indices.astype(np.uint32)[:, None], blocks))
    expected = np.stack(pairs, axis=2).reshape(len(epochs), -1)[:, :count]
    np.testing.assert_array_equal(words(seed, epochs, indices, stream, count), expected)


def numbers(*, seed=1, epoch=2, first=0, stream=3, count=2) -> np.ndarray:
    return uniform(seed, np.full(COUNT, epoch), first + np.arange(COUNT), stream, count)


def test_numbers_are_even():
    drawn = numbers(count=5)
    assert 0 <= drawn.min() < drawn.max() < 1
    for column in drawn.T:
        counts = np.histogram(column, bins=20, range=(0, 1))[0]
        chi_squared = ((counts - COUNT / 20) ** 2 / (COUNT / 20)).sum()
        assert chi_squared < 50  # 19 degrees of freedom: above 50 once in about 7000


@pytest.mark.parametrize("other", [{"seed": 2}, {"epoch": 3}, {"first": 1}, {"stream": 4}, {"stream": 3 + (1 << 15)}])
def test_numbers_of_another_origin_are_independent(other):
    mine, others = numbers()[:, 0], numbers(**other)[:, 0]
    assert abs(np.corrcoef(mine, others)[0, 1]) < 5 / np.sqrt(COUNT)
    assert (mine == others).mean() < 0.001


def test_the_numbers_of_one_sample_are_independent():
    correlations = np.corrcoef(numbers(count=6).T) - np.eye(6)
    assert np.abs(correlations).max() < 5 / np.sqrt(COUNT)


def test_more_numbers_begin_with_the_same_ones():
    np.testing.assert_array_equal(numbers(count=5)[:, :3], numbers(count=3))
