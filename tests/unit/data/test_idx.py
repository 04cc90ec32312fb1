import gzip
import math
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_azure.data import open_dataset
from keras_azure.data.formats.idx import Idx
from keras_azure.data.idx import idx, read_idx
from keras_azure.data.locate import find_dataset
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

MNIST = Path(__file__).parents[4] / "shared/data/mnist"


def packed(array: np.ndarray, type_code: int = 0x08) -> bytes:
    return bytes([0, 0, type_code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return path


def pictures_of(count: int, height: int = 5, width: int = 4) -> np.ndarray:
    return np.random.RandomState(count).randint(0, 256, (count, height, width)).astype(np.uint8)


FILES = {
    "train-images-idx3-ubyte": pictures_of(6),
    "train-labels-idx1-ubyte": np.array([0, 1, 2, 0, 1, 2], np.uint8),
    "t10k-images-idx3-ubyte": pictures_of(3),
    "t10k-labels-idx1-ubyte": np.array([2, 1, 0], np.uint8),
}


@pytest.fixture
def write_folder(tmp_path: Path):
    def write_all(spelling=lambda name: name, **changes: np.ndarray | None) -> Path:
        """The four files; `changes` replaces arrays by the beginnings of names: train_labels=..."""
        for name, array in FILES.items():
            array = changes.get(name.rsplit("-", 2)[0].replace("-", "_"), array)
            if array is not None:
                write(tmp_path, spelling(name), packed(array))
        return tmp_path

    return write_all


@pytest.mark.parametrize(
    "spelling",
    [
        lambda name: name,
        lambda name: f"{name}.gz",
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-idx", ".idx") + ".gz",
        lambda name: f"{name}.gz" if "images" in name else name,
    ],
    ids=["plain", "gz", "dotted", "dotted-gz", "mixed"],
)
def test_the_four_files_are_a_data_set_however_they_are_spelled(write_folder, spelling):
    folder = write_folder(spelling)
    data = idx(path=str(folder))
    assert data.class_names == ("0", "1", "2")
    assert data.split_sizes == {"train": 6, "test": 3}
    assert data.image_shape == (5, 4, 1)
    assert data.description == f"IDX folder {folder}: 6 training and 3 test pictures of 5x4x1 in 3 classes"
    picture, label = data.read("test", 0)
    assert np.array_equal(picture[..., 0], FILES["t10k-images-idx3-ubyte"][0])
    assert label == 2


def test_pictures_can_have_another_size(write_folder):
    assert idx(path=str(write_folder()), image_size=(7, 9)).read("train", 0)[0].shape == (7, 9, 1)


def test_a_file_that_was_unpacked_without_losing_its_ending_is_read(tmp_path):
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(packed(np.array([1, 2], np.uint8)))
    assert read_idx(path, 1).tolist() == [1, 2]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(write_folder, name):
    folder = write_folder()
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"The IDX folder {folder} has no file {name}"):
        idx(path=str(folder))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}/nowhere has no file train-images-idx3-ubyte"):
        idx(path=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"train_labels": np.array([0, 1], np.uint8)},
            "train-images.* has 6 pictures, and .*train-labels.* has 2 labels",
        ),
        ({"t10k_labels": np.array([0], np.uint8)}, "t10k-images.* has 3 pictures, and .*t10k-labels.* has 1 labels"),
        (
            {"t10k_labels": np.array([0, 1, 3], np.uint8)},
            "A class of the labels in .*t10k-labels.*, 3, is none of the labels in .*train-labels",
        ),
        ({"train_labels": np.full(6, 3, np.uint8)}, "train-labels.* has only one class: every label is 3"),
        (
            {"t10k_images": pictures_of(3, 4, 4)},
            "t10k-images.* has pictures of 4x4 pixels, and .*train-images.* of 5x4",
        ),
    ],
)
def test_files_that_do_not_agree_are_refused(write_folder, changes, message):
    with pytest.raises(DataError, match=message):
        idx(path=str(write_folder(**changes)))


