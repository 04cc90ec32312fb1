"""Data sets of other packages that give what their contract does not allow."""

import numpy as np
import pytest
from hypothesis import strategies as st

from keras_azure.data import open_dataset
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, DataError
from keras_azure.pipeline import batches

SHAPE = (3, 2, 1)
RIGHT = np.zeros(SHAPE, np.uint8), 0


class Odd:
    """Four samples of two classes; the one at index 2 is `odd`, or is raised."""

    class_names = ("a", "b")
    split_sizes = {"train": 4}  # noqa: RUF012
    image_shape = SHAPE
    description = "odd data"

    def __init__(self, odd):
        self.odd = odd

    def read(self, split, index):
        if index == 2 and isinstance(self.odd, BaseException):
            raise self.odd
        return self.odd if index == 2 else RIGHT


class Held(Odd):
    def arrays(self, split):
        if isinstance(self.odd, BaseException):
            raise self.odd
        return self.odd


def read_all(dataset, cache: str) -> list:
    """The labels, as a run reads them; an error in a stream is the original one."""
    source = open_source(dataset, "train", Observer(), cache)
    try:
        return [row for _, labels in batches(source, np.arange(4), batch_size=3) for row in labels.numpy().tolist()]
    except Exception:
        raise source.failure from None
    finally:
        source.streams.close()


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("label", [-1, 2, 10**30])
def test_a_label_of_no_class_is_named(cache, label):
    with pytest.raises(
        DataError, match=f"sample 2 of the split 'train' of odd data has the label {label}, and there are 2"
    ):
        read_all(Odd((RIGHT[0], label)), cache)


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize(
    ("odd", "found"),
    [
        ((np.zeros((2, 3, 1), np.uint8), 0), r"picture 2 .* is of type uint8 and shape \(2, 3, 1\)"),
        ((np.zeros((1, 1, 1), np.uint8), 0), r"picture 2 .* is of type uint8 and shape \(1, 1, 1\)"),
        ((np.zeros(SHAPE, np.float32), 0), r"picture 2 .* is of type float32"),
        (([[[0]] * 2] * 3, 0), "picture 2 .* is no array but of type list"),
        ((RIGHT[0], 1.0), "sample 2 .* cannot be read: TypeError"),
        ((RIGHT[0], "a"), "sample 2 .* cannot be read: TypeError"),
        (None, "sample 2 .* cannot be read: TypeError"),
        (KeyError("\x1b[31m"), r"sample 2 .* cannot be read: KeyError: '\\x1b\[31m'"),
        (ValueError("\x1b[31m"), r"sample 2 .* cannot be read: ValueError: \\x1b\[31m"),
        (IndexError("gone"), "sample 2 .* cannot be read: IndexError: gone"),
    ],
)
def test_what_breaks_the_contract_is_named(cache, odd, found):
    with pytest.raises(BrokenPlugin, match=f"The {found}"):
        read_all(Odd(odd), cache)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_labels_of_any_whole_type_are_taken(cache):
    assert read_all(Odd((RIGHT[0], np.int8(1))), cache) == [[1, 0], [1, 0], [0, 1], [1, 0]]


def test_all_arrays_and_labels(throw):
    """Whatever `arrays` gives is refused, or is read as it is."""
    types = st.sampled_from(["uint8", "int64", "int8", "uint64", "float32", "bool", "U1", "object"])
    shapes = st.one_of(st.just((4, *SHAPE)), st.just((4,)), st.lists(st.integers(0, 5), max_size=5).map(tuple))
    arrays = st.builds(lambda kind, shape, value: np.full(shape, value).astype(kind), types, shapes, st.integers(-2, 9))
    right = st.sampled_from([np.zeros((4, *SHAPE), np.uint8), np.array([0, 1, 1, 0]), np.array([0, 1, 2, 0])])
    given = st.one_of(arrays, right, st.none(), st.integers(), st.just(ValueError("\x1b")), st.text())

    def parse(both):
        labels = read_all(Held(both), "auto")
        assert [sum(row) for row in labels] == [1] * 4

    throw(st.one_of(st.tuples(given, given), given), parse)


def test_all_samples(throw):
    labels = st.one_of(st.integers(-3, 3), st.integers(), st.floats(), st.text(), st.none(), st.booleans())
    pictures = st.one_of(
        st.just(RIGHT[0]),
        st.builds(
            np.zeros, st.lists(st.integers(0, 4), max_size=5), st.sampled_from(["uint8", "int8", "float32", "U1"])
        ),
        st.text(),
    )
    errors = st.sampled_from([ValueError("\x1b[31m"), IndexError(), OSError(5, "no"), RecursionError(), MemoryError()])

    def parse(odd):
        labels = read_all(Odd(odd), "memory")
        assert [sum(row) for row in labels] == [1] * 4

    throw(st.one_of(st.tuples(pictures, labels), errors, st.none(), st.text()), parse)


def test_what_is_no_data_set_is_told(install_plugin):
    install_plugin("kaz-odd", {"datasets": "odd = kaz_odd:odd"}, "def odd(): return 3")
    with pytest.raises(BrokenPlugin, match="The data set odd gives a int, which has no class_names"):
        open_dataset("odd", Observer())
