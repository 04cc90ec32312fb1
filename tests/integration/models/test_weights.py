import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from keras.src.legacy.saving import legacy_h5_format

from keras_azure.errors import DataUnavailable, UnusableWeights
from keras_azure.models.backbones import features_model, transfer_model
from keras_azure.models.parts import parts_of
from keras_azure.models.weights import start_from

PIXELS = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
ENDINGS = ["w.weights.h5", "w.h5", "w.keras"]


def mobilenet(**options) -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.applications.MobileNetV2(include_top=False, weights=None, pooling="avg", **options)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A network without its top, of other pictures' size, saved by Keras in each form."""
    folder = tmp_path_factory.mktemp("weights")
    network = mobilenet(input_shape=(64, 64, 3))
    network.save_weights(folder / "w.weights.h5")
    with h5py.File(folder / "w.h5", "w") as file:  # as Keras 2 did, and as keras.applications has them
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    network.save(folder / "w.keras")
    return folder


@pytest.mark.parametrize("name", ENDINGS)
def test_weights_that_keras_saved_give_the_same_features(saved, name):
    features = features_model("mobilenetv2", (32, 32, 3), weights=str(saved / name), image_size=32)
    expected = mobilenet(input_shape=(32, 32, 3))(keras.applications.mobilenet_v2.preprocess_input(PIXELS.copy()))
    assert np.allclose(np.asarray(features(PIXELS)), np.asarray(expected), rtol=1e-4, atol=1e-5)


def test_weights_that_keras_saved_of_a_resnet50_give_the_same_features(tmp_path):
    network = keras.applications.ResNet50(include_top=False, weights=None, pooling="avg")
    network.save_weights(tmp_path / "resnet50.weights.h5")
    features = features_model("resnet50", (48, 32, 3), weights=str(tmp_path / "resnet50.weights.h5"), image_size=32)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    expected = np.asarray(network(keras.applications.resnet.preprocess_input(pixels.copy())))
    backbone = features.get_layer("backbone")
    assert backbone.count_params() == 23_587_712
    assert np.allclose(np.asarray(backbone(keras.applications.resnet.preprocess_input(pixels.copy()))), expected)
    ours = transfer_model("resnet50", (32, 32, 3), 2, weights=str(tmp_path / "resnet50.weights.h5"), image_size=32)
    assert np.allclose(np.asarray(parts_of(ours).features(pixels)), expected, rtol=1e-4, atol=1e-4)


def test_the_model_of_a_run_gives_its_backbone(tmp_path):
    keras.utils.set_random_seed(3)
    model = transfer_model("mobilenetv3small", (32, 32, 3), 4, weights="none")
    model.save(tmp_path / "model.keras")
    for path in (tmp_path, tmp_path / "model.keras"):  # a run's folder will do
        again = transfer_model("mobilenetv3small", (40, 40, 3), 7, weights=str(path), image_size=32)
        pairs = zip(parts_of(model).backbone.get_weights(), parts_of(again).backbone.get_weights(), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs)


def refusal(path: Path, backbone: str = "mobilenetv2") -> str:
    with pytest.raises(UnusableWeights) as caught:
        features_model(backbone, (32, 32, 3), weights=str(path), image_size=32)
    assert str(path) in caught.value.problem
    return str(caught.value)


@pytest.mark.parametrize("name", ENDINGS)
def test_weights_of_another_network_are_refused_by_name(saved, name):
    assert "fit" in refusal(saved / name, "mobilenetv3small")


@pytest.mark.parametrize("name", ENDINGS)
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.98])
def test_truncated_weights_are_refused_by_name(saved, tmp_path, name, kept):
    content = (saved / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * kept)])
    assert "damaged" in refusal(path) or "fit" in refusal(path)