@pytest.mark.parametrize(
    "spelling",
    [
        lambda name: f"emnist-letters-{name.replace('t10k', 'test')}.gz",
        lambda name: f"emnist-letters-{name.replace('t10k', 'test')}",
        lambda name: f"kmnist_{name}",
        lambda name: name.replace("t10k", "test"),
    ],
    ids=["emnist", "unpacked", "underscore", "test"],
)
def test_names_that_publishers_have_are_found(write_folder, spelling):
    assert idx(path=str(write_folder(spelling))).split_sizes == {"train": 6, "test": 3}


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_first_number_of_a_row_of_qmnists_labels_is_the_class(write_folder, ending):
    folder = write_folder(lambda name: f"qmnist-{name}")
    for stem, labels in (("train", [0, 1, 2, 0, 1, 2]), ("t10k", [2, 1, 0])):
        (folder / f"qmnist-{stem}-labels-idx1-ubyte").unlink()
        rows = np.zeros((len(labels), 8), ">i4")
        rows[:, 0], rows[:, 1] = labels, 77
        write(folder, f"qmnist-{stem}-labels-idx2-int{ending}", packed(rows, 0x0C))
    data = idx(path=str(folder))
    assert data.class_names == ("0", "1", "2")
    assert [data.read("train", index)[1] for index in range(6)] == [0, 1, 2, 0, 1, 2]
    assert len(Idx(path=str(folder)).files(Observer())) == 4
    rows[:] = 3
    write(folder, f"qmnist-t10k-labels-idx2-int{ending}", packed(rows.astype(np.uint8)))
    with pytest.raises(UnreadableFile, match=r"its type code is 0x08 \(uint8\), where a file of this name has 0x0C"):
        idx(path=str(folder))


def test_of_several_data_sets_one_has_to_be_named(write_folder):
    write_folder(lambda name: f"emnist-digits-{name}")
    folder = write_folder(
        lambda name: f"emnist-letters-{name}",
        train_labels=np.array([1, 2, 3, 1, 2, 3], np.uint8),
        t10k_labels=np.array([1, 2, 3], np.uint8),
    )
    with pytest.raises(
        DataError, match="2 data sets: their names begin with emnist-digits and emnist-letters"
    ) as caught:
        idx(path=str(folder))
    assert "prefix='emnist-digits'" in caught.value.hint
    assert idx(path=str(folder), prefix="emnist-letters").class_names == ("1", "2", "3")


def test_pictures_of_emnist_are_said_to_lie_and_can_be_set_upright(write_folder, listener):
    folder = write_folder(lambda name: f"emnist-letters-{name}")
    lying = idx(path=str(folder), observer=listener)
    (line,) = listener.messages
    assert "have rows and columns exchanged: they are taken as they are" in line
    assert f"--data \"idx(path='{folder}', transposed=True)\" sets them upright" in line
    spec = find_dataset(f"idx(path='{folder}', transposed=True)")
    upright = open_dataset(spec, listener)
    assert listener.messages == [line]
    assert upright.image_shape == (4, 5, 1)
    for index in range(6):
        assert np.array_equal(upright.read("train", index)[0], lying.read("train", index)[0].swapaxes(0, 1))


def test_large_pictures_are_brought_down_as_those_of_folders_are(write_folder, listener):
    pictures = np.zeros((6, 520, 20), np.uint8)
    folder = write_folder(train_images=pictures, t10k_images=pictures[:3])
    assert idx(path=str(folder), observer=listener).image_shape == (224, 224, 1)
    assert listener.messages == [
        "The pictures are 520x20: all are brought to 224x224. Pass --image-size HEIGHT WIDTH for another size."
    ]
    assert idx(path=str(folder), image_size=(520, 20), observer=listener).image_shape == (520, 20, 1)
    assert len(listener.messages) == 1


def test_a_number_that_no_image_has_is_no_class_and_is_said(write_folder, listener):
    labels = {"train_labels": np.array([1, 2, 4, 1, 2, 4], np.uint8), "t10k_labels": np.array([4, 1, 2], np.uint8)}
    data = idx(path=str(write_folder(**labels)), observer=listener)
    assert data.class_names == ("1", "2", "4")
    assert [data.read("test", index)[1] for index in range(3)] == [2, 0, 1]
    assert len(listener.messages) == 1
    assert "The labels are 1, 2, 4: the classes are called so" in listener.messages[0]


def test_a_file_that_is_nearly_called_so_is_named(write_folder):
    folder = write_folder()
    (folder / "t10k-labels-idx1-ubyte").rename(folder / "T10K-labels.idx1.ubyte")
    with pytest.raises(DataError, match="has no file t10k-labels-idx1-ubyte") as caught:
        idx(path=str(folder))
    assert caught.value.hint == "rename what is meant: T10K-labels.idx1.ubyte"


CONTENT = packed(pictures_of(6))
DAMAGES = {
    "empty": (b"", "it is empty"),
    "short header": (CONTENT[:9], "it ends within its header"),
    "magic": (b"\1" + CONTENT[1:], "it begins with 01 00, where IDX files have 00 00"),
    "text": (b"<!DOCTYPE html><html><body>Not found</body></html>", "it begins with 3c 21"),
    "float": (packed(pictures_of(6).astype(np.float32), 0x0D), r"its type code is 0x0D \(float32\)"),
    "unknown type": (packed(pictures_of(6), 0x2A), r"its type code is 0x2A \(no known type\)"),
    "dimensions": (packed(np.arange(99, dtype=np.uint8)), "it has 1 dimensions instead of 3"),
    "zero": (packed(pictures_of(0)), "it holds nothing: its dimensions are 0x5x4"),
    "truncated": (CONTENT[:-1], "its header announces 120 bytes"),
    "longer": (CONTENT + b"\0", "its header announces 120 bytes, and there are more"),
    "hostile": (b"\0\0\x08\3" + b"\xff" * 12 + b"\0" * 500, "its header announces 79228162458924105385300197375 bytes"),
}


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, damage, ending):
    content, message = DAMAGES[damage]
    path = write(tmp_path, f"train-images-idx3-ubyte{ending}", content)
    with pytest.raises(UnreadableFile, match=f"{path} cannot be used: {message}"):
        read_idx(path, 3)


