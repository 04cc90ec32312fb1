"""Whole runs of `features`: a classifier of scikit-learn on what a frozen network gives."""

import csv
import json
import subprocess

import numpy as np
import pytest

import keras_azure
from keras_azure import FeatureClassifier
from keras_azure.description.events import Observer
from keras_azure.errors import RunInterrupted, UsageError

MODEL = "features(backbone='mobilenetv3small', weights='none', image_size=32)"
SETTINGS = {"tracking": False, "observer": Observer(), "validation_split": 0.2}

PREDICT = """
import json, sys
import keras_azure
predictions = keras_azure.load(sys.argv[1]).predict(sys.argv[2:])
print(json.dumps([[each.class_name, each.probabilities] for each in predictions]))
"""


@pytest.fixture(scope="module")
def finished(shared_pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    return keras_azure.run(MODEL, data=str(shared_pictures), output=folder, **SETTINGS)


def test_the_run_folder_is_that_of_any_run(finished):
    files = {str(path.relative_to(finished.run_dir)) for path in finished.run_dir.rglob("*") if path.is_file()}
    assert files == {
        *("run.json", "history.csv", "metrics.json", "predictions.npz", "model.zip"),
        *("report.html", "model_card.md"),
        *("plots/learning_curves.png", "plots/confusion_matrix.png", "plots/worst_mistakes.png"),
    }
    with (finished.run_dir / "history.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert [*row] == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "images_per_second", "seconds"]
    metrics = json.loads((finished.run_dir / "metrics.json").read_text())
    assert metrics["test_accuracy"] == finished.test_accuracy == 1.0  # dark and bright pictures
    assert metrics["epochs"] == 1
    assert metrics["parameters"] == finished.parameters > 900_000
    assert isinstance(finished.model, FeatureClassifier)


def test_what_is_saved_predicts_the_same_from_picture_files_in_a_fresh_process(
    loaded_python, finished, shared_pictures
):
    paths = [str(path) for path in sorted(shared_pictures.rglob("*.png"))]
    here = keras_azure.load(finished.run_dir).predict(paths)
    done = subprocess.run(
        [*loaded_python, "-c", PREDICT, str(finished.run_dir), *paths], capture_output=True, text=True, check=True
    )
    there = json.loads(done.stdout)
    assert [each.class_name for each in here] == [name for name, _ in there]
    assert [each.class_name for each in here] == ["bright"] * 12 + ["dark"] * 12
    for ours, (_, theirs) in zip(here, there, strict=True):
        assert ours.probabilities == pytest.approx(theirs, abs=1e-6)


def test_the_same_run_gives_the_same_file(finished, tmp_path):
    again = keras_azure.run(config=finished.run_dir / "run.json", output=tmp_path / "again", observer=Observer())
    probabilities = []
    for result in (finished, again):
        pixels = np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3)).astype(np.uint8)
        pixels = pixels[:, : result.model.features.input_shape[1], : result.model.features.input_shape[2]]
        probabilities.append(result.model.predict(pixels))
    assert np.array_equal(*probabilities)
    assert again.test_loss == finished.test_loss


def test_augmented_pictures_are_learned_from_in_each_epoch(shared_pictures, tmp_path):
    heard = []

    class Listener(Observer):
        def message(self, text):
            heard.append(text)

    keras_azure.run(
        MODEL,
        data=str(shared_pictures),
        augment=["flip"],
        epochs=3,
        output=tmp_path / "run",
        **SETTINGS | {"observer": Listener()},
    )
    assert "Fitting LinearSVC to the features of 45 pictures" in heard  # 15 in each of three epochs


def test_the_best_classifier_is_chosen_and_said(shared_pictures, tmp_path):
    heard = []

    class Listener(Observer):
        def message(self, text):
            heard.append(text)

    model = MODEL.replace("features(", "features(classifier='best', ")
    result = keras_azure.run(
        model, data=str(shared_pictures), output=tmp_path / "run", **SETTINGS | {"observer": Listener()}
    )
    assert sum(" folds" in text for text in heard) == 4
    assert any(text.startswith("Chosen: ") for text in heard)
    assert result.test_accuracy == 1.0


def test_pixels_are_standardised_before_features(shared_pictures, tmp_path):
    result = keras_azure.run(
        MODEL, data=str(shared_pictures), standardize="featurewise", output=tmp_path / "run", **SETTINGS
    )
    assert any(layer.name == "standardize" for layer in result.model.features.layers)
    assert result.test_accuracy == 1.0


def test_there_is_nothing_to_fine_tune(shared_pictures, tmp_path):
    with pytest.raises(UsageError, match="'features' has no backbone whose blocks"):
        keras_azure.run(MODEL, data=str(shared_pictures), fine_tune="auto", output=tmp_path / "run", **SETTINGS)
    assert not (tmp_path / "run").exists()


def test_a_stopped_run_begins_anew(shared_pictures, tmp_path, finished, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))  # where the features are not yet

    class Stopper(Observer):
        def advance(self, activity, done, total):
            if activity == "Computing features":
                raise KeyboardInterrupt

    with pytest.raises(RunInterrupted):
        keras_azure.run(
            MODEL, data=str(shared_pictures), output=tmp_path / "stopped", **SETTINGS | {"observer": Stopper()}
        )
    resumed = keras_azure.resume(tmp_path / "stopped", observer=Observer())
    assert resumed.test_loss == finished.test_loss
