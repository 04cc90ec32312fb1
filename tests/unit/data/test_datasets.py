"""The contract: ArrayDataset, open_dataset, the splits, and what importing the package loads."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_azure.data import open_dataset
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.memory import require_memory
from keras_azure.data.sizes import ResizedDataset, resized
from keras_azure.data.splits import described, stratified_split
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnknownName, WrongOption

PICTURES = np.arange(4 * 5 * 6 * 3, dtype=np.uint8).reshape(4, 5, 6, 3)
LABELS = np.array([0, 1, 1, 0])


def small(class_names=("cat", "dog"), **splits) -> ArrayDataset:
    return ArrayDataset(class_names, {"train": (PICTURES, LABELS), "test": (PICTURES[:1], [1]), **splits}, "small")


def test_an_array_dataset_gives_samples_by_index():
    data = small(validation=(PICTURES[:2], LABELS[:2]))
    assert data.class_names == ("cat", "dog")
    assert data.split_sizes == {"train": 4, "validation": 2, "test": 1}
    assert data.image_shape == (5, 6, 3)
    assert data.description == "small"
    picture, label = data.read("train", 2)
    assert np.array_equal(picture, PICTURES[2])
    assert (label, type(label)) == (1, int)
    pictures, labels = data.arrays("train")
    assert np.array_equal(pictures, PICTURES)
    assert labels.dtype == np.int64


def test_nobody_can_change_the_samples_of_others():
    data = small()
    for array in (data.read("train", 0)[0], *data.arrays("train")):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert PICTURES.flags.writeable


@pytest.mark.parametrize("index", [-1, 4, 10**9])
def test_an_index_outside_the_split_is_an_index_error(index):
    for data in (small(), resized(small(), (8, 8))):
        with pytest.raises(IndexError, match=f"'train' has the samples 0 to 3, and not {index}"):
            data.read("train", index)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ["cat"]}, "The classes of small are 'cat'"),
        ({"class_names": []}, "The classes of small are none"),
        ({"class_names": ["cat", "cat"]}, "The classes of small are 'cat', 'cat'"),
        ({"tset": (PICTURES, LABELS)}, "The splits of small are 'train', 'test', 'tset'"),
        ({"train": (PICTURES / 255, LABELS)}, "'train' of small has pictures of type float64"),
        ({"train": (PICTURES[..., 0], LABELS)}, r"pictures of type uint8 and shape \(4, 5, 6\)"),
        ({"train": (PICTURES[..., :2], LABELS)}, r"pictures of type uint8 and shape \(4, 5, 6, 2\)"),
        ({"test": (PICTURES[:0], LABELS[:0])}, "'test' of small is empty"),
        ({"test": (PICTURES, LABELS[:3])}, r"'test' of small has labels of type int64 and shape \(3,\)"),
        ({"test": (PICTURES, LABELS / 1)}, "'test' of small has labels of type float64"),
        ({"test": (PICTURES, LABELS + 1)}, "'test' of small has labels from 1 to 2"),
        ({"test": (PICTURES, LABELS - 1)}, "'test' of small has labels from -1 to 0"),
        ({"test": (PICTURES[:, :4], LABELS)}, "The pictures of small differ in shape"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        small(**changes)


def test_a_data_set_needs_a_test_split():
    with pytest.raises(DataError, match="The splits of small are 'train'"):
        ArrayDataset(["a", "b"], {"train": (PICTURES, LABELS)}, "small")


def test_resizing_keeps_labels_and_is_left_out_where_nothing_changes():
    data = small()
    assert resized(data, None) is resized(data, (5, 6)) is data
    larger = resized(data, (10, 4))
    assert isinstance(larger, ResizedDataset)
    picture, label = larger.read("train", 1)
    assert (picture.shape, picture.dtype, label) == ((10, 4, 3), np.uint8, 1)


PLUGIN = """
    import numpy as np
    from keras_azure import ArrayDataset

    def squares(*, side: int = 4):
        pictures = np.zeros((6, side, side, 1), np.uint8)
        return ArrayDataset(["a", "b"], {"train": (pictures, [0, 1] * 3), "test": (pictures, [0, 1] * 3)}, "squares")

    class Slow:
        def prepare(self, observer):
            observer.message("preparing")
            self.class_names = ("a", "b")

    def slow():
        return Slow()
