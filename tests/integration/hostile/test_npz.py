"""NumPy's .npz files that are damaged or made to do harm."""

import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import strategies as st

from keras_azure.data.formats.npz import Npz
from keras_azure.description.events import Observer
from keras_azure.errors import UnreadableFile

IMAGES = (np.arange(240) % 251).astype(np.uint8).reshape(12, 5, 4)
LABELS = np.arange(12) % 2


def packed(save, **arrays) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


VALID = [
    packed(np.savez, x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS),
    packed(np.savez_compressed, images=IMAGES / 255, labels=np.array(["a", "b"])[LABELS]),
    packed(np.savez, x=IMAGES.astype(">f4"), y=np.eye(2)[LABELS]),
]


def opened(path):
    dataset = Npz(path=str(path))
    dataset.files(Observer())
    dataset.prepare(Observer())
    for split, size in dataset.split_sizes.items():
        images, labels = dataset.arrays(split)
        assert images.shape == (size, *dataset.image_shape)
        assert set(labels.tolist()) <= set(range(len(dataset.class_names)))


def test_damaged_files(throw, changed, tmp_path):
    path = tmp_path / "data.npz"

    def parse(content):
        path.write_bytes(content)
        opened(path)

    throw(st.one_of(changed(VALID), st.binary(max_size=200)), parse)


ARRAYS = st.sampled_from(
    [
        *(IMAGES, LABELS, IMAGES[..., None], IMAGES.astype(float), np.zeros(0), np.array(3), np.array(["a", "b"] * 6)),
        *(
            np.eye(2)[LABELS],
            np.full(12, np.nan),
            np.full(12, np.inf),
            np.full(12, 2**63 - 1),
            np.array([b"\xff"] * 12),
        ),
        *(
            np.zeros(12, "M8[s]"),
            np.zeros(12, [("a", "i4")]),
            np.zeros((12, 5, 4), complex),
            np.array(["\x1b[2J"] * 12),
        ),
        np.full(12, -(2**63)),
    ]
)
NAMES = st.sampled_from(["x", "y", "x_train", "y_train", "images", "labels", "../x", "/x", "x_test", "y_test", ""])


def test_files_with_any_arrays(throw, tmp_path):
    path = tmp_path / "data.npz"

    def parse(arrays):
        path.write_bytes(b"")
        with zipfile.ZipFile(path, "w") as file:
            for name, array in arrays.items():
                content = io.BytesIO()
                np.lib.format.write_array(content, array)
                file.writestr(f"{name}.npy", content.getvalue())
        opened(path)

    throw(st.dictionaries(NAMES, ARRAYS, max_size=4), parse)


class Harm:
    def __reduce__(self):
        return print, ("harm",)


def test_nothing_is_unpickled(tmp_path, capsys):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as file:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (12,)})
        file.writestr("x.npy", header.getvalue() + pickle.dumps(Harm()))
        file.writestr("y.npy", header.getvalue() + pickle.dumps(Harm()))
    with pytest.raises(UnreadableFile, match="Python objects, which are not unpickled"):
        opened(path)
    path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(UnreadableFile):
        opened(path)
    assert capsys.readouterr().out == ""


def test_a_header_that_announces_more_than_there_is_takes_no_memory(tmp_path):
    path = tmp_path / "data.npz"
    header = io.BytesIO()
    shape = (10**6, 100, 100)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x.npy", header.getvalue() + bytes(1000))
        file.writestr("y.npy", packed(np.save, arr=LABELS))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableFile, match="announces 10000000000 bytes, and there are"):
            opened(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
