"""Grad-CAM is what its formula says, wherever in a model its layer is and however the model ends."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_azure import FeatureClassifier, transfer_model
from keras_azure.data.resizing import resize
from keras_azure.errors import UsageError
from keras_azure.explaining import grad_cam
from keras_azure.training.standardizing import Statistics, standardized

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3)).astype(np.uint8)


def maps_network():
    pixels = layers.Input((8, 6, 3), name="pixels")
    maps = layers.Conv2D(4, 3, padding="same", activation="tanh", name="maps")(layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, layers.GlobalAveragePooling2D(name="mean")(maps), name="network")


def small(end="softmax"):
    keras.utils.set_random_seed(1)
    network = maps_network()
    scores = layers.Dense(3, activation=end, name="scores")(network.outputs[0])
    return keras.Model(network.inputs, scores)


def by_hand(model, classes):
    """The formula for a mean over places and a dense layer, whose gradient is a constant: w[k, class] / places."""
    layer = model.get_layer("maps")
    kernel, bias = layer.get_weights()
    padded = np.pad(IMAGES / 255, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))  # (n, 8, 6, channels, 3, 3)
    maps = np.tanh(np.einsum("nyxcij,ijck->nyxk", windows, kernel) + bias)
    dense = model.get_layer("scores").get_weights()[0]
    weights = dense[:, classes].T / (8 * 6)
    found = np.maximum(np.einsum("nk,nyxk->nyx", weights, maps), 0)
    highest = found.max(axis=(1, 2), keepdims=True)
    return found / np.where(highest > 0, highest, 1)


def test_it_is_the_formula():
    model, classes = small(), [0, 1, 2, 1, 0]
    found = grad_cam(model, IMAGES, classes)
    assert (found.shape, found.dtype) == ((5, 8, 6), np.float32)
    np.testing.assert_allclose(found, by_hand(model, classes), atol=1e-5)


def test_by_default_the_predicted_class_is_explained():
    model = small()
    predicted = model.predict_on_batch(IMAGES.astype(np.float32)).argmax(axis=1)
    np.testing.assert_allclose(grad_cam(model, IMAGES), by_hand(model, predicted), atol=1e-5)
    np.testing.assert_allclose(grad_cam(model, IMAGES, 2), by_hand(model, [2] * 5), atol=1e-5)


@pytest.mark.parametrize(
    "end",
    ["sigmoid", "linear", layers.Activation("softmax"), layers.Softmax(), keras.ops.softmax, keras.ops.sigmoid],
    ids=["sigmoid", "linear", "an activation layer", "a softmax layer", "softmax", "sigmoid of keras.ops"],
)
def test_the_score_is_the_logit_however_the_model_ends(end):
    model = small(end if isinstance(end, str) else "linear")
    if not isinstance(end, str):
        model = keras.Model(model.inputs, end(model.outputs[0]))
    np.testing.assert_allclose(grad_cam(model, IMAGES, 1), by_hand(model, [1] * 5), atol=1e-5)


def test_a_probability_of_1_is_explained():
    """Its own gradient is 0 there."""
    model = small()
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel, np.add(bias, [0, 200, 0])])
    assert np.all(model.predict_on_batch(IMAGES.astype(np.float32))[:, 1] == 1)
    np.testing.assert_allclose(grad_cam(model, IMAGES), by_hand(model, [1] * 5), atol=1e-5)


def test_numbers_in_their_units_are_explained():
    model = small("linear")
    in_units = keras.Model(model.inputs, layers.Rescaling([2.0, 3.0, 4.0], [1.0, 1.0, 1.0])(model.outputs[0]))
    np.testing.assert_allclose(grad_cam(in_units, IMAGES, 2), by_hand(model, [2] * 5), atol=1e-5)


def test_small_maps_are_stretched_to_the_image():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            layers.Input((32, 24, 1)),
            layers.Conv2D(3, 8, strides=8, activation="tanh"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, "softmax"),
        ]
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 24, 1))
    layer = model.layers[0]
    maps = np.asarray(layer(images.astype(np.float32)))
    weights = model.layers[-1].get_weights()[0][:, 1] / 12
    small_maps = np.maximum(maps @ weights, 0)
    levels = np.round(255 * small_maps / small_maps.max(axis=(1, 2), keepdims=True)).astype(np.uint8)[..., np.newaxis]
    stretched = np.stack([resize(each, (32, 24))[..., 0] for each in levels]) / 255
    expected = stretched / stretched.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(grad_cam(model, images, 1), expected, atol=2 / 255)


def nested(how):
    """The same network within others, as `standardized` and `transfer_model` have them."""
    keras.utils.set_random_seed(1)
    network = keras.Sequential([maps_network(), layers.Dense(3, "softmax", name="scores")], name="inner")
    if how == "sequential":
        return network, network
    pixels = layers.Input((8, 6, 3))
    return keras.Model(pixels, network(pixels)), network


@pytest.mark.parametrize("how", ["sequential", "functional"])
def test_the_layer_is_found_in_networks_within_networks(how):
    model, network = nested(how)
    flat = keras.Model(network.layers[0].inputs, network.layers[1](network.layers[0].outputs[0]))
    np.testing.assert_allclose(grad_cam(model, IMAGES, 1), by_hand(flat, [1] * 5), atol=1e-5)
    np.testing.assert_allclose(grad_cam(model, IMAGES, 1, layer="maps"), by_hand(flat, [1] * 5), atol=1e-5)


def test_of_a_transfer_model_behind_standardization():
    keras.utils.set_random_seed(1)
    pixels = layers.Input((8, 6, 3))
    backbone = keras.Model(pixels, layers.Conv2D(4, 3, padding="same", name="last")(pixels))
    model = transfer_model(backbone, (8, 6, 3), 3, preprocessing=(1 / 255, 0))
    behind = standardized(model, "featurewise", Statistics((0.0,) * 3, (255.0**2,) * 3, 1))
    last = grad_cam(behind, IMAGES, 1, layer="last")
    np.testing.assert_array_equal(grad_cam(behind, IMAGES, 1), last)
    np.testing.assert_allclose(last, grad_cam(model, IMAGES, 1), atol=1e-4)  # 255 times a 255th
    assert last.max() == 1


def test_of_a_residual_network_it_is_what_joins_the_branches():
    pixels = layers.Input((8, 6, 3))
    branch = layers.Conv2D(3, 3, padding="same", name="branch")(pixels)
    joined = keras.ops.add(pixels, branch)  # an operation, and no layer
    model = keras.Model(pixels, layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(joined)))
    named = joined._keras_history.operation.name
    np.testing.assert_array_equal(grad_cam(model, IMAGES, 0), grad_cam(model, IMAGES, 0, layer=named))
    assert np.abs(grad_cam(model, IMAGES, 0) - grad_cam(model, IMAGES, 0, layer="branch")).max() > 0.01


def test_a_layer_that_is_used_twice_is_seen_the_last_time():
    keras.utils.set_random_seed(1)
    pixels = layers.Input((8, 6, 3))
    shared = layers.Conv2D(3, 3, padding="same", activation="tanh", name="shared")
    once = shared(layers.Rescaling(1 / 255)(pixels))
    twice = shared(once)
    scores = layers.Dense(2, "softmax", name="scores")(layers.GlobalAveragePooling2D()(twice))
    model = keras.Model(pixels, scores)
    maps = np.asarray(keras.Model(pixels, twice)(IMAGES.astype(np.float32)))
    expected = np.maximum(maps @ model.get_layer("scores").get_weights()[0][:, 1], 0)
    expected /= np.maximum(expected.max(axis=(1, 2), keepdims=True), 1e-9)
    np.testing.assert_allclose(grad_cam(model, IMAGES, 1, layer="shared"), expected, atol=1e-5)


def test_a_network_that_tells_nothing_of_its_layers_is_one_layer():
    class Closed(keras.Model):
        def __init__(self):
            super().__init__()
            self.maps = layers.Conv2D(4, 3, padding="same")
            self.end = layers.Dense(3, "softmax")

        def call(self, pixels):
            return self.end(keras.ops.mean(self.maps(pixels), axis=(1, 2)))

    pixels = layers.Input((8, 6, 3))
    model = keras.Model(pixels, Closed()(layers.Conv2D(2, 1, name="open")(layers.Rescaling(1 / 255)(pixels))))
    np.testing.assert_array_equal(grad_cam(model, IMAGES, 1), grad_cam(model, IMAGES, 1, layer="open"))
    assert grad_cam(model, IMAGES, 1).max() == 1


def test_many_images_are_explained_as_each_alone(trained_cnn, test_images):
    images = test_images[:70]
    together = grad_cam(trained_cnn, images)
    alone = np.concatenate([grad_cam(trained_cnn, images[place : place + 1]) for place in (0, 35, 36, 69)])
    np.testing.assert_allclose(together[[0, 35, 36, 69]], alone, atol=1e-4)
    assert grad_cam(trained_cnn, images[:0]).shape == (0, 28, 28)


def test_the_model_is_left_as_it_was(trained_cnn, test_images):
    layer, end = trained_cnn.layers[-4], trained_cnn.layers[-1]
    before = end.activation, set(vars(layer)), trained_cnn.get_config(), trained_cnn.get_weights()
    grad_cam(trained_cnn, test_images[:3])
    with pytest.raises(UsageError):
        grad_cam(trained_cnn, test_images[:3], layer="flatten")
    assert (end.activation, set(vars(layer)), trained_cnn.get_config()) == before[:3]
    for one, other in zip(trained_cnn.get_weights(), before[3], strict=True):
        np.testing.assert_array_equal(one, other)


def test_where_everything_speaks_against_a_class_the_map_is_0():
    model = small()
    kernel, bias = model.get_layer("scores").get_weights()
    maps = model.get_layer("maps")
    maps.set_weights([np.abs(weights) for weights in maps.get_weights()])
    model.get_layer("scores").set_weights([-np.abs(kernel), bias])
    assert not grad_cam(model, IMAGES).any()


def test_in_half_precision():
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            layers.Input((8, 6, 3)),
            layers.Rescaling(1 / 255, dtype="mixed_bfloat16"),
            layers.Conv2D(4, 3, dtype="mixed_bfloat16"),
            layers.GlobalAveragePooling2D(dtype="mixed_bfloat16"),
            layers.Dense(2, "softmax", dtype="float32"),
        ]
    )
    found = grad_cam(model, IMAGES)
    assert (found.dtype, found.max()) == (np.float32, 1)


@pytest.mark.parametrize("front", [[], [layers.Normalization(mean=[1.0], variance=[2.0])]], ids=["scaled", "normal"])
def test_a_dense_network_has_no_layer_for_it(front):
    model = keras.Sequential(
        [
            layers.Input((8, 6, 3)),
            layers.Rescaling(1 / 255),
            *front,
            layers.Flatten(),
            layers.Dense(4, "relu"),
            layers.Dense(2, "softmax"),
        ],
        name="dense",
    )
    with pytest.raises(UsageError, match=r"(?s)'dense' has none.*integrated-gradients"):
        grad_cam(model, IMAGES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "map"}, "Did you mean 'maps'"),
        ({"layer": "scores"}, "no height and width"),
        ({"classes": 3}, "from 0 to 2"),
        ({"classes": -1}, "from 0 to 2"),
        ({"classes": [0, 1]}, "one for each of 5 images"),
        ({"classes": [0.0] * 5}, "cannot be explained"),
        ({"images": IMAGES[:, :7]}, r"\(n, 8, 6, 3\)"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        grad_cam(small(), **{"images": IMAGES, **arguments})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (FeatureClassifier(maps_network(), None, 3), "A FeatureClassifier cannot be explained"),
        (keras.Sequential([layers.Input((8, 6, 3)), layers.Conv2D(1, 3)]), "which cannot be explained"),
    ],
    ids=["classifier", "images"],
)
def test_other_models_are_refused(model, message):
    with pytest.raises(UsageError, match=message):
        grad_cam(model, IMAGES)
