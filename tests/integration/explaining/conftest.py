"""Networks that were trained on images whose class is in one place of them."""

from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from keras_azure import MODELS, transfer_model
from keras_azure.data.digits import digits

CLASSES, SIDE = 4, 28


def residual(side: int) -> keras.Model:
    """A ResNet in small: three blocks, of which two halve the image; from images to feature maps."""

    def normalized(tensor):
        return layers.BatchNormalization(momentum=0.9)(tensor)

    pixels = layers.Input((side, side, 3))
    found = layers.ReLU()(normalized(layers.Conv2D(8, 3, padding="same")(pixels)))
    for filters, strides in ((8, 1), (16, 2), (32, 2)):
        past = normalized(layers.Conv2D(filters, 1, strides=strides)(found))
        inner = layers.ReLU()(normalized(layers.Conv2D(filters, 3, strides=strides, padding="same")(found)))
        inner = normalized(layers.Conv2D(filters, 3, padding="same")(inner))
        found = layers.ReLU()(layers.Add()([past, inner]))
    return keras.Model(pixels, found, name="residual")


def placed_digits(split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits of 14x14 pixels, 0 to 3, each somewhere on noise."""
    images, labels = digits().arrays(split)
    images, labels = images[labels < CLASSES, ::2, ::2], labels[labels < CLASSES]
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(images), count)
    found = rng.integers(0, 120, (count, SIDE, SIDE, 1)).astype(np.uint8)
    for canvas, digit, (top, left) in zip(found, images[chosen], rng.integers(0, 15, (count, 2)), strict=True):
        place = canvas[top : top + 14, left : left + 14]
        np.maximum(place, digit, out=place)
    return found, labels[chosen]


def trained(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> keras.Model:
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(images.astype(np.float32), labels, epochs=3, batch_size=32, verbose=0)
    return model


@pytest.fixture(scope="session")
def test_images() -> np.ndarray:
    """On which nothing was trained, uint8 (96, 28, 28, 1)."""
    return placed_digits("test", 96)[0]


@pytest.fixture(scope="session")
def trained_cnn() -> keras.Model:
    keras.utils.set_random_seed(0)
    images, labels = digits().arrays("train")
    # Whole batches: some builds of TensorFlow for CPUs cannot train batches of two sizes.
    return trained(MODELS.build("cnn", (SIDE, SIDE, 1), 10), images[:1408], labels[:1408])


@pytest.fixture(scope="session")
def trained_residual() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = transfer_model(
        residual(SIDE), (SIDE, SIDE, 1), CLASSES, preprocessing=(1 / 255, 0), weights="none", head="linear"
    )
    return trained(model, *placed_digits("train", 1920))


@pytest.fixture(scope="session")
def without_activation() -> Callable[[keras.Model], keras.Model]:
    """A sequential model up to its logits, by a copy of it: the other way to what is explained."""

    def copy(model: keras.Model) -> keras.Model:
        copied = keras.models.clone_model(model)
        copied.set_weights(model.get_weights())
        copied.layers[-1].activation = keras.activations.linear
        return copied

    return copy
