"""Integrated gradients add up to what the score is above that of the baseline."""

import keras
import numpy as np
import pytest
from fixtures.data import Listener
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from keras import layers

from keras_azure.errors import UsageError
from keras_azure.explaining import integrated_gradients
from keras_azure.explaining.integrated_gradients import integrate

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3)).astype(np.uint8)


def linear_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [layers.Input((6, 5, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(4, "softmax")]
    )


def test_of_a_linear_score_they_are_weights_times_levels():
    model = linear_model()
    weights = model.layers[-1].get_weights()[0][:, 2].reshape(6, 5, 3) / 255
    added = integrated_gradients(model, IMAGES, 2, steps=1)
    assert (added.shape, added.dtype) == (IMAGES.shape, np.float32)
    np.testing.assert_allclose(added, weights * IMAGES, atol=1e-5)
    above_gray = integrated_gradients(model, IMAGES, 2, steps=1, baseline=100)
    np.testing.assert_allclose(above_gray, weights * (IMAGES - 100.0), atol=1e-5)
    above_another = integrated_gradients(model, IMAGES, 2, steps=1, baseline=IMAGES[0])
    np.testing.assert_allclose(above_another, weights * (IMAGES - IMAGES[0].astype(float)), atol=1e-5)


def test_by_default_the_predicted_class_is_explained():
    model = linear_model()
    images = np.random.default_rng(1).integers(0, 256, (8, 6, 5, 3))
    predicted = model.predict_on_batch(images.astype(np.float32)).argmax(axis=1)
    assert len({*predicted}) > 1
    np.testing.assert_array_equal(integrated_gradients(model, images), integrated_gradients(model, images, predicted))


NETWORKS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1000),
        "activation": st.sampled_from(["relu", "gelu", "tanh", "sigmoid"]),
        "deviation": st.sampled_from([0.1, 0.3, 1.0]),
        "normalized": st.booleans(),
        "pooling": st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]),
        "end": st.sampled_from(["softmax", "sigmoid", "linear"]),
    }
)


def network(seed, activation, deviation, normalized, pooling, end):
    """A small one, most of which is deep in another."""
    keras.utils.set_random_seed(seed)
    kernel = {"kernel_initializer": keras.initializers.RandomNormal(stddev=deviation)}
    body = [
        layers.Rescaling(1 / 127.5, -1.0),
        layers.Conv2D(4, 3, padding="same", activation=activation, **kernel),
        *([layers.BatchNormalization()] if normalized else []),
        pooling(2),
        layers.Flatten(),
        layers.Dense(8, activation, **kernel),
    ]
    inner = keras.Sequential([layers.Input((6, 5, 3)), *body])
    return keras.Sequential([layers.Input((6, 5, 3)), inner, layers.Dense(3, end, **kernel)])


@settings(max_examples=15)
@given(NETWORKS, st.integers(0, 2), st.sampled_from([0.0, 128.0, 255.0]))
def test_they_are_complete_to_1_percent(without_activation, options, index, level):
    model = network(**options)
    logits = without_activation(model)
    scores = np.asarray(logits(IMAGES.astype(np.float32)))[:, index]
    nothing = np.asarray(logits(np.full((1, 6, 5, 3), level, np.float32)))[0, index]
    differences = scores.astype(np.float64) - nothing
    assume(np.abs(differences).min() > 1e-3 * np.abs(scores).max())  # nearer to 0 they are rounding
    added, gaps = integrate(model, IMAGES, index, baseline=level)
    np.testing.assert_allclose(added.sum(axis=(1, 2, 3), dtype=np.float64), differences, rtol=0.0101)
    assert gaps.max() <= 0.01


def test_of_a_trained_network_they_are_complete_for_each_class(trained_cnn, without_activation, test_images):
    logits = without_activation(trained_cnn)
    for index in (0, 7):
        added = integrated_gradients(trained_cnn, test_images[:8], index)
        images = np.concatenate([test_images[:8], np.zeros((1, 28, 28, 1))]).astype(np.float32)
        *scores, nothing = np.asarray(logits(images))[:, index]
        np.testing.assert_allclose(added.sum(axis=(1, 2, 3)), scores - nothing, rtol=0.0101)


def jumping_model():
    """Its score is a staircase, whose gradient says nothing of it."""
    pixels = layers.Input((6, 5, 3))
    stairs = keras.ops.add(keras.ops.floor(keras.ops.multiply(pixels, 1 / 32)), keras.ops.multiply(pixels, 1e-3))
    return keras.Model(pixels, layers.Dense(2, "softmax")(layers.Flatten()(stairs)))


def test_what_stays_incomplete_is_said():
    with pytest.warns(UserWarning, match=r"of 3 of 3 images are not complete to 1%: .* by up to \d+"):
        integrated_gradients(jumping_model(), IMAGES, steps=2)
    listener = Listener()
    integrated_gradients(jumping_model(), IMAGES, steps=2, observer=listener)
    assert len(listener.messages) == 1
    assert listener.progress[-1] == ("Integrated gradients", 3, 3)


def test_the_baseline_itself_has_nothing():
    black = np.zeros((1, 6, 5, 3))
    added, gaps = integrate(linear_model(), black)
    assert not added.any()
    assert gaps == [0]
    assert integrated_gradients(linear_model(), black[:0]).shape == (0, 6, 5, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "0 steps"),
        ({"classes": 4}, "from 0 to 3"),
        ({"baseline": np.zeros((6, 4, 3))}, "does not fit"),
        ({"images": IMAGES[0]}, r"\(n, 6, 5, 3\)"),
    ],
)
def test_what_cannot_be_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        integrated_gradients(linear_model(), **{"images": IMAGES, **arguments})
