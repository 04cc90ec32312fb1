"""A finished run put to use: run folders are written by hand here."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from sklearn.linear_model import LogisticRegression

import keras_azure
from keras_azure.data.digits import digits
from keras_azure.errors import RunFailed, UnreadableFile, UsageError
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.fitting import fit
from keras_azure.models.predictor import Predictor, load
from keras_azure.models.saving import save_model

CLASSES = ["dark", "middle", "bright"]


def brightness_model(shape=(8, 6, 3)):
    """Tells how bright a picture is, by levels around 0, 128 and 255."""
    model = keras.Sequential(
        [
            layers.Input(shape, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(3, activation="softmax", name="probabilities"),
        ],
        name="brightness",
    )
    slopes = np.tile(np.array([-40.0, 0.0, 40.0]) / shape[-1], (shape[-1], 1))
    model.set_weights([slopes, np.array([10.0, 0.0, -30.0])])
    return model


def write_run(folder, model, class_names=CLASSES):
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text('{"model": "cnn"}')
    (folder / "metrics.json").write_text(json.dumps({"class_names": class_names, "test_accuracy": 1.0}))
    if isinstance(model, FeatureClassifier):
        model.save(folder / "model.zip")
    else:
        save_model(model, folder / "model.keras")
    return folder


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "run", brightness_model())


@pytest.fixture
def pictures(tmp_path):
    """Files of other sizes, formats and channels than the model's."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("L", (30, 20), 5).save(folder / "a.png")
    Image.new("RGB", (64, 80), (128, 120, 130)).save(folder / "b.jpg")
    Image.new("RGBA", (6, 8), (250, 255, 245, 128)).save(folder / "c.bmp")
    return sorted(folder.iterdir())


def test_pictures_get_their_classes_in_their_order(run_dir, pictures):
    predictor = load(run_dir)
    assert (predictor.class_names, predictor.image_shape) == (tuple(CLASSES), (8, 6, 3))
    predictions = predictor.predict(pictures)
    assert [each.path for each in predictions] == pictures
    assert [each.class_name for each in predictions] == CLASSES
    for each in predictions:
        assert [*each.probabilities] == CLASSES
        assert sum(each.probabilities.values()) == pytest.approx(1)
        assert each.probability == each.probabilities[each.class_name] == max(each.probabilities.values())
    assert [name for name, _ in predictions[2].top(2)] == ["bright", "middle"]
    assert len(predictions[0].top(10)) == 3
    assert [each.class_name for each in predictor.predict([str(path) for path in pictures[::-1]])] == CLASSES[::-1]


def test_one_path_and_none(run_dir, pictures):
    predictor = load(run_dir)
    assert [each.class_name for each in predictor.predict(pictures[1])] == ["middle"]
    assert [each.class_name for each in predictor.predict(str(pictures[1]))] == ["middle"]
    assert predictor.predict([]) == []


def test_more_pictures_than_a_batch(run_dir, pictures):
    many = (pictures * 24)[:70]
    assert [each.class_name for each in load(run_dir).predict(many)] == (CLASSES * 24)[:70]


def test_gray_models_see_gray(tmp_path, pictures):
    predictor = load(write_run(tmp_path / "gray", brightness_model((9, 9, 1))))
    assert [each.class_name for each in predictor.predict(pictures)] == CLASSES


def test_pixels_give_what_the_model_gives(run_dir):
    predictor = load(run_dir)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 8, 6, 3)).astype(np.uint8)
    found = predictor.predict_pixels(pixels)
    assert (found.shape, found.dtype) == ((70, 3), np.float32)
    np.testing.assert_allclose(found, np.asarray(brightness_model()(pixels.astype(np.float32))), atol=1e-5)
    assert predictor.predict_pixels(pixels[:0]).shape == (0, 3)


@pytest.mark.parametrize("shape", [(8, 6, 3), (2, 6, 8, 3), (2, 8, 6, 1)])
def test_pixels_of_another_shape_are_refused(run_dir, shape):
    with pytest.raises(UsageError, match=r"(?s)shape.*Expected: \(n, 8, 6, 3\)"):
        load(run_dir).predict_pixels(np.zeros(shape))


