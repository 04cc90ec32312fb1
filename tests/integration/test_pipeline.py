"""The order and the content of batches are functions of (seed, epoch, sample index) and of nothing else."""

import itertools
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_azure.data.source as source_module
import keras_azure.pipeline as pipeline
from keras_azure.augmentations.draws import words
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.errors import UnreadableFile
from keras_azure.pipeline import batches, samples_of_step, steps_in_epoch


def numbered(count: int) -> ArrayDataset:
    """A data set whose picture number i has the value i % 256 in every pixel, and the label i % 3."""
    pictures = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 3, 1)).copy()
    split = (pictures, np.arange(count) % 3)
    return ArrayDataset(("a", "b", "c"), {"train": split, "test": split}, "numbered pictures")


@pytest.fixture(scope="module")
def source():
    return open_source(numbered(23), "train", Observer())


def values(dataset) -> list[list[int]]:
    """The number of each picture, by batch."""
    return [images.numpy()[:, 0, 0, 0].tolist() for images, _ in dataset]


def flat(stream: list[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(stream))


def test_in_order_without_a_seed(source):
    assert values(batches(source, np.arange(23), batch_size=10)) == [[*range(10)], [*range(10, 20)], [20, 21, 22]]


def test_pictures_keep_their_pixels_and_labels_are_one_hot(source):
    images, labels = next(iter(batches(source, np.arange(23), batch_size=4)))
    assert images.shape == (4, 2, 3, 1)
    assert images.dtype == np.uint8
    assert (images.numpy() == np.arange(4)[:, None, None, None]).all()
    assert labels.numpy().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), batch_size=st.integers(1, 30), used=st.integers(1, 23))
def test_every_epoch_has_each_sample_once_in_another_order(source, seed, batch_size, used):
    samples = np.arange(used)
    steps = steps_in_epoch(used, batch_size)
    stream = values(batches(source, samples, batch_size=batch_size, seed=seed, steps=3 * steps))
    epochs = [flat(stream[epoch * steps : (epoch + 1) * steps]) for epoch in range(3)]
    assert all(sorted(epoch) == [*range(used)] for epoch in epochs)
    if used > 12:  # 12! orders: two equal ones mean that the epoch is not in the shuffle
        assert epochs[0] != epochs[1] != epochs[2]


def test_the_order_does_not_depend_on_the_batch_size(source):
    by_size = [flat(values(batches(source, np.arange(23), batch_size=size, seed=7))) for size in (1, 5, 23)]
    assert by_size[0] == by_size[1] == by_size[2]


def test_seeds_give_different_orders(source):
    orders = {tuple(values(batches(source, np.arange(23), batch_size=23, seed=seed))[0]) for seed in range(50)}
    assert len(orders) == 50


def test_the_keys_of_the_shuffle_are_the_ciphers_words():
    epochs = np.arange(5)
    drawn = words(7, epochs, np.zeros(5, np.int64), pipeline._SHUFFLE_STREAM, 3)
    np.testing.assert_array_equal(pipeline._shuffle_keys(7, epochs), drawn)


def test_an_order_cannot_be_told_from_chance():
    """Over many seeds and epochs, how an order goes with the places, with its neighbours and with the next epoch's is
    what it is in random orders: each correlation, times the root of the count, has the variance 1."""
    count, orders = 1437, []
    for seed in range(40):
        options = {"batch_size": count, "seed": seed, "endless": False}
        orders += [samples_of_step(np.arange(count), epoch, **options) for epoch in range(5)]
    pairs = {
        "places": [(order, np.arange(count)) for order in orders],
        "neighbours": [(order[1:], order[:-1]) for order in orders],
        "next epoch": list(itertools.pairwise(orders)),
    }
    for name, each in pairs.items():
        squares = [count * np.corrcoef(one, other)[0, 1] ** 2 for one, other in each]
        assert 0.6 < np.mean(squares) < 1.5, name  # of 200: with the standard deviation 0.1
        assert max(squares) < 20, name


@pytest.mark.parametrize("endless", [False, True])
def test_any_step_is_reached_without_what_came_before(source, endless):
    options = {"batch_size": 4, "seed": 3, "endless": endless}
    whole = values(batches(source, np.arange(23), steps=20, **options))
    assert values(batches(source, np.arange(23), first_step=13, steps=7, **options)) == whole[13:]


def test_endless_batches_are_full_and_cross_the_end_of_the_data(source):
    stream = values(batches(source, np.arange(23), batch_size=10, seed=1, endless=True, steps=23))
    assert {len(batch) for batch in stream} == {10}
    rounds = np.reshape(flat(stream), (10, 23))
    assert all(sorted(numbers) == [*range(23)] for numbers in rounds.tolist())


def test_a_subset_gives_only_its_samples(source):
    stream = values(batches(source, np.array([3, 5, 8]), batch_size=2, seed=0, steps=4))
    assert set(flat(stream)) == {3, 5, 8}


class OnDisk:
    """A data set without arrays, which is read sample by sample."""

    class_names = ("a", "b", "c")
    image_shape = (2, 3, 1)
    split_sizes = MappingProxyType({"train": 23, "test": 1})
    description = "on disk"

    def __init__(self, broken: int | None = None):
        self.broken = broken

    def read(self, split: str, index: int):
        if index == self.broken:
            raise UnreadableFile("the file number 5 is damaged")
        return np.full(self.image_shape, index, np.uint8), index % 3


@pytest.mark.parametrize("memory_share", [source_module.SHARE_OF_MEMORY, 0.0])
def test_held_in_memory_or_read_when_needed_the_batches_are_equal(source, monkeypatch, memory_share):
    monkeypatch.setattr(source_module, "SHARE_OF_MEMORY", memory_share)
    on_disk = open_source(OnDisk(), "train", Observer())
    assert (on_disk.pictures is not None) == bool(memory_share)
    for mine, theirs in zip(
        batches(on_disk, np.arange(23), batch_size=4, seed=9, steps=9),
        batches(source, np.arange(23), batch_size=4, seed=9, steps=9),
        strict=True,
    ):
        assert (mine[0].numpy() == theirs[0].numpy()).all()
        assert (mine[1].numpy() == theirs[1].numpy()).all()


def test_reading_everything_reports_progress():
    heard = []

    class Listener(Observer):
        def advance(self, activity, done, total):
            heard.append((activity, done, total))

    open_source(OnDisk(), "train", Listener())
    assert heard == [("Reading train pictures", done, 23) for done in range(1, 24)]


def test_an_unreadable_picture_stops_at_once_when_all_are_read():
    with pytest.raises(UnreadableFile, match="number 5"):
        open_source(OnDisk(broken=5), "train", Observer())


def test_an_unreadable_picture_of_a_stream_is_remembered(monkeypatch):
    monkeypatch.setattr(source_module, "SHARE_OF_MEMORY", 0.0)
    source = open_source(OnDisk(broken=5), "train", Observer())
    with pytest.raises(Exception, match="number 5"):
        values(batches(source, np.arange(23), batch_size=4))
    assert isinstance(source.failure, UnreadableFile)