def test_a_model_that_would_run_code_is_refused_by_name(tmp_path):
    model = keras.Sequential([layers.Input((32, 32, 3)), layers.Lambda(lambda pixels: pixels), layers.Dense(1)])
    model.save(tmp_path / "w.keras")
    assert "safe" in refusal(tmp_path / "w.keras")


def test_links_to_other_files_are_refused_by_name(saved, tmp_path):
    path = tmp_path / "w.weights.h5"
    path.write_bytes((saved / "w.weights.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file["secret"] = h5py.ExternalLink("/etc/passwd", "/")
    assert "link to another file" in refusal(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("numbers", (4,), "u1", external=[(str(tmp_path / "w.keras"), 0, 4)])
    assert "reads from another file" in refusal(path)


def test_a_file_that_is_not_there_and_a_name_that_is_none(tmp_path):
    assert "There is no file of weights" in refusal(tmp_path / "gone.weights.h5")
    with pytest.raises(UnusableWeights, match=r"(?s)no weights called 'imagnet'.*imagenet, none, or a file"):
        features_model("mobilenetv2", (32, 32, 3), weights="imagnet")


def test_imagenet_without_a_network_says_where_the_file_is_and_how_to_pass_it(monkeypatch, capsys):
    address = "https://storage.googleapis.com/tensorflow/keras-applications/notop.h5"

    def fail(fname, origin, *_, **__):
        sys.stdout.write(f"Downloading data from {address}")
        raise Exception(f"URL fetch failure on {address}: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", fail)
    with pytest.raises(DataUnavailable) as caught:
        features_model("mobilenetv2", (32, 32, 3))
    message = str(caught.value)
    assert f"The ImageNet weights of MobileNetV2 cannot be fetched from {address}:" in message
    assert "--set weights=PATH" in message
    assert "--set weights=none" in message
    assert capsys.readouterr().out == ""


def test_imagenet_weights_in_kerass_folder_are_used(saved, monkeypatch, tmp_path):
    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", lambda *_, **__: str(saved / "w.h5"))
    features = features_model("mobilenetv2", (32, 32, 3), weights="imagenet", image_size=32)
    expected = features_model("mobilenetv2", (32, 32, 3), weights=str(saved / "w.h5"), image_size=32)
    assert np.array_equal(np.asarray(features(PIXELS)), np.asarray(expected(PIXELS)))


def small(classes: int, units: int = 4, name: str = "small") -> keras.Model:
    return keras.Sequential(
        [
            layers.Input((6, 6, 1)),
            layers.Conv2D(2, 3, name="convolution"),
            layers.Flatten(name="flatten"),
            layers.Dense(units, name="dense"),
            layers.Dense(classes, name="probabilities"),
        ],
        name=name,
    )


def test_a_network_starts_from_another_but_for_its_last_layer(tmp_path):
    donor, model = small(3), small(5)
    donor.save(tmp_path / "model.keras")
    last = model.layers[-1].get_weights()
    start_from(model, str(tmp_path))
    for layer, saved in zip(model.layers[:-1], donor.layers[:-1], strict=True):
        assert all(np.array_equal(*pair) for pair in zip(layer.get_weights(), saved.get_weights(), strict=True))
    assert all(np.array_equal(*pair) for pair in zip(model.layers[-1].get_weights(), last, strict=True))


def test_what_does_not_fit_is_named_with_its_layer(tmp_path):
    small(3, units=9).save(tmp_path / "model.keras")
    with pytest.raises(UnusableWeights, match=r"'small' needs a layer 'dense' of .*has it as"):
        start_from(small(5), str(tmp_path))
    keras.Sequential([layers.Input((6, 6, 1)), layers.Conv2D(2, 3, name="other")]).save(tmp_path / "model.keras")
    with pytest.raises(UnusableWeights, match=r"'convolution' of .*has no such layer"):
        start_from(small(5), str(tmp_path))


def test_an_archive_that_is_no_model_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.keras", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    assert "damaged" in refusal(tmp_path / "w.keras")
