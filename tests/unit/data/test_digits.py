import numpy as np
import pytest

from keras_azure.data.digits import digits
from keras_azure.data.named import Digits


def test_the_digits_are_there_without_a_network():
    data = digits()
    assert data.class_names == tuple("0123456789")
    assert data.split_sizes == {"train": 1437, "test": 360}
    assert data.image_shape == (28, 28, 1)
    assert data.description == "digits: 1437 training and 360 test pictures of 28x28x1 in 10 classes"


def test_pictures_use_the_whole_range_and_labels_every_class():
    data = digits()
    for split, size in data.split_sizes.items():
        pictures, labels = data.arrays(split)
        assert pictures.shape == (size, 28, 28, 1)
        assert pictures.dtype == np.uint8
        assert pictures.min() == 0
        assert pictures.max() == 255
        assert set(labels) == set(range(10))


def test_the_split_is_stratified_and_always_the_same():
    np.random.seed(1)
    first = digits().arrays("test")
    np.random.seed(2)
    second = digits().arrays("test")
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))
    assert np.bincount(first[1]).tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]


def test_pictures_can_have_another_size():
    data = digits(image_size=(32, 20))
    picture, label = data.read("test", 0)
    assert data.image_shape == picture.shape == (32, 20, 1)
    assert picture.dtype == np.uint8
    assert label == digits().read("test", 0)[1]
    assert data.description.endswith("resized to 32x20")


@pytest.mark.parametrize("image_size", [(0, 28), (28, 10_001), (-1, -1)])
def test_impossible_sizes_are_refused(image_size):
    with pytest.raises(ValueError, match="image_size is height and width, each from 1 to 10000"):
        Digits(image_size=image_size)
