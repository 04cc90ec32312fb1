"""Images and labels in arrays, as people have them: what is the same data set, and what is refused."""

import numpy as np
import pytest

from keras_azure.data import open_dataset
from keras_azure.description.config import RunConfig, describe_run
from keras_azure.errors import ConfigError, DataError, SpecError

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 8, 6), np.uint8)
Y = np.arange(40) % 4
NAMES = np.array(["ant", "bee", "cat", "dog"])


def opened(data, listener, **settings):
    return open_dataset(describe_run("cnn", None, {"data": data, **settings}).data, listener)


def all_of(dataset):
    return {split: [part.tolist() for part in dataset.arrays(split)] for split in dataset.split_sizes}


@pytest.mark.parametrize(
    "images",
    [
        X[..., np.newaxis],
        X / 255,
        X / np.float32(255),
        (X / np.float16(255)).astype(np.float16),
        X * np.float32(1 / 255),
        X.astype(np.float32),
        X.astype(np.int64),
        X.tolist(),
        list(X),
        X[::-1][::-1],
    ],
    ids=["channel", "0..1", "float32", "float16", "times", "whole", "int64", "lists", "list", "view"],
)
def test_images_that_are_levels_are_the_same_data(listener, images):
    assert all_of(opened((images, Y), listener)) == all_of(opened((X, Y), listener))


@pytest.mark.parametrize(
    "labels", [Y.astype(np.uint8), Y[:, np.newaxis], Y.astype(float), np.eye(4)[Y], np.eye(4)[Y] > 0]
)
def test_labels_that_are_numbers_are_the_same_data(listener, labels):
    dataset = opened((X, labels), listener)
    assert dataset.class_names == ("0", "1", "2", "3")
    assert all_of(dataset) == all_of(opened((X, Y), listener))


@pytest.mark.parametrize("labels", [NAMES[Y], NAMES[Y].astype(object), NAMES[Y].astype("S"), NAMES[Y].tolist()])
def test_labels_that_are_texts_name_the_classes(listener, labels):
    dataset = opened((X, labels), listener)
    assert dataset.class_names == ("ant", "bee", "cat", "dog")
    assert all_of(dataset) == all_of(opened((X, Y), listener))


def test_numbers_that_are_no_indices_are_said(listener):
    dataset = opened((X, Y * 10 + 1), listener)
    assert dataset.class_names == ("1", "11", "21", "31")
    assert "The labels are 1, 11, 21, ..., 31: the classes are called so" in listener.messages[0]


def test_test_images_are_held_out_and_that_is_said(listener):
    dataset = opened((X, Y), listener)
    assert dataset.split_sizes == {"train": 32, "test": 8}
    assert listener.messages == []
    assert dataset.description == (
        "arrays: 32 training and 8 test pictures of 8x6x1 in 4 classes; the test images are held out of the training "
        "images"
    )


def test_two_pairs_and_three(listener):
    dataset = opened(((X, Y), (X[:8], Y[:8])), listener)
    assert listener.messages == []
    assert dataset.split_sizes == {"train": 40, "test": 8}
    more = opened(((X, Y), (X[:4], Y[:4]), (X[:8], Y[:8])), listener)
    assert more.split_sizes == {"train": 40, "validation": 4, "test": 8}


def test_the_size_of_images_can_be_another(listener):
    assert opened((X, Y), listener, image_size=(4, 5)).image_shape == (4, 5, 1)


def test_parts_of_255_are_said(listener):
    opened((X / 255, Y), listener)
    assert listener.messages[0] == "The images have values from 0 to 1: they are taken for levels divided by 255"


def test_masks_of_truth_are_black_and_white(listener):
    dataset = opened(((X > 9, Y), (X > 9, Y)), listener)
    assert set(dataset.arrays("train")[0].ravel().tolist()) == {0, 255}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X / 100, Y), "float64 with values such as .*, which is no level of 255"),
        ((X / 127.5 - 1, Y), "values from -1.0 to 1.0, which are no levels"),
        ((np.where(X > 3, np.nan, 1.0), Y), "values from nan to nan"),
        ((X.astype(np.uint16) * 257, Y), "uint16 with values from 0 to 65535"),
        ((X + 0j, Y), "of type complex128"),
        ((np.repeat(X[..., None], 4, -1), Y), r"shape \(40, 8, 6, 4\)"),
        ((X.reshape(40, -1), Y), r"shape \(40, 48\)"),
        (([X[0], X[1, :3]], [0, 1]), "make no NumPy array"),
        ((X, Y[:3]), "40 of the images to train, and 3 of the labels to train"),
        ((X[:0], Y[:0]), "are empty"),
        ((X, Y * 0), "classes of arrays"),
        ((X, np.where(Y, Y, np.nan)), "labels to train are float64 with nan among them"),
        ((X, np.full((40, 4), 2.0)), "their rows are not one 1"),
        ((X, Y[:, None, None]), r"shape \(40, 1, 1\)"),
        ((X, np.array([None, "a"] * 20)), "of type object"),
        ((X, np.array([b"\xff", b"a"] * 20)), "are of type"),
        ((X, ["a\x1b", "b"] * 20), "control characters"),
        ((X, ["", "b"] * 20), "is empty"),
        (((X, Y), (X, Y + 1)), "A class of the labels to test, 4, is none of the labels to train"),
        (((X, Y), (X, NAMES[Y])), "of different kinds"),
        (((X, Y), (X[:, :3], Y)), "differ in shape"),
        ((X[:4], Y[:4]), "has just one image"),
    ],
)
def test_what_is_refused(listener, data, message):
    with pytest.raises(DataError, match=message):
        opened(data, listener)


@pytest.mark.parametrize("data", [X, (X, Y, X, Y), (X,), (X, 5), [(X, Y)]])
def test_what_is_no_images_and_labels(data):
    with pytest.raises(ConfigError, match="The data is a"):
        RunConfig("cnn", data=data)


def test_a_data_set_of_ones_own_can_be_given(listener):
    from keras_azure.data.arrays import ArrayDataset

    mine = ArrayDataset(["a", "b"], dict.fromkeys(("train", "test"), (X[..., None], Y % 2)), "mine")
    assert opened(mine, listener) is mine
    assert opened(lambda: mine, listener) is mine


def test_the_description_says_what_the_data_was_and_no_text_brings_it_back(tmp_path):
    config = describe_run("cnn", None, {"data": ((X, NAMES[Y]), (X, NAMES[Y]))})
    text = "<arrays:train (40, 8, 6) uint8 and (40,) text; test (40, 8, 6) uint8 and (40,) text>"
    assert config.data == text
    assert config.python_texts() == [text]
    (tmp_path / "run.json").write_text(config.to_json())
    with pytest.raises(SpecError, match="was an object of a Python program"):
        describe_run(None, tmp_path / "run.json", {})
    assert describe_run(None, tmp_path / "run.json", {"data": ((X, NAMES[Y]), (X, NAMES[Y]))}) == config