@pytest.mark.parametrize("cut", [3, 12, 30, -9, -4, -1])
def test_a_truncated_gzip_file_is_named(tmp_path, cut):
    path = write(tmp_path, "x.gz", CONTENT)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UnreadableFile, match=f"{path} cannot be used: its gzip compression is damaged"):
        read_idx(path, 3)


def test_a_gzip_file_with_a_wrong_checksum_is_named(tmp_path):
    path = write(tmp_path, "x.gz", CONTENT)
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=f"{path} cannot be used: its gzip compression is damaged: CRC"):
        read_idx(path, 3)


def test_a_hostile_header_does_not_cost_memory(tmp_path):
    # 200 MB announced, and the gzip file is so large that it might even be true.
    path = write(tmp_path, "x.gz", b"\0\0\x08\3" + struct.pack(">3I", 20, 10**3, 10**4) + b"\0" * 100)
    with path.open("ab") as file:
        file.write(bytes(200_000))  # zeros after the end of a gzip file are padding
    tracemalloc.start()
    with pytest.raises(UnreadableFile, match="announces 200000000 bytes, and there are only 100"):
        read_idx(path, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_a_file_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 100})())
    path = write(tmp_path, "x", CONTENT)
    with pytest.raises(DataError, match=f"The IDX file {path} needs"):
        read_idx(path, 3)


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(UnreadableFile, match=f"The IDX file {tmp_path}/gone cannot be read: No such file"):
        read_idx(tmp_path / "gone", 3)
    with pytest.raises(UnreadableFile, match=f"The IDX file {tmp_path} cannot be read: Is a directory"):
        read_idx(tmp_path, 3)


@st.composite
def arrays(draw) -> np.ndarray:
    shape = draw(st.one_of(st.tuples(st.integers(1, 40)), st.tuples(*[st.integers(1, 6)] * 3)))
    return np.frombuffer(draw(st.binary(min_size=math.prod(shape), max_size=math.prod(shape))), np.uint8).reshape(shape)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("idx")


@given(arrays(), st.sampled_from(["x", "x.gz"]))
def test_what_was_written_is_read(scratch, array, name):
    assert np.array_equal(read_idx(write(scratch, name, packed(array)), array.ndim), array)


def read_or_refuse(path: Path, dimensions: int) -> np.ndarray | None:
    try:
        return read_idx(path, dimensions)
    except DataError as error:
        assert str(path) in str(error)
        return None


@given(arrays(), st.sampled_from(["x", "x.gz"]), st.data())
def test_no_truncated_file_is_read(scratch, array, name, data):
    path = write(scratch, name, packed(array))
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert read_or_refuse(path, array.ndim) is None


@given(arrays(), st.sampled_from(["x", "x.gz"]), st.binary(min_size=1, max_size=30))
def test_no_extended_file_is_read(scratch, array, name, more):
    path = write(scratch, name, packed(array) + more)
    assert read_or_refuse(path, array.ndim) is None


@given(arrays(), st.binary(min_size=1, max_size=30))
def test_what_follows_a_gzip_file_never_becomes_data(scratch, array, more):
    path = write(scratch, "x.gz", packed(array))
    path.write_bytes(path.read_bytes() + more)
    found = read_or_refuse(path, array.ndim)
    assert found is None or np.array_equal(found, array)


@given(arrays(), st.sampled_from(["x", "x.gz"]), st.integers(0, 15), st.integers(1, 255))
def test_a_flipped_byte_in_the_header_never_gives_other_data(scratch, array, name, position, flip):
    path = write(scratch, name, packed(array))
    content = bytearray(path.read_bytes())
    header = 4 + 4 * array.ndim if name == "x" else 10
    content[position % header] ^= flip
    path.write_bytes(content)
    found = read_or_refuse(path, array.ndim)
    assert found is None or np.array_equal(found, array)


@pytest.mark.skipif(not MNIST.is_dir(), reason="the shared data are not here")
def test_mnist():
    data = idx(path=str(MNIST))
    assert data.split_sizes == {"train": 60_000, "test": 10_000}
    assert data.image_shape == (28, 28, 1)
    assert data.class_names == tuple("0123456789")
    assert [data.read("train", index)[1] for index in range(5)] == [5, 0, 4, 1, 9]
