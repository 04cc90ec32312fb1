import keras
import numpy as np
import pytest

import keras_azure
from keras_azure import MODELS, ArrayDataset
from keras_azure.data.digits import digits
from keras_azure.description.events import Observer
from keras_azure.errors import ConfigError, UnusableWeights, UsageError

SETTINGS = {"epochs": 2, "tracking": False, "observer": Observer()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return keras_azure.run("autoencoder", output=tmp_path_factory.mktemp("autoencoder") / "run", **SETTINGS)


@pytest.mark.parametrize("shape", [(28, 28, 1), (13, 30, 3), (1, 1, 1)])
@pytest.mark.parametrize("filters", ["()", "(4,)", "(4, 5, 6)"])
def test_pictures_come_back_in_their_own_size(shape, filters):
    model = MODELS.build(f"autoencoder(filters={filters}, dense=(7,))", shape, 10)
    out = np.asarray(model(np.full((2, *shape), 200.0, np.float32)))
    assert out.shape == (2, *shape)
    assert out.dtype == np.float32
    assert 0 <= out.min() <= out.max() <= 1
    assert model.get_layer("encoder").output_shape == (None, 7)


def test_it_learns_to_give_back_pictures_and_has_no_accuracy(trained):
    assert trained.test_accuracy is None
    assert trained.test_metrics == {"loss": trained.test_loss}
    assert trained.history[-1]["val_loss"] < trained.history[0]["val_loss"]
    assert "accuracy" not in trained.history[0]
    plots = {path.name for path in (trained.run_dir / "plots").iterdir()}
    assert plots == {"learning_curves.png", "reconstructions.png"}


def test_the_loss_is_that_of_the_saved_model_on_the_test_pictures(trained):
    pictures, _ = digits().arrays("test")
    back = np.asarray(trained.model.predict(pictures, verbose=0))
    assert trained.test_loss == pytest.approx(np.mean((back - pictures / 255) ** 2), rel=1e-4)


def test_labels_make_no_difference(trained, tmp_path, monkeypatch):
    original = digits()
    splits = {split: original.arrays(split) for split in original.split_sizes}

    def shuffled(image_size: None) -> ArrayDataset:
        return ArrayDataset(
            original.class_names, {split: (pictures, labels[::-1]) for split, (pictures, labels) in splits.items()}, "d"
        )

    monkeypatch.setattr("keras_azure.data.digits.digits", shuffled)
    other = keras_azure.run("autoencoder", output=tmp_path / "run", **SETTINGS)
    assert other.test_loss == trained.test_loss


def test_cnn_starts_from_the_encoder(trained):
    model = MODELS.build(f"cnn(weights={str(trained.run_dir)!r})", (28, 28, 1), 5)
    encoder = trained.model.get_layer("encoder")
    for layer in model.layers[:-1]:
        for ours, theirs in zip(layer.get_weights(), encoder.get_layer(layer.name).get_weights(), strict=True):
            assert np.array_equal(ours, theirs)


def test_heads_start_from_the_encoder(trained):
    model = MODELS.build(f"transfer(backbone='encoder', weights={str(trained.run_dir)!r})", (28, 28, 1), 5)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 28, 28, 1)).astype(np.float32)
    features = np.asarray(model.get_layer("features")(pixels))
    assert np.allclose(features, np.asarray(trained.model.get_layer("encoder")(pixels)), atol=1e-5)
    assert len(model.trainable_weights) == 2


def test_pictures_of_another_size_and_another_number_of_channels(trained):
    spec = f"transfer(backbone='encoder', weights={str(trained.run_dir)!r})"
    assert MODELS.build(spec, (40, 20, 1), 5).output_shape == (None, 5)
    with pytest.raises(UsageError, match="takes pictures of 1 channels, and these have 3"):
        MODELS.build(spec, (28, 28, 3), 5)
    with pytest.raises(UnusableWeights, match="'convolution_1'"):
        MODELS.build(f"cnn(weights={str(trained.run_dir)!r})", (28, 28, 3), 5)


def test_augmented_pictures_are_what_is_to_come_back(tmp_path):
    result = keras_azure.run("autoencoder", augment=["chapter"], output=tmp_path / "run", **SETTINGS | {"epochs": 1})
    assert result.history[0]["loss"] < 0.2
    with pytest.raises(UsageError, match="augmented on the host"):
        keras_azure.run("autoencoder", augment=["chapter"], augment_on="device", output=tmp_path / "other", **SETTINGS)


def test_another_loss_may_be_chosen(tmp_path):
    result = keras_azure.run(
        "autoencoder", loss="mean_absolute_error", output=tmp_path / "run", **SETTINGS | {"epochs": 1}
    )
    assert result.history[0]["loss"] > 0.05
    assert isinstance(result.model, keras.Model)
    with pytest.raises(ConfigError):
        keras_azure.run("autoencoder", schedule="none", output=tmp_path / "other", **SETTINGS)
