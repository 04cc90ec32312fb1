"""Evaluations: the numbers of the run itself, other data by its class names, groups, flips, and what is refused."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score

import keras_azure
from keras_azure.data.images import read_image
from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError, OutputExists, RunFailed, UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.figures import ClassFigures
from keras_azure.models.saving import save_model

KINDS = ("classify", "multilabel", "regress", "features", "autoencoder")


def evaluate(run, *arguments, **settings):
    return keras_azure.evaluate(run, *arguments, **{"observer": Observer(), **settings})


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_its_own_test_split_has_the_numbers_that_it_has_itself(runs, kind):
    found = evaluate(runs[kind].run_dir)
    facts = json.loads((runs[kind].run_dir / "metrics.json").read_text())
    assert {name: found.scores[name] for name in facts["test_metrics"]} == facts["test_metrics"]
    if kind != "autoencoder":
        kept = Answers.load(runs[kind].run_dir / "predictions.npz")
        assert found.answers is not None
        assert found.answers.comparable(kept)
        assert np.array_equal(found.answers.given, kept.given)


def test_a_model_from_elsewhere_has_them_too(runs, tables, tmp_path):
    model = tmp_path / "mine.keras"
    shutil.copy(runs["classify"].run_dir / "model.keras", model)
    (tmp_path / "classes.txt").write_text("bright\ndark\n")
    found = evaluate(model, str(tables / "classify.csv"), classes=tmp_path / "classes.txt", batch_size=8)
    assert found.scores["loss"] == runs["classify"].test_loss
    assert found.scores["accuracy"] == runs["classify"].test_accuracy
    with pytest.raises(UsageError, match="does not tell its classes"):
        evaluate(model, str(tables / "classify.csv"))
    with pytest.raises(UsageError, match="nothing says which data"):
        evaluate(model, classes=["bright", "dark"])


def test_a_model_of_labels_or_numbers_from_elsewhere_tells_their_names(runs, tables, tmp_path):
    model = tmp_path / "mine.keras"
    shutil.copy(runs["regress"].run_dir / "model.keras", model)
    data = f"table(path={str(tables / 'regress.csv')!r}, label_column=('price', 'tilt'))"
    assert evaluate(model, data, batch_size=8).scores["mae"] == runs["regress"].test_metrics["mae"]


def test_other_data_is_matched_by_the_names_of_its_classes(runs, tmp_path, told):
    """In another order, size and colour, and with a class that the model does not know."""
    random = np.random.default_rng(1)
    for name, level in (("dark", 40), ("bright", 215), ("aardvark", 120)):
        (tmp_path / "other" / name).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(level - 30, level + 30, (24, 20), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "other" / name / f"{number}.png")
    found = evaluate(runs["classify"].run_dir, str(tmp_path / "other"), split="all", observer=told)
    assert found.images == 12
    assert "Images are brought to 12x10, colour, which the model takes." not in told.lines  # the data set does it
    assert "6 images are left out: the model does not know 'aardvark'." in told.lines
    assert found.answers is not None and found.answers.names == ("bright", "dark")
    model = runs["classify"].model
    of_name = {"bright": 0, "dark": 1}
    paths = [path for path in sorted((tmp_path / "other").rglob("*.png")) if path.parent.name in of_name]
    pixels = np.stack([read_image(path, (12, 10), 3) for path in paths])
    said = model.predict(pixels.astype("float32"), verbose=0).argmax(axis=1)
    assert found.scores["accuracy"] == accuracy_score([of_name[path.parent.name] for path in paths], said)


def test_data_that_keeps_its_own_size_is_brought_to_that_of_the_model(runs, told):
    random = np.random.default_rng(2)
    images, labels = random.integers(0, 256, (20, 30, 25, 1), np.uint8), np.arange(20) % 2
    data = keras_azure.ArrayDataset(("dark", "bright"), {"train": (images, labels), "test": (images, labels)}, "made")
    found = evaluate(runs["classify"].run_dir, data, observer=told)
    assert found.answers is not None and found.answers.truth.tolist() == [1 - label for label in labels.tolist()]
    assert "Images are brought to 12x10, colour, which the model takes." in told.lines


@pytest.mark.parametrize("split", ["train", "validation", "test", "all"])
def test_each_split_can_be_tested(runs, split):
    found = evaluate(runs["classify"].run_dir, split=split)
    assert found.images == {"train": 42, "validation": 18, "test": 20, "all": 80}[split]


def test_groups_are_those_of_a_column(runs):
    found = evaluate(runs["classify"].run_dir, by="camera")
    assert {name: group.images for name, group in found.groups.items()} == {"left": 10, "right": 10}
    assert found.answers is not None
    of_left = found.answers.right[[index % 2 == 0 for index in range(20)]]
    assert found.groups["left"].scores["accuracy"] == of_left.mean()
    with pytest.raises(KerasAzureError, match="no column 'lens'"):
        evaluate(runs["classify"].run_dir, by="lens")
    with pytest.raises(UsageError, match="'file' has 80 different values among the 80 images"):
        evaluate(runs["classify"].run_dir, split="all", by="file")


def test_flips_are_averaged(runs):
    plain, flipped = (evaluate(runs["classify"].run_dir, tta=tta).answers for tta in (False, True))
    assert plain is not None and flipped is not None
    images, _ = _test_images(runs["classify"].run_dir)
    mirrored = runs["classify"].model.predict(images[:, :, ::-1], verbose=0)
    assert np.allclose(flipped.given, (plain.given + mirrored) / 2, atol=1e-6)


def test_what_does_not_fit_is_refused(runs, tables):
    folder = runs["classify"].run_dir
    with pytest.raises(UsageError, match="is for 'classify', and the labels of the data are for 'regress'"):
        evaluate(folder, f"table(path={str(tables / 'regress.csv')!r}, label_column=('price', 'tilt'))")
    with pytest.raises(UsageError, match="The classes of the model are not those of the data"):
        evaluate(folder, "digits")
    with pytest.raises(UsageError, match="no columns"):
        evaluate(folder, _arrays(), by="camera")
    with pytest.raises(UsageError, match="There is no split 'validation'"):
        evaluate(folder, _arrays(), split="validation")
    with pytest.raises(UsageError, match="no run"):
        evaluate(tables)


def test_a_run_on_data_of_a_program_is_evaluated_on_it_given_again(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), np.uint8)
    data = images, np.arange(30) % 3
    settings = {"epochs": 1, "batch_size": 8, "tracking": False, "observer": Observer(), "output": tmp_path / "run"}
    run = keras_azure.run("cnn(filters=(2,), dense=(4,))", data=data, **settings)
    assert evaluate(run.run_dir, data).scores["loss"] == run.test_loss
    with pytest.raises(UsageError, match="was in the memory of a Python program"):
        evaluate(run.run_dir)


def test_results_are_written_whole_and_over_nothing(runs, tmp_path):
    found = evaluate(runs["classify"].run_dir)
    found.save(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("evaluation.json", "predictions.npz", "confusion_matrix.csv", "classes.csv")
    }
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == json.loads(json.dumps(found.to_json()))
    assert isinstance(found.figures, ClassFigures)
    rows = (tmp_path / "out" / "confusion_matrix.csv").read_text().splitlines()
    assert rows[0] == ",bright,dark"
    assert [list(map(int, row.split(",")[1:])) for row in rows[1:]] == found.figures.confusion.tolist()
    with pytest.raises(OutputExists):
        found.save(tmp_path / "out")


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_shows_itself(runs, kind):
    found = evaluate(runs[kind].run_dir)
    text, page = repr(found), found._repr_html_()
    assert max(map(len, text.splitlines()[2:])) <= 80
    for name, group in (("classify", "bright"), ("multilabel", "down"), ("regress", "tilt")):
        assert (group in text and group in page) == (kind in (name, "features" if name == "classify" else ""))
    assert "<script" not in page


@pytest.mark.slow
def test_damaged_models_and_runs_are_refused_in_one_sentence(runs, tmp_path):
    """Each file of a run, damaged in many ways: a result, or one sentence."""
    random = np.random.default_rng(5)
    source, outcomes = runs["classify"].run_dir, {"refused": 0, "evaluated": 0}
    files = ("model.keras", "run.json", "metrics.json")
    for number in range(250):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        for name in files:
            shutil.copy(source / name, folder / name)
        path = folder / files[number % 3]
        content = bytearray(path.read_bytes())
        match random.integers(4):
            case 0:
                content = content[: random.integers(0, len(content))]
            case 1:
                for place in random.integers(0, len(content), random.integers(1, 40)):
                    content[place] = random.integers(256)
            case 2:
                content = bytearray(random.integers(0, 256, random.integers(0, 500), np.uint8).tobytes())
            case _:
                start = random.integers(0, len(content))
                content[start : start + random.integers(1, 200)] = b""
        path.write_bytes(content)
        try:
            evaluate(folder)
            outcomes["evaluated"] += 1
        except KerasAzureError as error:
            assert error.exit_code in (1, 2)
            assert "\n" not in error.problem and len(error.problem) < 1000
            outcomes["refused"] += 1
        shutil.rmtree(folder)
    assert outcomes["refused"] > 150


def test_a_model_that_gives_logits_is_refused(runs, tables, tmp_path):
    model = runs["classify"].model
    model.layers[-1].activation = keras.activations.linear
    model.save(tmp_path / "logits.keras")
    with pytest.raises(UsageError, match="gives no probabilities"):
        evaluate(tmp_path / "logits.keras", str(tables / "classify.csv"), classes=["bright", "dark"])


def test_a_model_that_gives_no_numbers_is_refused(own_run):
    model = keras.saving.load_model(own_run / "model.keras")
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    save_model(model, own_run / "model.keras")
    with pytest.raises(RunFailed, match="no number for 20 of 20 images"):
        evaluate(own_run)


def _arrays():
    images, labels = np.zeros((4, 12, 10, 3), np.uint8), np.array([0, 1, 0, 1])
    return keras_azure.ArrayDataset(("bright", "dark"), {"train": (images, labels), "test": (images, labels)}, "made")


def _test_images(run_dir: Path):
    config = keras_azure.RunConfig.from_json((run_dir / "run.json").read_text())
    dataset = keras_azure.DATASETS.build(config.data_to_open)
    dataset.prepare(Observer())
    samples = [dataset.read("test", index) for index in range(dataset.split_sizes["test"])]
    return np.stack([pixels for pixels, _ in samples]).astype("float32"), [label for _, label in samples]
