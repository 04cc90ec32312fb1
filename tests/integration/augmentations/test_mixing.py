"""Two pictures become one, and their labels agree with what is left of each."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras.src.utils.backend_utils import DynamicBackend

from keras_azure.augmentations import build_augment
from keras_azure.augmentations.arrays import NUMPY, of_engine
from keras_azure.augmentations.mixing import CutMix, MixUp
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.pipeline import batches

TENSORFLOW = of_engine(DynamicBackend("tensorflow"))
SHAPE = (10, 16, 3)
# Each picture is of one level, and the only one of its class: a pixel tells where it is from.
COLOURS = np.array([10, 60, 110, 160, 210, 250], np.uint8)
IMAGES = np.broadcast_to(COLOURS[:, None, None, None], (6, *SHAPE)).copy()
LABELS = np.eye(6, dtype=np.float32)


def check_mixed_up(images: np.ndarray, labels: np.ndarray) -> None:
    """Every level is the mean of the colours in the shares of the label."""
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    assert (labels >= 0).all()
    expected = labels @ COLOURS.astype(np.float32)
    np.testing.assert_allclose(images, np.broadcast_to(expected[:, None, None, None], images.shape), atol=0.51)


def check_cut(images: np.ndarray, labels: np.ndarray) -> None:
    """Each colour has so much of the area as the label says, and the other picture is one rectangle."""
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    areas = np.stack([(images[..., 0] == colour).mean(axis=(1, 2)) for colour in COLOURS], axis=1)
    np.testing.assert_allclose(labels, areas, atol=1e-6)


@pytest.mark.parametrize(("layer", "check"), [(MixUp(alpha=1.0, seed=1), check_mixed_up), (CutMix(seed=1), check_cut)])
def test_labels_agree_with_pictures(layer, check):
    mixed_at_all = 0
    for _ in range(10):
        out = layer({"images": IMAGES, "labels": LABELS}, training=True)
        images, labels = np.asarray(out["images"]), np.asarray(out["labels"])
        check(images, labels)
        # The partner is the next one of the batch.
        assert (labels + 1e-6 >= 0).all()
        assert ((labels > 0) <= (LABELS + np.roll(LABELS, -1, axis=0) > 0)).all()
        mixed_at_all += ((labels > 0).sum(axis=1) == 2).sum()
    assert mixed_at_all > 40


def test_a_cut_is_one_rectangle_of_the_pictures_proportion_within_it():
    layer = CutMix(seed=2)
    first, second = np.zeros((200, 20, 32, 1), np.int32), np.ones((200, 20, 32, 1), np.int32)
    drawn = np.random.default_rng(0).random((200, 4))
    mask = layer.mix(first, second, layer.sample(drawn, (20, 32, 1), NUMPY), NUMPY)[..., 0]
    rows, columns = mask.any(axis=2).sum(axis=1), mask.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(mask.sum(axis=(1, 2)), rows * columns)
    np.testing.assert_allclose(rows / 20, columns / 32, atol=0.5 / 20 + 0.5 / 32)
    assert mask[:, 0].any()
    assert mask[:, -1].any()
    assert abs(mask.mean() - 0.5) < 0.1  # Beta(1, 1): any share alike


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_weights_are_of_the_beta_distribution(alpha):
    own = MixUp(alpha=alpha).sample(np.random.default_rng(0).random((20_000, 2)), SHAPE, NUMPY)[:, 0] / 256
    assert own.mean() == pytest.approx(0.5, abs=0.02)
    assert own.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


@pytest.mark.parametrize("layer", [MixUp(probability=0.0), CutMix(probability=0.0)], ids=["mixup", "cutmix"])
def test_a_probability_of_zero_mixes_nothing(layer):
    out = layer({"images": IMAGES, "labels": LABELS}, training=True)
    np.testing.assert_array_equal(out["images"], IMAGES)
    np.testing.assert_array_equal(out["labels"], LABELS)


@pytest.mark.parametrize("layer", [MixUp(), CutMix()], ids=["mixup", "cutmix"])
@pytest.mark.parametrize("inputs", [IMAGES, {"images": IMAGES[0], "labels": LABELS[0]}], ids=["no labels", "one"])
def test_what_cannot_be_mixed_is_refused(layer, inputs):
    with pytest.raises(ValueError, match="a batch of images and their labels"):
        layer(inputs, training=True)


@settings(max_examples=30, deadline=None)
@given(drawn=st.lists(st.floats(0, 1 - 2**-24), min_size=16, max_size=16), cut=st.booleans(), seed=st.integers(0, 99))
def test_numpy_and_tensorflow_agree(drawn, cut, seed):
    layer = CutMix() if cut else MixUp(alpha=1.0)
    first, second = np.random.default_rng(seed).integers(0, 256, (2, 4, *SHAPE), np.int32)
    labels = np.eye(4, dtype=np.float32)
    parameters = layer.sample(np.reshape(drawn, (4, 4))[:, : 1 + layer.num_draws], SHAPE, NUMPY)
    assert parameters.dtype == np.int32
    mixed = layer.mix(first, second, parameters, NUMPY)
    by_tensorflow = layer.mix(tf.constant(first), tf.constant(second), tf.constant(parameters), TENSORFLOW)
    np.testing.assert_array_equal(mixed, by_tensorflow)
    shares = [layer.mix_labels(labels, labels[::-1], parameters, SHAPE, xp) for xp in (NUMPY, TENSORFLOW)]
    np.testing.assert_allclose(*shares, atol=1e-6)


@pytest.fixture(scope="module")
def source():
    split = (IMAGES, np.arange(6))
    names = tuple("abcdef")
    return open_source(ArrayDataset(names, {"train": split, "test": split}, "colours"), "train", Observer())


def mixed(source, specs: list[str], samples=range(6)) -> tuple[np.ndarray, np.ndarray]:
    augment = build_augment(specs, SHAPE, 6)
    stream = batches(source, np.array(samples), batch_size=4, seed=1, steps=30, augment=augment)
    images, labels = zip(*[(images.numpy(), labels.numpy()) for images, labels in stream], strict=True)
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize(("spec", "check"), [("mixup(alpha=1.0)", check_mixed_up), ("cutmix", check_cut)])
def test_in_the_pipeline_labels_agree_with_pictures(source, spec, check):
    images, labels = mixed(source, [spec])
    check(images, labels)
    # Each sample meets each other one, whichever batch that is in, and now and then itself.
    own = labels.argmax(axis=1)
    met = {(int(a), int(b)) for a, row in zip(own, labels, strict=True) for b in np.flatnonzero(row)}
    assert len(met) > 30  # of 36


def test_partners_are_of_the_samples_in_use(source):
    _, labels = mixed(source, ["mixup(alpha=1.0)"], samples=[1, 2, 4])
    assert set(np.flatnonzero(labels.sum(axis=0))) == {1, 2, 4}


def test_two_mixings_put_up_to_four_pictures_together(source):
    images, labels = mixed(source, ["cutmix", "mixup(alpha=8.0)"])
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    shares = (labels > 0).sum(axis=1)
    assert shares.max() == 4
    # The mean level tells the shares: mixing is linear.
    expected = labels @ COLOURS.astype(np.float32)
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), expected, atol=0.51)


def test_a_partner_is_augmented_as_it_is_by_itself(source):
    """What comes before the mixing is done to both pictures, each by its own draws."""
    images, labels = mixed(source, ["invert(probability=1.0)", "cutmix"])
    check_cut(255 - images, labels)
