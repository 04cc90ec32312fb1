"""`kaz predict`: a line for each picture, or JSON."""

import json
import shutil

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
    (folder / "Thumbs.db").write_text("no picture")
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
    code, out, err = kaz("predict", str(run_dir), str(pictures), str(pictures / "deeper.png"))
    assert code == 0
    assert err.splitlines() == [
        f"Left out of {pictures}, as hidden files and folders are: .hidden.png",
        f"Left out of {pictures}, as folders in a folder are: deeper.png",
    ]
    assert [line.split()[0] for line in out.splitlines()] == [
        str(pictures / "White.JPG"),
        str(pictures / "black.png"),
        str(pictures / "deeper.png" / "white.png"),
    ]


def test_the_most_probable_classes(kaz, run_dir, pictures):
    out = kaz("predict", str(run_dir), str(pictures / "black.png"), "--top", "5")[1]
    assert out.split() == [str(pictures / "black.png"), "dark", "98.2%", "bright", "1.8%"]


def test_json(kaz, run_dir, pictures):
    named = [str(pictures / name) for name in ("White.JPG", "black.png")]
    code, out, err = kaz("predict", str(run_dir), *named, "--json", "--top", "2")
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


def test_what_cannot_be_read_is_one_message_beside_the_other_lines(kaz, run_dir, pictures):
    (pictures / "notes.txt").write_text("no picture")
    for wrong, reason in ((pictures / "notes.txt", "it is no picture"), (pictures / "none.png", "no such file")):
        code, out, err = kaz("predict", str(run_dir), str(pictures / "black.png"), str(wrong))
        assert code == 1
        assert out.split() == [str(pictures / "black.png"), "dark", "98.2%"]
        assert f"The picture {wrong} cannot be read: {reason}" in err
        assert "leave it out" in err
        assert "Traceback" not in err


def test_files_of_a_folder_are_known_by_their_content(kaz, run_dir, tmp_path):
    """Forty good ones, more than a batch; some with endings that are less usual; one that ends too early."""
    for number in range(40):
        Image.new("L", (8, 8), 255 * (number % 2)).save(tmp_path / f"good-{number:02}.png")
    photo = Image.effect_noise((64, 64), 100).convert("RGB")
    for name, kind in {"camera.JPE": "JPEG", "camera.jfif": "JPEG", "noending": "JPEG", "photo.webp": "WEBP"}.items():
        photo.save(tmp_path / name, kind)
    cut = tmp_path / "z-truncated.jpg"
    cut.write_bytes((tmp_path / "noending").read_bytes()[:900])
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.jpg").mkdir()
    code, out, err = kaz("predict", str(run_dir), str(tmp_path))
    assert code == 1
    found = {line.split()[0].removeprefix(f"{tmp_path}/"): line.split()[1] for line in out.splitlines()}
    expected = {f"good-{number:02}.png": CLASSES[number % 2] for number in range(40)}
    assert found.items() >= expected.items()
    assert {*found} == {*expected, "camera.JPE", "camera.jfif", "noending", "photo.webp"}
    assert f"The picture {cut} cannot be read: it is damaged" in err
    assert f"The picture {tmp_path}/gone.jpg cannot be read: no such file" in err
    assert "Traceback" not in err
    code, out, _ = kaz("predict", str(run_dir), str(tmp_path), "--json")
    assert (code, len(json.loads(out))) == (1, 44)
    code, out, _ = kaz("predict", str(run_dir), str(cut), "--json")
    assert (code, json.loads(out)) == (1, [])


@pytest.fixture(scope="module")
def top_run(tmp_path_factory):
    """A run whose model looks at the upper half alone, in colour: "dark" or "bright"."""
    folder = tmp_path_factory.mktemp("top")
    pixels = layers.Input((8, 6, 3))
    upper = layers.GlobalAveragePooling2D()(layers.Cropping2D(((0, 4), (0, 0)))(layers.Rescaling(1 / 255)(pixels)))
    model = keras.Model(pixels, layers.Dense(2, activation="softmax")(upper))
    model.set_weights([np.array([[-9.0, 9.0]] * 3), np.array([13.5, -13.5])])
    save_model(model, folder / "model.keras")
    (folder / "metrics.json").write_text(json.dumps({"class_names": CLASSES}))
    return folder


def predicted(kaz, run, *paths) -> tuple[list[str], str]:
    code, out, err = kaz("predict", str(run), *map(str, paths))
    assert code == 0
    return [" ".join(line.split()[1:]) for line in out.splitlines()], err


def test_pictures_are_turned_as_their_exif_data_says(kaz, top_run, tmp_path):
    image = Image.new("RGB", (48, 48))
    image.paste("white", (0, 0, 48, 24))
    image.save(tmp_path / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "tagged.jpg", quality=95, exif=exif)
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png")
    (upright, tagged, lying), err = predicted(
        kaz, top_run, *(tmp_path / name for name in ("upright.png", "tagged.jpg", "lying.png"))
    )
    assert upright == tagged == "bright 100.0%"
    assert lying != upright
    assert err == "1 of 3 pictures are turned upright, as their EXIF data says.\n"


def test_transparent_pixels_do_not_count_and_it_is_said(kaz, top_run, tmp_path):
    paths = []
    for hidden in ((0, 0, 0), (255, 255, 255), (220, 30, 30)):
        image = Image.new("RGBA", (32, 32), (*hidden, 0))
        image.paste((30, 30, 220, 255), (0, 0, 16, 32))
        paths.append(tmp_path / f"{hidden[0]}.png")
        image.save(paths[-1])
    found, err = predicted(kaz, top_run, *paths)
    assert len({*found}) == 1
    assert err == "3 of 3 pictures may be transparent in parts: on white.\n"


def test_the_levels_of_16_bits_are_scaled_as_in_training(kaz, top_run, tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((8, 6), 4000, np.uint16)).save(path)
    assert predicted(kaz, top_run, path)[0] == ["dark 100.0%"]
    run = tmp_path / "run"
    shutil.copytree(top_run, run)
    (run / "run.json").write_text(json.dumps({"data": "folder(path='/x', bit_depth=12)"}))
    assert predicted(kaz, run, path)[0] == ["bright 100.0%"]
    for damaged, problem in (
        ("{", "run.json"),
        ('{"data": 3}', "data 3"),
        ('{"data": "a(bit_depth=99)"}', "bit_depth"),
    ):
        (run / "run.json").write_text(damaged)
        code, _, err = kaz("predict", str(run), str(path))
        assert code != 0
        assert problem in err
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
