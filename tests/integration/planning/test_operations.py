"""Operations of known networks against the figures that are published of them, and of layers counted by hand."""

import keras
import pytest
from keras import layers

from keras_azure.planning.operations import step_operations


@pytest.mark.parametrize(
    ("name", "size", "gigaoperations"),  # multiplications with additions, as papers and model lists give them
    [("ResNet50", 224, 3.86), ("MobileNetV2", 224, 0.30), ("EfficientNetB0", 224, 0.39), ("VGG16", 224, 15.5)],
)
def test_published_figures(name, size, gigaoperations):
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))
    counted = step_operations(model)
    assert counted.forward / 2e9 == pytest.approx(gigaoperations, rel=0.02)
    assert counted.uncounted == ()
    # Twice the forward pass, but for the gradient by the picture itself, which nobody needs.
    assert 1.9 * counted.forward < counted.backward < 2 * counted.forward
    assert counted.total == counted.forward + counted.backward


def network(*inner):
    return keras.Sequential([layers.Input((8, 8, 4)), *inner])


@pytest.mark.parametrize(
    ("layer", "multiplications"),
    [
        (layers.Conv2D(6, 3, padding="same"), 8 * 8 * 3 * 3 * 4 * 6),
        (layers.Conv2D(6, 3, strides=2, padding="same"), 4 * 4 * 3 * 3 * 4 * 6),
        (layers.Conv2D(6, 3, groups=2, padding="same"), 8 * 8 * 3 * 3 * 2 * 6),
        (layers.DepthwiseConv2D(3, padding="same"), 8 * 8 * 3 * 3 * 4),
        (layers.SeparableConv2D(6, 3, padding="same"), 8 * 8 * (3 * 3 * 4 + 4 * 6)),
        (layers.Conv2DTranspose(6, 2, strides=2), 8 * 8 * 2 * 2 * 4 * 6),
        (layers.Dense(5), 8 * 8 * 4 * 5),
        (layers.BatchNormalization(), 0),
        (layers.MaxPooling2D(), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_layers_by_hand(layer, multiplications):
    assert step_operations(network(layer)).forward == 2 * multiplications


def test_what_is_frozen_has_no_gradients():
    model = network(layers.Conv2D(6, 3, name="first"), layers.Flatten(), layers.Dense(7), layers.Dense(5))
    first, second, third = 2 * 6 * 6 * 3 * 3 * 4 * 6, 2 * 216 * 7, 2 * 7 * 5
    assert step_operations(model).backward == first + 2 * second + 2 * third
    model.get_layer("first").trainable = False
    assert step_operations(model).backward == second + 2 * third
    model.trainable = False
    assert step_operations(model).backward == 0


def test_models_within_models():
    inner = network(layers.Conv2D(6, 3), layers.GlobalAveragePooling2D())
    outer = keras.Sequential([layers.Input((8, 8, 4)), inner, layers.Dense(5)])
    assert step_operations(outer).forward == step_operations(inner).forward + 2 * 6 * 5


def test_a_layer_of_an_unknown_kind_is_named():
    class Mixing(layers.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], shape[-1]))

        def call(self, pixels):
            return keras.ops.matmul(pixels, self.kernel)

    assert step_operations(network(Mixing(name="mixing"), layers.Flatten(), layers.Dense(2))).uncounted == ("mixing",)
