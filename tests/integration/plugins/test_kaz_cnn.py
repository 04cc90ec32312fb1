import inspect

import keras
import numpy as np
import pytest

from kaz_cnn import cnn
from keras_azure.errors import WrongOption
from keras_azure.registry.registry import MODELS
from keras_azure.testing import check_model


@pytest.mark.parametrize(("input_shape", "parameters"), [((28, 28, 1), 409_034), ((28, 28, 3), 409_322)])
def test_is_the_chapters_network(input_shape, parameters):
    model = cnn(input_shape, 10)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters
    assert model.count_params() == parameters
    shapes = [tuple(layer.output.shape[1:]) for layer in model.layers if not isinstance(layer, keras.layers.Rescaling)]
    assert shapes == [(28, 28, 16), (14, 14, 16), (14, 14, 32), (7, 7, 32), (1568,), (256,), (10,)]


def test_keeps_the_contract():
    check_model("cnn")


def test_keeps_the_contract_with_options():
    check_model("cnn(filters=(4, 8, 8), dense=(16, 8), dropout=0.5)", input_shape=(20, 30, 3), num_classes=3)


@pytest.mark.parametrize("input_shape", [(1, 1, 1), (1, 40, 3), (17, 5, 1), (224, 224, 3)])
def test_takes_any_picture(input_shape):
    model = cnn(input_shape, 2, filters=(4, 4, 4), dense=(8,))
    assert model.output_shape == (None, 2)


def test_empty_tuples_leave_layers_out():
    assert [layer.name for layer in cnn((8, 8, 1), 2, filters=(), dense=()).layers] == [
        *("scale", "flatten", "probabilities")
    ]


def test_dropout_is_behind_each_dense_layer():
    names = [layer.name for layer in cnn((8, 8, 1), 2, dense=(4, 4), dropout=0.5).layers]
    assert names[-5:] == ["dense_1", "dropout_1", "dense_2", "dropout_2", "probabilities"]


def test_scales_its_pixels():
    model = cnn((4, 4, 1), 2, filters=(), dense=())
    scaled = keras.Model(model.inputs[0], model.get_layer("scale").output)
    assert np.array_equal(scaled(np.full((1, 4, 4, 1), 255.0)), np.ones((1, 4, 4, 1)))


def test_two_builds_have_equal_names():
    first, second = cnn((8, 8, 1), 2), cnn((8, 8, 1), 2)
    assert [weight.path for weight in first.weights] == [weight.path for weight in second.weights]
    assert first.name == second.name == "cnn"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_probabilities_stay_float32_in_mixed_precision(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = cnn((8, 8, 1), 3)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.outputs[0].dtype == "float32"
    assert model.get_layer("convolution_1").compute_dtype == policy.removeprefix("mixed_")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"filters": (16, 0)}, r"filters=\(16, 0\)"),
        ({"dense": (-1,)}, r"dense=\(-1,\)"),
        ({"dropout": 1.0}, r"dropout=1\.0 must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"dropout": float("nan")}, "dropout=nan"),
    ],
)
def test_refuses_options_out_of_range(options, problem):
    with pytest.raises(ValueError, match=problem):
        cnn((8, 8, 1), 2, **options)


def test_a_wrong_option_shows_the_signature():
    with pytest.raises(WrongOption) as caught:
        MODELS.build("cnn(dropout=2)", (8, 8, 1), 2)
    assert str(inspect.signature(cnn)) in str(caught.value)
