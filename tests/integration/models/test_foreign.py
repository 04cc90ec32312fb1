import keras
import numpy as np
import pytest
from keras import layers
from sklearn.svm import LinearSVC

from keras_azure import FeatureClassifier
from keras_azure.errors import UnusableWeights
from keras_azure.models.backbones import features_model, transfer_model
from keras_azure.models.parts import blocks_of, parts_of, set_trainable_blocks
from keras_azure.testing import check_model

PIXELS = np.random.default_rng(0).uniform(0, 255, (3, 12, 10, 3)).astype(np.float32)


def network(size: tuple = (None, None, 3), seed: int = 0) -> keras.Model:
    """Three residual blocks with what is random in training; gives feature maps."""
    keras.utils.set_random_seed(seed)
    pixels = maps = layers.Input(size)
    for block in range(3):
        branch = layers.BatchNormalization(name=f"normalization_{block}")(maps)
        branch = layers.GaussianNoise(0.5, name=f"noise_{block}")(branch)
        branch = layers.Conv2D(3, 3, padding="same", name=f"convolution_{block}")(branch)
        maps = layers.Add(name=f"add_{block}")([maps, layers.SpatialDropout2D(0.5, name=f"dropout_{block}")(branch)])
    return keras.Model(pixels, maps, name="encoder")


def flipped(pixels):
    return keras.ops.flip(pixels / 127.5 - 1, axis=-1)


