import inspect

import keras
import numpy as np
import pytest

from keras_azure import MODELS
from keras_azure.models.parts import parts_of

# The top of the chapter's network: 2048 * 256 + 256 + 256 * 10 + 10.
HEAD = 527_114


@pytest.fixture(scope="module")
def chapters() -> keras.Model:
    return MODELS.build("resnet50(weights='none', trainable_blocks=0)", (32, 32, 3), 10)


def test_the_parameters_are_those_of_the_chapter(chapters):
    parts = parts_of(chapters)
    assert parts.backbone.count_params() == 23_587_712
    assert parts.head.count_params() == HEAD
    assert chapters.count_params() == 23_587_712 + HEAD
    assert sum(int(np.prod(weight.shape)) for weight in chapters.trainable_weights) == HEAD


def test_the_head_is_the_chapters(chapters):
    first, last = parts_of(chapters).head.layers[1:]
    assert (first.units, first.activation.__name__) == (256, "relu")
    assert (last.units, last.activation.__name__) == (10, "softmax")


def test_a_linear_head_and_some_blocks():
    model = MODELS.build("resnet50(weights='none', head=linear, trainable_blocks=1)", (32, 32, 1), 3)
    assert parts_of(model).head.count_params() == 2048 * 3 + 3
    trained = {weight.path.split("/")[0] for weight in parts_of(model).backbone.trainable_weights}
    assert trained == {"conv5_block3_1_conv", "conv5_block3_2_conv", "conv5_block3_3_conv"}


def test_both_transfer_plugins_take_the_same_options():
    resnet50, transfer = (inspect.signature(MODELS.load(name)).parameters for name in ("resnet50", "transfer"))
    assert set(transfer) - set(resnet50) == {"backbone"}
    assert set(resnet50) < set(transfer)
