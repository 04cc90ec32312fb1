"""Names and folders that are given to commands."""

import json

import pytest
import typer
from PIL import Image

from keras_azure.cli import new
from keras_azure.data import open_dataset
from keras_azure.data.locate import find_dataset
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UsageError


@pytest.mark.parametrize(
    "name", ["..", ".", "/tmp/away", "../away", "a/b", "a\\b", "a\0b", "\x1b[31m", "", "a" * 300, "os"]
)
def test_models_with_names_of_other_places_are_not_written(kaz, tmp_path, monkeypatch, name):
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    code, out, err = kaz("new", "model", name)
    assert (code, out) == (2, "")
    assert err.startswith("Error: ")
    assert err.replace("\n", "").isprintable()
    assert sorted(tmp_path.rglob("*")) == [inside]


def test_names_of_new_models(throw, texts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    new.register(app)
    (new_model,) = (
        each.callback for each in app.registered_groups[0].typer_instance.registered_commands if each.name == "model"
    )
    throw(texts, new_model)


@pytest.mark.parametrize(
    "name", ["../..", "../../etc/passwd", "/etc", "mnist/../..", "", "\x1b[31m", "a\0b", ".:1.0.0"]
)
def test_tfds_names_lead_nowhere_else(survives, tmp_path, name):
    spec = find_dataset(f"tfds:{name}").with_options(data_dir=str(tmp_path), download=False)
    error = survives(lambda: open_dataset(spec, Observer()))
    assert isinstance(error, DataError)


def test_tfds_names(throw, texts, tmp_path):
    def parse(name):
        open_dataset(find_dataset(f"tfds:{name}").with_options(data_dir=str(tmp_path), download=False), Observer())

    with pytest.raises(DataError):  # TFDS opens many files of its own at first
        parse("none-of-them")
    throw(texts, parse, share=0.1)


def test_predictions_show_no_names_raw(kaz, tmp_path):
    from keras import Sequential, layers

    from keras_azure.models.saving import save_model

    model = Sequential([layers.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2, activation="softmax")])
    save_model(model, tmp_path / "model.keras")
    (tmp_path / "metrics.json").write_text(json.dumps({"class_names": ["\x1b[31mred", "\ud800"]}))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    picture = pictures / "\x1b[2J\n.png"
    Image.new("L", (4, 4)).save(picture)
    for options in ([], ["--json"], ["--top", "2"]):
        code, out, _ = kaz("predict", str(tmp_path), str(pictures), str(picture), *options)
        assert code == 0
        assert out.replace("\n", "").isprintable()
    picture.write_bytes(b"no picture")
    code, _, err = kaz("predict", str(tmp_path), str(picture))
    assert code == 1
    assert err.replace("\n", "").isprintable()


def test_a_model_that_takes_no_pictures_cannot_be_asked(tmp_path):
    from keras import Sequential, layers

    from keras_azure.models.predictor import load
    from keras_azure.models.saving import save_model

    (tmp_path / "metrics.json").write_text('{"class_names": ["a", "b"]}')
    for shape in ((4,), (4, 4, 7), (None, None, 3), (100_000, 100_000, 1)):
        pooled = layers.Dense(2) if len(shape) == 1 else layers.GlobalAveragePooling2D()
        save_model(Sequential([layers.Input(shape), pooled, layers.Dense(2)]), tmp_path / "model.keras")
        with pytest.raises(UsageError, match="takes no pictures"):
            load(tmp_path)