"""


@pytest.fixture
def plugin(install_plugin):
    install_plugin("my-squares", {"datasets": "squares = my_squares:squares\nslow = my_squares:slow"}, PLUGIN)


def test_a_strangers_data_set_is_opened_by_name(plugin):
    assert open_dataset("squares(side=7)", Observer()).image_shape == (7, 7, 1)
    with pytest.raises(WrongOption, match="has no option 'colour'"):
        open_dataset("squares(colour=1)", Observer())
    with pytest.raises(UnknownName, match="Did you mean 'squares'"):
        open_dataset("squarse", Observer())


def test_a_data_set_that_prepares_itself_does_so_before_it_is_given_out(plugin, listener):
    assert open_dataset("slow", listener).class_names == ("a", "b")
    assert listener.messages == ["preparing"]


def test_options_that_make_no_sense_are_wrong_usage():
    with pytest.raises(WrongOption, match="image_size is height and width"):
        open_dataset("digits(image_size=(0, 3))", Observer())
    with pytest.raises(WrongOption, match="test_split is a share above 0 and below 1"):
        open_dataset("folder(path='/', test_split=1.0)", Observer())


labels_of_samples = st.lists(st.integers(0, 5), min_size=1, max_size=200).map(np.array)
shares = st.floats(0.01, 0.99)


@given(labels_of_samples, shares)
def test_a_split_divides_all_samples_and_tests_every_class(labels, share):
    train, test = stratified_split(labels, share)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert np.array_equal(train, np.sort(train))
    assert np.array_equal(test, np.sort(test))
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        tested = np.count_nonzero(labels[test] == label)
        assert tested == 0 if count == 1 else 1 <= tested < count
        assert abs(tested - count * share) <= 1


@given(labels_of_samples, shares)
def test_a_split_is_the_same_every_time_whatever_the_random_state(labels, share):
    first = stratified_split(labels, share)
    np.random.seed(5)
    assert all(np.array_equal(*pair) for pair in zip(first, stratified_split(labels, share), strict=True))


def test_a_split_is_the_same_on_every_machine():
    _, test = stratified_split(np.arange(40) % 2, 0.2)
    assert test.tolist() == [8, 16, 19, 21, 24, 31, 34, 39]  # changing these changes what all users test on


def test_the_test_share_is_right_in_all_although_classes_are_small():
    _, test = stratified_split(np.arange(1000) // 4, 0.3)  # 1.2 of each class of 4
    assert len(test) == 300


def test_a_description_names_every_split():
    assert (
        described("x", {"train": 3, "test": 1}, (2, 4, 1), 2)
        == "x: 3 training and 1 test pictures of 2x4x1 in 2 classes"
    )
    assert described("x", {"train": 3, "validation": 2, "test": 1}, (2, 4, 3), 2).startswith(
        "x: 3 training, 2 validation and 1 test pictures of 2x4x3"
    )


def test_what_does_not_fit_in_memory_is_refused():
    require_memory(1000, "it")
    with pytest.raises(DataError, match=r"^The pile needs 1000000\.0 GB of memory, and \d+\.\d GB are free"):
        require_memory(10**15, "The pile")


def test_importing_the_package_loads_numpy_at_most():
    code = "import keras_azure.data.arrays, sys; print([m for m in %r if m in sys.modules])"
    heavy = ["tensorflow", "tensorflow_datasets", "keras", "sklearn", "PIL", "psutil", "scipy", "pandas"]
    done = subprocess.run([sys.executable, "-c", code % heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
