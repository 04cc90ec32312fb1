"""Run folders that version 0.1.0 made, before the package was moved into folders, are run folders still.

`old_runs` has a small run of each kind, and one that was killed in its second epoch, with the history that it has
where nobody kills it.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import keras_azure
from keras_azure.errors import KerasAzureError

OLD_RUNS = Path(__file__).parent / "old_runs"
CLASSIFIERS = ("classify", "staged", "features")
FINISHED = (*CLASSIFIERS, "autoencoder")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The old runs, where those that start from another's weights find it."""
    folder = shutil.copytree(OLD_RUNS, tmp_path / "runs")
    for description in folder.glob("*/run.json"):
        description.write_text(description.read_text().replace("'/runs/", f"'{folder}/"))
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Ten digits, 0 to 9, as files."""
    folder = tmp_path_factory.mktemp("digits")
    pixels = (load_digits().images[:10] * 255 / 16).astype(np.uint8)
    for number, values in enumerate(pixels):
        Image.fromarray(values).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def history_of(path: Path) -> list[dict[str, float]]:
    with path.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_it_predicts(runs, images, name):
    predictions = keras_azure.load(runs / name).predict(images)
    assert len(predictions) == 10
    assert {prediction.class_name for prediction in predictions} <= set("0123456789")
    for prediction in predictions:
        assert 0.1 <= prediction.probability <= 1


def test_an_autoencoder_gives_no_classes(runs, images):
    with pytest.raises(KerasAzureError, match="gives no probabilities of classes"):
        keras_azure.load(runs / "autoencoder").predict(images)


@pytest.mark.parametrize("name", FINISHED)
def test_a_report_is_made_of_it(runs, name):
    report = keras_azure.report(runs / name).read_text(encoding="utf-8")
    accuracy = json.loads((runs / name / "metrics.json").read_text())["test_accuracy"]
    if accuracy is not None:  # as it was tested again: old runs have no predictions
        assert f'<td class="short">{100 * accuracy:.1f} % (' in report
    assert report.count("<img ") > 5
    assert (runs / name / "predictions.npz").exists() == (accuracy is not None)  # for the next one, and comparisons


@pytest.mark.parametrize("name", FINISHED)
def test_it_can_be_repeated(runs, tmp_path, name):
    again = keras_azure.run(config=runs / name / "run.json", output=tmp_path / "again")
    before = json.loads((runs / name / "metrics.json").read_text())
    # Another processor, or another TensorFlow, may round otherwise.
    assert again.test_loss == pytest.approx(before["test_loss"], rel=0.02)
    assert again.epochs == before["epochs"]
    assert again.parameters == before["parameters"]


def test_one_that_was_killed_goes_on(runs):
    result = keras_azure.resume(runs / "unfinished")
    expected = history_of(runs / "unfinished" / "expected_history.csv")
    assert result.epochs == len(expected) == 4
    for row, wanted in zip(result.history, expected, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
            assert row[name] == pytest.approx(wanted[name], rel=0.02), name
    # The first epoch is the one that the checkpoint has: it was not made again.
    assert {name: result.history[0][name] for name in expected[0]} == expected[0] | {
        "seconds": result.history[0]["seconds"],
        "images_per_second": result.history[0]["images_per_second"],
    }