@pytest.mark.parametrize(
    ("preprocessing", "expected"),
    [
        (None, PIXELS),
        ((1 / 255, -0.5), PIXELS / 255 - 0.5),
        (((0.1, 0.2, 0.3), [1, 2, 3]), PIXELS * (0.1, 0.2, 0.3) + (1, 2, 3)),
        (layers.Normalization(mean=(1.0, 2.0, 3.0), variance=(4.0, 4.0, 4.0)), (PIXELS - (1, 2, 3)) / 2),
        (flipped, (PIXELS / 127.5 - 1)[..., ::-1]),
        (keras.Sequential([layers.Rescaling(1 / 255)]), PIXELS / 255),
    ],
    ids=["none", "numbers", "numbers of channels", "layer", "function", "model"],
)
def test_a_model_of_ones_own_gets_its_preprocessing_and_both_are_saved(preprocessing, expected, tmp_path):
    given = network()
    vectors = np.asarray(given(expected.astype(np.float32))).mean(axis=(1, 2))
    model = transfer_model(given, (12, 10, 3), 4, preprocessing=preprocessing)
    np.testing.assert_allclose(np.asarray(parts_of(model).features(PIXELS)), vectors, rtol=1e-4, atol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(np.asarray(loaded(PIXELS)), np.asarray(model(PIXELS)), atol=1e-6)


def test_frozen_it_computes_in_training_as_in_prediction_and_from_scratch_it_does_not():
    frozen = transfer_model(network(), (12, 10, 3), 4)
    assert [weight.path for weight in frozen.trainable_weights] == ["probabilities/kernel", "probabilities/bias"]
    assert np.array_equal(np.asarray(frozen(PIXELS, training=True)), np.asarray(frozen(PIXELS, training=False)))
    scratch = transfer_model(network(), (12, 10, 3), 4, weights="none")
    assert len(scratch.trainable_weights) == len(network().trainable_weights) + 2
    assert not np.array_equal(np.asarray(scratch(PIXELS, training=True)), np.asarray(scratch(PIXELS, training=False)))


def test_its_blocks_follow_from_its_form_or_from_names():
    def blocks(**options) -> list[list[str]]:
        features = features_model(network(), (12, 10, 3), **options)
        return [[layer.name for layer in block] for block in blocks_of(features.get_layer("backbone"))]

    assert blocks() == [[f"normalization_{number}", f"convolution_{number}"] for number in range(3)]
    assert blocks(block_starts=["normalization_2"]) == [
        ["normalization_0", "convolution_0", "normalization_1", "convolution_1"],
        ["normalization_2", "convolution_2"],
    ]
    with pytest.raises(ValueError, match="no layer 'convolution_9' for a block to begin with"):
        blocks(block_starts=["convolution_1", "convolution_9"])


def test_models_within_it_are_blocks_whose_batch_normalisation_stays():
    stages = [
        keras.Sequential([layers.Conv2D(3, 3), layers.BatchNormalization(), layers.Dropout(0.5)], name=name)
        for name in ("one", "two")
    ]
    model = transfer_model(keras.Sequential([layers.Input((12, 10, 3)), *stages, layers.Flatten()]), (12, 10, 3), 2)
    backbone = parts_of(model).backbone
    assert [[layer.name for layer in block] for block in blocks_of(backbone)] == [["one"], ["two"]]
    set_trainable_blocks(backbone, 1)
    convolution = backbone.get_layer("two").layers[0]
    assert [id(weight) for weight in backbone.trainable_weights] == [id(weight) for weight in convolution.weights]
    assert np.array_equal(np.asarray(backbone(PIXELS, training=True)), np.asarray(backbone(PIXELS, training=False)))


def test_images_are_brought_to_its_size_if_it_has_one():
    def size(model: keras.Model, **options) -> tuple[int, int]:
        return features_model(model, (12, 10, 1), **options).get_layer("backbone").input_shape[1:3]

    assert size(network()) == (12, 10)
    assert size(network(), image_size=16) == (16, 16)
    assert size(network((8, 9, 3))) == (8, 9)
    assert size(network((8, 9, 3)), image_size=(8, 9)) == (8, 9)
    with pytest.raises(ValueError, match=r"image_size=\(8, 8\) cannot be chosen for 'encoder', which takes \(8, 9\)"):
        size(network((8, 9, 3)), image_size=8)


@pytest.mark.parametrize("name", ["w.keras", "w.weights.h5"])
def test_its_weights_come_from_a_file(name, tmp_path):
    other = network((6, 6, 3), seed=1)
    (other.save if name == "w.keras" else other.save_weights)(tmp_path / name)
    given = network()
    features = features_model(given, (12, 10, 3), weights=str(tmp_path / name))
    expected = np.asarray(other.get_layer("convolution_2").kernel)
    assert np.array_equal(np.asarray(features.get_layer("backbone").get_layer("convolution_2").kernel), expected)
    deeper = keras.Model(given.input, layers.Conv2D(5, 3)(given.output), name="deeper")
    with pytest.raises(UnusableWeights, match=r"do not fit|does not fit deeper"):
        transfer_model(deeper, (12, 10, 3), 2, weights=str(tmp_path / name))


def test_a_model_saved_around_one_gives_its_backbone_to_others(tmp_path):
    model = transfer_model(network(), (12, 10, 3), 4, preprocessing=(1 / 255, 0))
    for number in range(2):
        path = tmp_path / f"{number}.keras"
        model.save(path)
        model = transfer_model("encoder", (12, 10, 3), 3, weights=str(path))  # the second from a model named "encoder"
        assert parts_of(model).features.output_shape == (None, 3)
        assert [layer.name for layer in parts_of(model).backbone.layers][-1] == "average_pooling"


@pytest.mark.parametrize(
    ("backbone", "options", "problem"),
    [
        (keras.Sequential([layers.Dense(3)]), {}, "cannot be a backbone: expected a functional or sequential"),
        (keras.Sequential([layers.Input((5,)), layers.Dense(3)]), {}, "cannot be a backbone"),
        (keras.Sequential([layers.Input((4, 4, 3)), layers.Reshape((16, 3))]), {}, r"gives \(None, 16, 3\)"),
        (network(), {"preprocessing": layers.Lambda(lambda pixels: pixels)}, "is a Lambda layer"),
        (network(), {"preprocessing": np.asarray}, "cannot be part of the model: .*expected a function of keras.ops"),
        ("mobilenetv2", {"preprocessing": (1, 0), "weights": "none"}, "'mobilenetv2' has its own preprocessing"),
        (network(), {"weights": "imagenet"}, "no ImageNet weights of 'encoder'"),
    ],
)
def test_what_cannot_be_a_backbone_is_refused(backbone, options, problem):
    with pytest.raises((ValueError, UnusableWeights), match=problem):
        transfer_model(backbone, (12, 10, 3), 4, **options)


def test_a_classifier_of_scikit_learn_learns_on_its_features():
    def classic(input_shape, num_classes):
        features = features_model(network(), input_shape, preprocessing=flipped)
        return FeatureClassifier(features, LinearSVC(), num_classes)

    check_model(classic)