def test_the_file_of_the_model_stands_for_its_run(run_dir, pictures):
    assert load(str(run_dir / "model.keras")).predict(pictures)[2].class_name == "bright"


@pytest.fixture(scope="module")
def feature_classifier():
    pictures, labels = digits().arrays("train")
    network = keras.Sequential(
        [
            layers.Input((28, 28, 1), name="pixels"),
            layers.AveragePooling2D(4, name="pool"),
            layers.Flatten(name="flat"),
        ],
        name="features",
    )
    classifier = FeatureClassifier(network, LogisticRegression(max_iter=1000), 10)
    return fit(classifier, classifier.vectors(pictures[:400]), labels[:400], seed=0).classifier


PREDICT = """
import json, sys
import keras_azure
predictions = keras_azure.load(sys.argv[1]).predict(sys.argv[2:])
print(json.dumps([dict(each.probabilities) for each in predictions]))
"""


def test_a_classifier_on_features_predicts_the_same_in_another_process(tmp_path, feature_classifier):
    run_dir = write_run(tmp_path / "run", feature_classifier, [str(digit) for digit in range(10)])
    paths = []
    for number, picture in enumerate(digits().arrays("test")[0][:8]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture[..., 0]).save(paths[-1])
    predictor = load(run_dir)
    assert isinstance(predictor.model, FeatureClassifier)
    here = [dict(each.probabilities) for each in predictor.predict(paths)]
    expected = feature_classifier.predict(digits().arrays("test")[0][:8])
    np.testing.assert_allclose([[*each.values()] for each in here], expected, atol=1e-6)
    command = [sys.executable, "-c", PREDICT, str(run_dir), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for there, before in zip(json.loads(done.stdout), here, strict=True):
        assert there == pytest.approx(before, abs=1e-6)


def test_the_public_function_gives_a_predictor(run_dir, pictures):
    predictor = keras_azure.load(run_dir)
    assert isinstance(predictor, Predictor)
    assert predictor.predict(pictures)[0].class_name == "dark"


def test_unreadable_pictures_are_named(run_dir, pictures, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    for wrong in (text, tmp_path / "missing.png", tmp_path):
        with pytest.raises(UnreadableFile, match=f"(?s){wrong} cannot be read.*Try: leave it out"):
            load(run_dir).predict([*pictures, wrong])


def test_a_run_that_is_not_finished_is_refused(run_dir):
    (run_dir / "metrics.json").unlink()
    with pytest.raises(UsageError, match=f"(?s)not finished.*kaz resume {run_dir}"):
        load(run_dir)


def test_a_folder_without_a_run_is_refused(tmp_path):
    for wrong in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=f"There is no run in {wrong}"):
            load(wrong)


def test_a_run_without_a_model_is_refused(run_dir):
    (run_dir / "model.keras").unlink()
    with pytest.raises(UsageError, match=r"(?s)has no model.*model\.keras or model\.zip"):
        load(run_dir)


def autoencoder():
    return keras.Sequential([layers.Input((8, 6, 3)), layers.Conv2D(3, 3, padding="same", activation="sigmoid")])


@pytest.mark.parametrize("model", [autoencoder(), brightness_model()], ids=["autoencoder", "other classes"])
def test_a_model_that_gives_no_classes_is_refused(tmp_path, model):
    folder = write_run(tmp_path / "run", model, ["one", "two"])
    with pytest.raises(UsageError, match=r"(?s)no probabilities of classes.*None.*each of its 2 classes"):
        load(folder)


def test_a_classifier_of_other_classes_is_refused(tmp_path, feature_classifier):
    folder = write_run(tmp_path / "run", feature_classifier, ["one", "two"])
    with pytest.raises(UsageError, match=r"(?s)\(None, 10\).*each of its 2 classes"):
        load(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"class_names": 3}'])
def test_damaged_results_are_told(run_dir, content):
    (run_dir / "metrics.json").write_text(content)
    with pytest.raises(RunFailed, match=r"metrics\.json does not tell the classes"):
        load(run_dir)


def test_a_damaged_model_is_told(run_dir):
    content = (run_dir / "model.keras").read_bytes()
    (run_dir / "model.keras").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunFailed, match=r"model\.keras cannot be loaded"):
        load(run_dir)
