import importlib

import keras
import numpy as np
import pytest

from keras_azure.errors import UnknownName, WrongOption
from keras_azure.models import backbones
from keras_azure.models.backbones import features_model, transfer_model
from keras_azure.models.parts import parts_of

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 5, 4, 3)).astype(np.float32)


def test_every_network_of_keras_is_known():
    assert len(backbones.networks()) >= 36
    for name in ("resnet50", "efficientnetv2b0", "mobilenetv3small", "inceptionv3", "convnexttiny"):
        assert name in backbones.networks()


@pytest.mark.parametrize("family", sorted(backbones._FAMILIES))
def test_preprocessing_is_that_of_the_family(family):
    module = importlib.import_module(f"keras.src.applications.{family}")
    pixels = keras.Input((5, 4, 3))
    ours = keras.Model(pixels, backbones._FAMILIES[family].preprocess(pixels))
    assert np.allclose(np.asarray(ours(PIXELS)), module.preprocess_input(PIXELS.copy()), atol=1e-4)


@pytest.mark.parametrize("family", sorted(backbones._FAMILIES))
def test_no_smaller_picture_would_do(family):
    name = next(name for name, function in backbones.networks().items() if backbones._module(function) == family)
    smallest = backbones._FAMILIES[family].smallest
    with pytest.raises(ValueError, match="at least"):
        backbones.networks()[name](include_top=False, weights=None, input_shape=(smallest - 1, smallest - 1, 3))


@pytest.mark.parametrize("name", ["mobilenetv3small", "resnet50v2"])
def test_what_is_saved_computes_the_same_and_needs_nothing_else(name, tmp_path):
    keras.utils.set_random_seed(0)
    model = transfer_model(name, (40, 33, 1), 5, head="mlp(units=(8, 4), dropout=0.5)", weights="none")
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 40, 33, 1)).astype(np.float32)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    probabilities = np.asarray(model(pixels))
    assert np.allclose(np.asarray(loaded(pixels)), probabilities, atol=1e-6)
    assert probabilities.shape == (3, 5)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_gray_pictures_go_through_as_three_equal_channels():
    keras.utils.set_random_seed(0)
    gray = features_model("mobilenetv3small", (32, 32, 1), weights="none")
    keras.utils.set_random_seed(0)
    colour = features_model("mobilenetv3small", (32, 32, 3), weights="none")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    assert np.allclose(np.asarray(gray(pixels)), np.asarray(colour(pixels.repeat(3, axis=-1))), atol=1e-6)


def backbone_size(**options) -> tuple[int, int]:
    return features_model("mobilenetv3small", (20, 50, 3), **options).get_layer("backbone").input_shape[1:3]


def test_pictures_are_brought_to_a_size_in_the_model():
    assert backbone_size(weights="none") == (32, 50)  # their own, where it is not too small
    assert backbone_size(weights="none", image_size=64) == (64, 64)
    assert backbone_size(weights="none", image_size=(48, 40)) == (48, 40)
    with pytest.raises(ValueError, match="image_size=16 is too small for mobilenetv3small, which takes 32 or more"):
        backbone_size(weights="none", image_size=16)


def test_an_encoder_has_a_size_of_its_own():
    with pytest.raises(ValueError, match="image_size=64 cannot be chosen for an encoder"):
        features_model("encoder", (32, 32, 3), weights="model.keras", image_size=64)


def test_with_pretrained_weights_the_usual_size_is_taken(monkeypatch):
    monkeypatch.setattr(backbones, "load_weights", lambda *_: None)
    assert backbone_size(weights="imagenet") == (224, 224)
    inception = features_model("inceptionv3", (20, 50, 3), weights="imagenet")
    assert inception.get_layer("backbone").input_shape[1:3] == (299, 299)


def test_from_scratch_everything_is_trained_and_else_the_head():
    scratch = transfer_model("mobilenetv3small", (32, 32, 3), 4, weights="none")
    assert len(scratch.trainable_weights) > 100
    frozen = transfer_model("mobilenetv3small", (32, 32, 3), 4, weights="none", trainable_blocks=0)
    assert [weight.path for weight in frozen.trainable_weights] == [
        weight.path for weight in parts_of(frozen).head.trainable_weights
    ]


@pytest.mark.parametrize("name", ["efficientnetb0", "mobilenetv2"])
@pytest.mark.parametrize("blocks", [0, 2])
def test_a_backbone_that_is_partly_frozen_computes_in_training_as_in_prediction(name, blocks):
    model = transfer_model(name, (32, 32, 3), 4, weights="none", trainable_blocks=blocks)
    features = parts_of(model).features
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    assert np.array_equal(np.asarray(features(pixels, training=True)), np.asarray(features(pixels, training=False)))


def test_wrong_options_are_named():
    with pytest.raises(UnknownName, match="Did you mean 'resnet50'"):
        transfer_model("resnet5", (32, 32, 3), 4, weights="none")
    with pytest.raises(UnknownName, match="no head called 'forest'"):
        transfer_model("mobilenetv3small", (32, 32, 3), 4, weights="none", head="forest")
    with pytest.raises(WrongOption, match="no option 'unit'"):
        transfer_model("mobilenetv3small", (32, 32, 3), 4, weights="none", head="mlp(unit=3)")
    with pytest.raises(ValueError, match="units=\\(0,\\) must be 1 or more"):
        transfer_model("mobilenetv3small", (32, 32, 3), 4, weights="none", head="mlp(units=0)")
    with pytest.raises(ValueError, match="trainable_blocks=-1"):
        transfer_model("mobilenetv3small", (32, 32, 3), 4, weights="none", trainable_blocks=-1)
