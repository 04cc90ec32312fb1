"""Augmented pictures and labels are functions of (seed, epoch, sample index), whatever reads and computes them."""

from types import MappingProxyType

import numpy as np
import pytest
import tensorflow as tf

import keras_azure.data.source as source_module
from keras_azure.augmentations import build_augment
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.pipeline import batches

SHAPE, CLASSES, COUNT = (9, 7, 3), 4, 20
RNG = np.random.default_rng(0)
PICTURES, NUMBERS = RNG.integers(0, 256, (COUNT, *SHAPE), np.uint8), np.arange(COUNT) % CLASSES

LISTS = {
    "chapter": ["chapter"],
    "colours": ["brightness", "hue"],
    "filters": ["blur", "noise"],
    "mixup": ["mixup"],
    "cutmix": ["chapter", "cutmix"],
    "policy": ["randaugment(num_ops=1)"],
    "foreign": ["rotate", "keras-brightness(factor=0.3)", "hue"],
    "last foreign": ["contrast", "cutmix", "keras-brightness(factor=0.3)"],
}


@pytest.fixture(autouse=True)
def foreign(install_plugin):
    install_plugin("some-layers", {"augmentations": "keras-brightness = keras.layers:RandomBrightness"})


@pytest.fixture(scope="module")
def source():
    return source_of(PICTURES)


def source_of(pictures: np.ndarray) -> source_module.Source:
    split = (pictures, NUMBERS)
    return open_source(ArrayDataset(tuple("abcd"), {"train": split, "test": split}, "random"), "train", Observer())


class OnDisk:
    """The same pictures, read one by one."""

    class_names, image_shape, description = tuple("abcd"), SHAPE, "on disk"
    split_sizes = MappingProxyType({"train": COUNT, "test": COUNT})

    def read(self, split: str, index: int):
        return PICTURES[index], int(NUMBERS[index])


def augmented(source, specs, *, batch_size=8, seed=3, steps=None, first_step=0, threads=None, **others):
    """Pictures and labels of two epochs, or of the asked steps, in their order."""
    stream = batches(
        source,
        np.arange(COUNT),
        batch_size=batch_size,
        seed=seed,
        steps=steps or 2 * -(-COUNT // batch_size),
        first_step=first_step,
        augment=build_augment(specs, SHAPE, CLASSES),
        **others,
    )
    if threads is not None:
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        stream = stream.with_options(options)
    images, labels = zip(*[(images.numpy(), labels.numpy()) for images, labels in stream], strict=True)
    return np.concatenate(images), np.concatenate(labels)


def assert_same(mine, theirs):
    for first, second in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("specs", LISTS.values(), ids=LISTS.keys())
def test_pictures_follow_from_seed_epoch_and_sample(source, specs, monkeypatch):
    expected = augmented(source, specs)
    assert expected[0].shape == (2 * COUNT, *SHAPE)
    plain = augmented(source, ())
    assert (expected[0] != plain[0]).any(axis=(1, 2, 3)).mean() > 0.5
    np.testing.assert_allclose(expected[1].sum(axis=1), 1, atol=1e-6)

    assert_same(augmented(source, specs), expected)
    for threads in (1, 4):
        assert_same(augmented(source, specs, threads=threads), expected)
    assert_same(augmented(source, specs, batch_size=5), expected)
    late = augmented(source, specs, batch_size=5, first_step=3, steps=4)
    assert_same(late, [each[15:35] for each in expected])
    monkeypatch.setattr(source_module, "SHARE_OF_MEMORY", 0.0)
    streaming = open_source(OnDisk(), "train", Observer())
    assert streaming.pictures is None
    assert_same(augmented(streaming, specs), expected)


@pytest.mark.parametrize("name", ["chapter", "colours", "cutmix", "foreign"])
def test_endless_batches_have_the_same_pictures(source, name):
    expected = augmented(source, LISTS[name])
    endless = augmented(source, LISTS[name], steps=5, endless=True)  # the third batch spans both epochs
    assert_same(endless, expected)


@pytest.mark.parametrize("name", ["chapter", "colours", "filters", "cutmix", "trivialaugment", "foreign"])
def test_other_seeds_epochs_and_samples_draw_others(name):
    specs = LISTS.get(name, [name])
    same = source_of(np.broadcast_to(PICTURES[0], PICTURES.shape).copy())  # what differs is drawn
    images, _ = augmented(same, specs)
    others, _ = augmented(same, specs, seed=4)
    both = np.concatenate([images, others])
    different = len(np.unique(both.reshape(len(both), -1), axis=0))
    # Some of a policy's augmentations have no strength, or few, and some draws leave a picture as it is.
    assert different > (0.6 if name == "trivialaugment" else 0.9) * len(both)


def test_what_is_mixed_in_is_drawn_by_seed_and_epoch(source):
    labels = augmented(source, ["mixup(alpha=1.0)"])[1]
    again = augmented(source, ["mixup(alpha=1.0)"], seed=4)[1]
    assert len(np.unique(np.concatenate([labels, again]), axis=0)) > 60  # of 80


def test_two_equal_augmentations_draw_by_themselves(source):
    once, _ = augmented(source, ["shift(horizontal=0.4, vertical=0.0)"])
    twice, _ = augmented(source, ["shift(horizontal=0.4, vertical=0.0)"] * 2)
    back, _ = augmented(source, ["flip(probability=0.5)"] * 2)
    plain, _ = augmented(source, ())
    assert (once != twice).any()
    assert 0.2 < (back != plain).any(axis=(1, 2, 3)).mean() < 0.8  # not each flip undone by the next


@pytest.mark.parametrize("name", ["chapter", "filters", "cutmix", "foreign", "last foreign"])
def test_pictures_are_whole_levels_unless_a_foreign_one_is_last(source, name):
    images, labels = augmented(source, LISTS[name], steps=1)
    assert images.dtype == (np.float32 if name == "last foreign" else np.uint8)
    assert labels.dtype == np.float32


def test_the_pictures_of_the_source_stay_as_they_are(source):
    augmented(source, ["invert(probability=1.0)", "chapter", "equalize"])
    np.testing.assert_array_equal(source.pictures, PICTURES)


def test_a_large_seed_is_one(source):
    images, _ = augmented(source, ["chapter"], seed=2**31 - 1)
    others, _ = augmented(source, ["chapter"], seed=2**31 - 2)
    assert (images != others).any()


def test_pictures_of_one_channel():
    gray = PICTURES[..., :1].copy()
    split = (gray, NUMBERS)
    one = open_source(ArrayDataset(tuple("abcd"), {"train": split, "test": split}, "gray"), "train", Observer())
    augment = build_augment(["chapter", "hue", "brightness", "saturation"], (9, 7, 1), CLASSES)
    images = np.concatenate([x for x, _ in batches(one, np.arange(COUNT), batch_size=6, augment=augment)])
    assert images.shape == gray.shape
    assert (images != gray).any(axis=(1, 2, 3)).all()
