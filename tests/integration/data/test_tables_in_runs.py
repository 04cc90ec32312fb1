"""A table of images and labels, in everything that is done with it, and a DataFrame in place of it."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fixtures.archives import class_folders, write_folder

import keras_azure
from keras_azure.data import open_dataset
from keras_azure.description.config import describe_run
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, RunInterrupted, UsageError, WrongOption

FILES = class_folders()
FAST = {"epochs": 1, "batch_size": 8, "tracking": False}
ROWS = [(f"{name}", name.split("/")[0], f"p{number % 6}", 1 + number % 2) for number, name in enumerate(FILES)]


class Stopper(Observer):
    def epoch_done(self, epoch, row):
        raise KeyboardInterrupt


class FrameOfPolars:
    """What polars has, as far as it is asked: columns of its own kind, whose lists are columns again."""

    def __init__(self, columns):
        self._columns = columns
        self.columns = list(columns)
        self.dtypes = []
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __getitem__(self, name):
        return iter(Series(value) if isinstance(value, list) else value for value in self._columns[name])


class Series:
    def __init__(self, values):
        self._values = values

    def to_list(self):
        return self._values


@pytest.fixture
def data(tmp_path):
    """A table beside its folder of images."""
    write_folder(tmp_path / "images", FILES)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("picture", "species", "patient", "w"), *ROWS])
    return tmp_path / "labels.csv"


@pytest.fixture
def options(data):
    return {
        "image_column": "picture",
        "label_column": "species",
        "image_folder": str(data.parent / "images"),
        "group_column": "patient",
        "weight_column": "w",
    }


def opened(data, **settings):
    return open_dataset(describe_run("cnn", None, {"data": data, **settings}).data, Observer())


def samples(dataset):
    return {
        split: [(image.tolist(), int(label)) for image, label in (dataset.read(split, index) for index in range(size))]
        for split, size in dataset.split_sizes.items()
    }


def test_commands_take_the_columns(kaz, data, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    flags[flags.index(options["image_folder"])] = "images"
    code, out, err = kaz("run", "cnn", "--data", "labels.csv", *flags, "--epochs", "1", "--no-tracking", "--json")
    assert code == 0, err
    said = "files in column 'picture', a class in 'species', groups in 'patient', weights in 'w'"
    assert said in " ".join(err.split())
    described = json.loads(Path(json.loads(out)["run_dir"], "run.json").read_text())["data"]
    assert described.startswith("table(group_column='patient', image_column='picture', ")
    assert f"image_folder={str(tmp_path / 'images')!r}, label_column='species', path={str(data)!r}" in described
    assert kaz("preview", "--data", "labels.csv", *flags, "--samples", "2", "--draws", "2")[0] == 0
    assert Path("preview.png").is_file()
    for command in (
        ["plan", "cnn", "--backend", "local"],
        ["bench", "input", "cnn", "--rounds", "1", "--seconds", "0.01"],
    ):
        code, _, err = kaz(*command, "--data", "labels.csv", *flags)
        assert code == 0, err


def test_what_is_no_table_has_no_columns(data):
    with pytest.raises(WrongOption, match="The data set 'folder' has no option 'label_column'"):
        opened(str(data.parent / "images"), label_column="species")


def test_a_column_that_is_not_there_is_one_sentence(kaz, data):
    code, _, err = kaz("run", "cnn", "--data", str(data), "--image-column", "picture", "--label-column", "breed")
    assert code == 1
    assert "has no column 'breed'" in err
    assert "Traceback" not in err


def test_an_autoencoder_needs_no_labels(data, options, tmp_path):
    del options["label_column"]
    result = keras_azure.run(
        "autoencoder", data=str(data), output=tmp_path / "run", observer=Observer(), **options, **FAST
    )
    assert result.run_dir.is_dir()


FRAMES = {
    "pandas": lambda columns: pd.DataFrame(columns),
    "pandas, of categories": lambda columns: pd.DataFrame(columns).astype({"species": "category"}),
    "like polars": FrameOfPolars,
}


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_is_the_table(data, options, kind):
    columns = {
        name: list(values)
        for name, values in zip(("picture", "species", "patient", "w"), zip(*ROWS, strict=True), strict=True)
    }
    frame = FRAMES[kind](columns)
    found, expected = opened(frame, **options), opened(str(data), **options)
    assert samples(found) == samples(expected)
    assert found.class_names == expected.class_names
    for split in found.split_sizes:
        assert np.array_equal(found.groups(split), expected.groups(split))
        assert np.array_equal(found.weights(split), expected.weights(split))


@pytest.mark.parametrize("kind", ["pandas", "like polars"])
def test_values_of_frames(data, options, kind, monkeypatch):
    """Paths are within the current folder, where none is named."""
    monkeypatch.chdir(data.parent / "images")
    names = list(FILES)
    tags = FRAMES[kind]({"file": names, "label": [["a"] if n % 2 else ["a", "b"] for n in range(24)]})
    assert (opened(tags).task, opened(tags).class_names) == ("multilabel", ("a", "b"))
    numbers = FRAMES[kind]({"file": names, "target": [float(n) / 4 for n in range(24)]})
    assert opened(numbers).task == "regress"
    whole = FRAMES[kind]({"file": names, "label": [n % 3 for n in range(24)]})
    assert opened(whole).class_names == ("0", "1", "2")
    bits = FRAMES[kind]({"file": names, "x": [bool(n % 2) for n in range(24)], "y": [n % 3 == 0 for n in range(24)]})
    assert (opened(bits, label_column=["x", "y"]).task, opened(bits, label_column="x,y").class_names) == (
        "multilabel",
        ("x", "y"),
    )


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_missing_values_of_frames_are_refused(data, missing, monkeypatch):
    monkeypatch.chdir(data.parent / "images")
    labels = pd.Series(["a", missing, *["b"] * 22], dtype=object)
    with pytest.raises(DataError, match="Row 2 of the DataFrame has no value in column 'label'"):
        opened(pd.DataFrame({"file": list(FILES), "label": labels}))


def test_columns_with_numbers_for_names(data, monkeypatch):
    monkeypatch.chdir(data.parent / "images")
    frame = pd.DataFrame([[name, name.split("/")[0]] for name in FILES])
    assert opened(frame, image_column="0", label_column="1").class_names == ("bright", "dark")


def test_a_run_of_a_frame_goes_on_with_the_same_and_no_other(data, options, tmp_path):
    frame = pd.DataFrame(ROWS, columns=["picture", "species", "patient", "w"])
    settings = {**options, **FAST, "epochs": 2}
    whole = keras_azure.run("cnn", data=frame, output=tmp_path / "whole", observer=Observer(), **settings)
    from_table = keras_azure.run("cnn", data=str(data), output=tmp_path / "table", observer=Observer(), **settings)
    folder = tmp_path / "run"
    with pytest.raises(RunInterrupted):
        keras_azure.run("cnn", data=frame, output=folder, observer=Stopper(), **settings)
    other = frame.assign(species=frame["species"].iloc[::-1].to_numpy())
    with pytest.raises(DataError, match="its images, their labels or their order are others"):
        keras_azure.run("cnn", data=other, output=folder, observer=Observer(), **settings)
    result = keras_azure.run("cnn", data=frame, output=folder, observer=Observer(), **settings)
    models = [(each.run_dir / "model.keras").read_bytes() for each in (whole, result, from_table)]
    assert models[0] == models[1] == models[2]


def test_a_frame_is_in_this_program_alone():
    with pytest.raises(UsageError, match="is in the memory of this program") as caught:
        keras_azure.dry_run("cnn", data=pd.DataFrame({"file": ["a"], "label": ["b"]}), backend="azure-nc6")
    assert "to_csv" in caught.value.hint


@pytest.mark.parametrize(
    ("label", "settings", "metric", "task"),
    [
        (lambda number: "a;b" if number % 2 else "b", {"label_separator": ";"}, "macro_f1", "multilabel"),
        (lambda number: number / 4, {}, "mae", "regress"),
    ],
)
def test_labels_of_other_tasks_are_trained_in_groups_with_weights(
    data, options, tmp_path, make_listener, label, settings, metric, task
):
    rows = [(name, label(number), group, weight) for number, (name, _, group, weight) in enumerate(ROWS)]
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([("picture", "species", "patient", "w"), *rows])
    listener, output = make_listener(), tmp_path / "run"
    result = keras_azure.run("cnn", data=str(data), output=output, observer=listener, **options, **settings, **FAST)
    assert metric in result.test_metrics
    assert listener.heard(f"Task: {task}")
    assert keras_azure.preview(str(data), samples=2, draws=2, observer=Observer(), **options, **settings)
    plan = keras_azure.plan("cnn", data=str(data), backend="local", observer=Observer(), **options, **settings)
    assert plan["data"].startswith("table(")
