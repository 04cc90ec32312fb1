"""Augmentations of other packages in the pipeline: as they are, with draws that follow from the sample alone."""

import numpy as np
import pytest

from keras_azure.augmentations import build_augment
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin
from keras_azure.pipeline import batches

PLUGIN = """
    import keras
    import tensorflow as tf

    def noisy():
        return keras.layers.GaussianNoise(10.0)

    def negative():
        return lambda images: 255.0 - images

    def halve():
        return lambda images: images / 2

    def triple():
        return lambda images: images * 3 - 100

    def relabel():
        return lambda data: {"images": data["images"], "labels": tf.reverse(data["labels"], [1])}

    def shrink():
        return lambda images: images[:, ::2]

    def fail():
        def augment(images):
            raise RuntimeError("no good")
        return augment
"""
ENTRIES = {
    "augmentations": """
keras-brightness = keras.layers:RandomBrightness
keras-rotation = keras.layers:RandomRotation
negative = some_augmentations:negative
halve = some_augmentations:halve
triple = some_augmentations:triple
relabel = some_augmentations:relabel
shrink = some_augmentations:shrink
fail = some_augmentations:fail
"""
}
SHAPE, CLASSES = (8, 8, 3), 2


@pytest.fixture
def plugins(install_plugin):
    install_plugin("some-augmentations", ENTRIES, PLUGIN)


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(0)
    split = (rng.integers(0, 256, (12, *SHAPE), np.uint8), np.arange(12) % CLASSES)
    return open_source(ArrayDataset(("a", "b"), {"train": split, "test": split}, "random"), "train", Observer())


def augmented(source, specs, *, batch_size=4, seed=0, steps=None, first_step=0) -> tuple[np.ndarray, np.ndarray]:
    stream = batches(
        source,
        np.arange(source.size),
        batch_size=batch_size,
        seed=seed,
        steps=steps,
        first_step=first_step,
        augment=build_augment(specs, SHAPE, CLASSES),
    )
    images, labels = zip(*[(images.numpy(), labels.numpy()) for images, labels in stream], strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_a_function_of_pictures(plugins, source):
    plain, labels = augmented(source, ())
    images, same_labels = augmented(source, ["negative"])
    np.testing.assert_array_equal(images, 255.0 - plain)
    np.testing.assert_array_equal(labels, same_labels)


def test_a_function_of_pictures_and_labels(plugins, source):
    plain, labels = augmented(source, ())
    images, other_labels = augmented(source, ["relabel"])
    np.testing.assert_array_equal(images, plain)
    np.testing.assert_array_equal(other_labels, labels[:, ::-1])


def test_they_keep_their_order(plugins, source):
    brighter = "keras-brightness(factor=(0.2, 0.2))"
    one, _ = augmented(source, ["negative", brighter])
    other, _ = augmented(source, [brighter, "negative"])
    assert np.abs(one - other).max() > 40


@pytest.mark.parametrize("spec", ["keras-brightness(factor=0.5)", "keras-rotation(factor=0.3)"])
def test_draws_of_keras_layers_depend_on_the_sample_alone(plugins, source, spec):
    images, _ = augmented(source, [spec], steps=6)  # two epochs of three steps
    again, _ = augmented(source, [spec], steps=6)
    np.testing.assert_array_equal(images, again)
    in_other_batches, _ = augmented(source, [spec], batch_size=3, steps=8)
    np.testing.assert_array_equal(images, in_other_batches)
    second_epoch, _ = augmented(source, [spec], first_step=3, steps=3)
    np.testing.assert_array_equal(images[12:], second_epoch)


def test_samples_epochs_and_seeds_draw_differently(plugins, source):
    plain, _ = augmented(source, (), steps=6)
    images, _ = augmented(source, ["keras-brightness(factor=0.5)"], steps=6)
    shifts = {np.round(np.median(image - before)) for image, before in zip(images, plain, strict=True)}
    assert len(shifts) > 12  # of 24 draws; some clip to 0 or 255 or come out nearly equal
    other_seed, _ = augmented(source, ["keras-brightness(factor=0.5)"], seed=1, steps=6)
    assert np.abs(np.sort(images.mean((1, 2, 3))) - np.sort(other_seed.mean((1, 2, 3)))).max() > 1


def test_between_two_of_ours_each_is_done_in_its_place(plugins, source):
    plain, labels = augmented(source, ())
    images, other_labels = augmented(source, ["flip(probability=1.0)", "relabel", "negative", "posterize(bits=1)"])
    expected = np.where(255 - plain[:, :, ::-1] >= 128, 128, 0)
    np.testing.assert_array_equal(images, expected)
    np.testing.assert_array_equal(other_labels, labels[:, ::-1])


def test_fractions_of_a_level_are_rounded_before_one_of_ours(plugins, source):
    plain, _ = augmented(source, ())
    halved, _ = augmented(source, ["halve"])
    np.testing.assert_array_equal(halved, plain / 2)
    images, _ = augmented(source, ["halve", "solarize(threshold=256)"])
    np.testing.assert_array_equal(images, np.floor(plain / 2 + 0.5))
    images, _ = augmented(source, ["triple", "solarize(threshold=256)"])
    np.testing.assert_array_equal(images, np.clip(plain * 3.0 - 100, 0, 255))


def test_another_shape_is_refused(plugins):
    with pytest.raises(BrokenPlugin, match=r"(?s)shrink makes pictures of \(4, 8, 3\).*same shape"):
        build_augment(["shrink"], SHAPE, CLASSES)


def test_a_failing_one_is_named(plugins):
    with pytest.raises(BrokenPlugin, match=r"fail cannot take pictures.*no good"):
        build_augment(["fail"], SHAPE, CLASSES)
