"""The data set `npz`: NumPy's files with the names that Keras gives its arrays."""

import zipfile

import numpy as np
import pytest

from keras_azure.data import open_dataset
from keras_azure.data.formats.npz import arrays_of_splits
from keras_azure.data.locate import find_dataset
from keras_azure.errors import DataError, UnreadableFile

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 8, 6), np.uint8)
Y = np.arange(40) % 4


@pytest.fixture
def opened(tmp_path, listener):
    def write_and_open(save=np.savez, **arrays):
        save(tmp_path / "data.npz", **arrays)
        return open_dataset(find_dataset(str(tmp_path / "data.npz")), listener)

    return write_and_open


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_as_keras_has_it(opened, save, listener, tmp_path):
    dataset = opened(save, x_train=X, y_train=Y, x_test=X[:8], y_test=Y[:8])
    assert dataset.split_sizes == {"train": 40, "test": 8}
    assert dataset.class_names == ("0", "1", "2", "3")
    assert np.array_equal(dataset.arrays("train")[0][..., 0], X)
    assert dataset.read("test", 5)[1] == 1
    expected = f"NumPy file {tmp_path}/data.npz: 40 training and 8 test pictures of 8x6x1 in 4 classes"
    assert dataset.description == expected
    assert listener.messages == []


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("X", "Y"), ("train_images", "train_labels")])
def test_one_split_is_divided(opened, listener, names):
    dataset = opened(**dict(zip(names, (X, np.array(["ant", "bee"])[Y % 2]), strict=True)))
    assert dataset.class_names == ("ant", "bee")
    assert dataset.split_sizes == {"train": 32, "test": 8}
    assert "held out" in listener.messages[0]


def test_what_else_is_in_the_file_is_said(opened, listener):
    opened(x_train=X, y_train=Y, x_test=X, y_test=Y, ids=Y, x_val_mask=X)
    assert listener.messages == [
        "Of data.npz these arrays are neither images nor labels, and not used: 'ids', 'x_val_mask'"
    ]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["x_train", "y_train"], {"train": ("x_train", "y_train")}),
        (["y_test", "x_test", "Y_train", "X_train"], {"test": ("x_test", "y_test"), "train": ("X_train", "Y_train")}),
        (
            ["train_images", "train_labels", "val_images", "val_labels"],
            {"train": ("train_images", "train_labels"), "validation": ("val_images", "val_labels")},
        ),
        (["image", "label", "other"], {"train": ("image", "label")}),
    ],
)
def test_names_of_arrays(names, found):
    assert arrays_of_splits(names, "It") == found


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "It has no images to train on: its arrays are none"),
        (["a", "b"], "its arrays are 'a', 'b'"),
        (["x_test", "y_test"], "It has no images to train on"),
        (["x_train"], "has 'x_train' and no labels with it"),
        (["y"], "has 'y' and no images with it"),
        (["x", "x_train", "y"], "'x' and 'x_train', which could be the same"),
    ],
)
def test_names_that_are_refused(names, message):
    with pytest.raises(DataError, match=message):
        arrays_of_splits(names, "It")


def test_python_objects_are_not_unpickled(opened):
    with pytest.raises(UnreadableFile, match="y has Python objects, which are not unpickled"):
        opened(x=X, y=np.array([0, "a"] * 20, object))


def test_a_header_may_not_announce_more_than_there_is(opened, tmp_path, listener):
    opened(x=X, y=Y)
    with zipfile.ZipFile(tmp_path / "data.npz") as file:
        contents = {name: file.read(name) for name in file.namelist()}
    contents["x.npy"] = contents["x.npy"].replace(b"(40, 8, 6), ", b"(40000000000, 8, 6), ")[:128] + bytes(8)
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as file:
        for name, content in contents.items():
            file.writestr(name, content)
    with pytest.raises(UnreadableFile):
        open_dataset(find_dataset(str(tmp_path / "data.npz")), listener)


def test_a_file_that_is_cut_off_or_none_at_all(tmp_path, listener, opened):
    opened(x=X, y=Y)
    path = tmp_path / "data.npz"
    for content in (path.read_bytes()[:1000], b"", b"no zip"):
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match=r"The NumPy file .*data.npz cannot be read: it is damaged"):
            open_dataset(find_dataset(str(path)), listener)


def test_it_is_found_and_uploaded(opened, tmp_path, listener):
    opened(x=X, y=Y)
    spec = find_dataset(str(tmp_path / "data.npz"))
    assert spec.name == "npz"
    from keras_azure.data.local_files import local_files
    from keras_azure.registry.registry import DATASETS

    (file,) = local_files(spec, DATASETS.build(spec), listener)
    assert (file.name, file.path) == ("data.npz", tmp_path / "data.npz")
