import keras
import numpy as np
import pytest
from keras import layers

from keras_azure.models.backbones import features_model, transfer_model
from keras_azure.models.parts import blocks_of, parts_of, set_trainable_blocks
from keras_azure.training.standardizing import Statistics, standardized


@pytest.fixture(scope="module")
def mobilenet():
    keras.utils.set_random_seed(0)
    return transfer_model("mobilenetv2", (32, 32, 3), 4, weights="none", trainable_blocks=0)


def backbone(name: str) -> keras.Model:
    return features_model(name, (32, 32, 3), weights="none").get_layer("backbone")


def test_the_blocks_of_a_resnet_are_its_residual_blocks():
    blocks = blocks_of(backbone("resnet50"))
    assert len(blocks) == 17  # 16, and the first convolution
    assert {layer.name.rpartition("_")[0][:12] for layer in blocks[-1]} <= {"conv5_block3_1", "conv5_block3"}
    assert [layer.name for layer in blocks[0]] == ["conv1_conv", "conv1_bn"]


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("vgg16", 5, ["block5_conv1", "block5_conv2", "block5_conv3"]),
        ("mobilenetv2", 11, None),
        ("mobilenet", 27, None),
        ("convnexttiny", 19, None),
    ],
)
def test_the_blocks_of_other_families(name, count, last):
    network = backbone(name)
    blocks = blocks_of(network)
    assert len(blocks) == count
    if last:
        assert [layer.name for layer in blocks[-1]] == last
    in_blocks = [layer.name for block in blocks for layer in block]
    assert len(in_blocks) == len(set(in_blocks))
    outside = {layer.name for layer in network.layers if layer.weights} - set(in_blocks)
    assert all(
        isinstance(network.get_layer(name), layers.BatchNormalization | layers.LayerNormalization) for name in outside
    )


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_the_last_blocks_are_trained_and_batch_normalisation_never(mobilenet, count):
    network = parts_of(mobilenet).backbone
    set_trainable_blocks(network, count)
    blocks = blocks_of(network)
    trained = {
        id(weight)
        for block in blocks[max(0, len(blocks) - count) :]
        for layer in block
        for weight in layer.weights
        if not isinstance(layer, layers.BatchNormalization)
    }
    assert {id(weight) for weight in network.trainable_weights} == trained
    assert bool(trained) == bool(count)


def test_the_parts_of_a_transfer_model_compute_what_it_computes(mobilenet):
    parts = parts_of(mobilenet)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    whole = np.asarray(mobilenet(pixels))
    assert np.array_equal(np.asarray(parts.head(parts.features(pixels))), whole)
    wrapped = standardized(mobilenet, "featurewise", Statistics((100.0,) * 3, (50.0,) * 3, 10))
    parts = parts_of(wrapped)
    assert np.allclose(np.asarray(parts.head(parts.features(pixels))), np.asarray(wrapped(pixels)), atol=1e-6)
    assert parts.backbone is parts_of(mobilenet).backbone


def test_other_models_have_no_parts():
    for model in (
        keras.Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)]),
        keras.Sequential([layers.Input((4,)), keras.Sequential([layers.Dense(2)], name="head")]),
    ):
        assert parts_of(model) is None


def test_a_saved_model_has_the_same_parts_trained(mobilenet, tmp_path):
    set_trainable_blocks(parts_of(mobilenet).backbone, 2)
    mobilenet.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    names = [weight.path for weight in mobilenet.trainable_weights]
    assert [weight.path for weight in loaded.trainable_weights] == names
    assert len(blocks_of(parts_of(loaded).backbone)) == len(blocks_of(parts_of(mobilenet).backbone))
