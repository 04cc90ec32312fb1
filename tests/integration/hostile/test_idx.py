"""IDX files, plain and compressed, that are damaged or made to do harm."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from keras_azure.data.idx import idx, read_idx
from keras_azure.errors import UnreadableFile

FILES = {
    "train-images-idx3-ubyte": (6, 4, 3),
    "train-labels-idx1-ubyte": (6,),
    "t10k-images-idx3-ubyte": (2, 4, 3),
    "t10k-labels-idx1-ubyte": (2,),
}


def written(shape: tuple[int, ...]) -> bytes:
    values = (np.arange(np.prod(shape)) % 2).astype(np.uint8)
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values.tobytes()


def announced(shape: tuple[int, ...], content: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + content


VALID = [written(shape) for shape in FILES.values()]
VALID += [gzip.compress(content, mtime=0) for content in VALID]
SIZES = st.one_of(st.integers(0, 5), st.integers(0, 2**32 - 1), st.just(2**32 - 1))
HEADERS = st.builds(
    lambda shape, content, compressed: (
        gzip.compress(announced(shape, content)) if compressed else announced(shape, content)
    ),
    st.lists(SIZES, max_size=5).map(tuple),
    st.binary(max_size=100),
    st.booleans(),
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, shape in FILES.items():
        (folder / name).write_bytes(written(shape))
    return folder


def test_damaged_files(throw, changed, tmp_path):
    path = tmp_path / "file"

    def parse(given):
        content, dimensions = given
        path.write_bytes(content)
        array = read_idx(path, dimensions)
        assert array.ndim == dimensions
        assert array.nbytes <= 1032 * len(content)

    contents = st.one_of(changed(VALID), HEADERS, st.binary(max_size=200))
    throw(st.tuples(contents, st.sampled_from([1, 3])), parse)


def test_folders_with_a_damaged_file(throw, changed, folder):
    def parse(damaged):
        name, content = damaged
        for other, shape in FILES.items():
            (folder / other).write_bytes(content if other == name else written(shape))
        dataset = idx(path=str(folder))
        for split, size in dataset.split_sizes.items():
            pictures, labels = dataset.arrays(split)
            assert len(pictures) == size
            assert set(labels.tolist()) <= set(range(len(dataset.class_names)))

    throw(st.tuples(st.sampled_from([*FILES]), st.one_of(changed(VALID), HEADERS)), parse)


def test_folders_with_strange_names(throw, texts):
    throw(texts, lambda path: idx(path=path))


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (60_000, 28, 28)])
def test_an_enormous_header_takes_no_memory(tmp_path, shape):
    path = tmp_path / "bomb"
    for content in (announced(shape, b"1234"), gzip.compress(announced(shape, b"1234"))):
        path.write_bytes(content)
        assert_refused_in_little_memory(path)


def test_a_gzip_bomb_takes_no_more_memory_than_its_header_announces(tmp_path):
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(announced((10, 10, 10), bytes(100_000_000))))
    assert_refused_in_little_memory(path)


def assert_refused_in_little_memory(path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile):
            read_idx(path, 3)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
