"""`kaz predict`: a line for each picture, or JSON."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from keras_azure.models.saving import save_model

CLASSES = ["dark", "bright"]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    model = keras.Sequential(
        [
            layers.Input((8, 6, 1)),
            layers.Rescaling(1 / 255),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.set_weights([np.array([[-4.0, 4.0]]), np.array([2.0, -2.0])])
    save_model(model, folder / "model.keras")
    (folder / "metrics.json").write_text(json.dumps({"class_names": CLASSES}))
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "deeper.png").mkdir(parents=True)
    Image.new("L", (30, 20), 0).save(folder / "black.png")
    Image.new("L", (30, 20), 255).save(folder / "White.JPG")
    Image.new("L", (30, 20), 255).save(folder / "deeper.png" / "white.png")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    return folder


def test_a_line_for_each_picture(kaz, run_dir, pictures):
    code, out, err = kaz("predict", str(run_dir), str(pictures / "black.png"), str(pictures / "White.JPG"))
    assert (code, err) == (0, "")
    assert [line.split() for line in out.splitlines()] == [
        [str(pictures / "black.png"), "dark", "98.2%"],
        [str(pictures / "White.JPG"), "bright", "98.2%"],
    ]


def test_a_folder_stands_for_the_pictures_directly_in_it(kaz, run_dir, pictures):
    code, out, _ = kaz("predict", str(run_dir), str(pictures), str(pictures / "deeper.png"))
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        str(pictures / "White.JPG"),
        str(pictures / "black.png"),
        str(pictures / "deeper.png" / "white.png"),
    ]


def test_the_most_probable_classes(kaz, run_dir, pictures):
    out = kaz("predict", str(run_dir), str(pictures / "black.png"), "--top", "5")[1]
    assert out.split() == [str(pictures / "black.png"), "dark", "98.2%", "bright", "1.8%"]


def test_json(kaz, run_dir, pictures):
    code, out, err = kaz("predict", str(run_dir), str(pictures), "--json", "--top", "2")
    assert (code, err) == (0, "")
    white, black = json.loads(out)
    assert white["path"] == str(pictures / "White.JPG")
    assert white["class"] == "bright"
    assert white["probability"] == white["probabilities"]["bright"] == pytest.approx(0.982, abs=1e-3)
    assert [*black["probabilities"]] == ["dark", "bright"]
    (alone,) = json.loads(kaz("predict", str(run_dir), str(pictures / "black.png"), "--json")[1])
    assert [*alone["probabilities"]] == ["dark"]


def test_a_name_that_is_not_utf_8_is_printed_all_the_same(kaz, run_dir, tmp_path):
    Image.new("L", (30, 20), 0).save(tmp_path / "black.png")
    strange = (tmp_path / "black.png").rename(tmp_path / "caf\udce9.png")
    code, out, _ = kaz("predict", str(run_dir), str(strange))
    assert code == 0
    assert r"caf\udce9.png  dark" in out
    assert json.loads(kaz("predict", str(run_dir), str(strange), "--json")[1])[0]["path"] == str(strange)


def test_unreadable_pictures_are_one_message(kaz, run_dir, pictures):
    for wrong, reason in ((pictures / "notes.txt", "it is no picture"), (pictures / "none.png", "no such file")):
        code, out, err = kaz("predict", str(run_dir), str(pictures / "black.png"), str(wrong))
        assert (code, out) == (1, "")
        assert f"The picture {wrong} cannot be read: {reason}" in err
        assert "leave it out" in err
        assert "Traceback" not in err


def test_wrong_calls_are_one_message(kaz, run_dir, pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([str(tmp_path), str(pictures)], "There is no run in"),
        ([str(run_dir), str(tmp_path / "empty")], "has no pictures directly in it"),
        ([str(run_dir), str(pictures), "--top", "0"], "top"),
        ([str(run_dir)], "PICTURE"),
    ):
        code, out, err = kaz("predict", *arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert "Traceback" not in err
