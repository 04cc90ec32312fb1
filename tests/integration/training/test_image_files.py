"""Image files as people have them, in whole runs: they are trained on as documented, and what is done is said."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_azure
from keras_azure.data.formats.folder import Folder
from keras_azure.description.events import Observer
from keras_azure.errors import RunInterrupted, UnreadableFile

SETTINGS = {"epochs": 1, "batch_size": 4, "tracking": False, "set": ["filters=(2,)"]}
TAG = 0x0112


class Heard(Observer):
    def __init__(self):
        self.messages: list[str] = []

    def message(self, text):
        self.messages.append(text)


class Stops(Heard):
    """Asks for a stop after the first epoch."""

    def epoch_done(self, epoch, row):
        signal.raise_signal(signal.SIGINT)


def written(folder: Path, save: Callable[[np.ndarray, Path], None], size=(24, 20), classes=("a", "b")) -> Path:
    """Two classes of eight images, or one of each split; `save` stores an image of coloured noise."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for index in range(8):
            pixels = rng.integers(0, 100, (*size, 3)) + np.eye(3, dtype=int)[number % 2] * 150
            save(pixels.astype(np.uint8), folder / name / f"{index}.png")
    return folder


def plain(pixels: np.ndarray, path: Path) -> None:
    Image.fromarray(pixels).save(path)


def run(folder: Path, output: Path, **settings) -> tuple[Path, list[str]]:
    heard = Heard()
    keras_azure.run("cnn", data=str(folder), output=output, observer=heard, **SETTINGS | settings)
    return output, [message for message in heard.messages if message != "Loading Keras"]


def weights(run_dir: Path) -> bytes:
    return (run_dir / "model.keras").read_bytes()


def turned(pixels: np.ndarray, path: Path) -> None:
    orientation = 1 + int(pixels[0, 0, 0]) % 8
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[TAG] = orientation
    (image if undo is None else image.transpose(undo)).save(path, exif=exif)


def on_nothing(pixels: np.ndarray, path: Path) -> None:
    """The left half is transparent; what is hidden there differs from image to image."""
    visible = np.zeros((*pixels.shape[:2], 1), np.uint8)
    visible[:, pixels.shape[1] // 2 :] = 255
    Image.fromarray(np.concatenate([pixels, visible], axis=-1)).save(path)


def on_white(pixels: np.ndarray, path: Path) -> None:
    pixels = pixels.copy()
    pixels[:, : pixels.shape[1] // 2] = 255
    plain(pixels, path)


def test_images_are_trained_on_as_their_exif_data_turns_them(tmp_path):
    stored, messages = run(written(tmp_path / "turned", turned), tmp_path / "one")
    upright, _ = run(written(tmp_path / "upright", plain), tmp_path / "other")
    assert weights(stored) == weights(upright)
    assert messages[0] == "14 of 16 pictures are turned upright, as their EXIF data says."
    assert "test pictures of 24x20x3 in 2 classes" in messages[1]


def test_transparent_images_are_trained_on_as_they_are_on_white_and_it_is_said(tmp_path):
    stored, messages = run(written(tmp_path / "clear", on_nothing), tmp_path / "one")
    white, _ = run(written(tmp_path / "white", on_white), tmp_path / "other")
    assert weights(stored) == weights(white)
    assert messages[0] == "16 of 16 pictures may be transparent in parts: on white."


def deep(pixels: np.ndarray, path: Path) -> None:
    """As a camera of 12 bits stores it."""
    Image.fromarray((pixels[..., 0].astype(int) * 4095 // 255).astype(np.uint16)).save(path)


def test_images_of_12_bits_are_said_and_scaled_when_asked_for(tmp_path):
    folder = written(tmp_path / "deep", deep)
    dark, messages = run(folder, tmp_path / "dark", cache="disk")
    assert messages[0].startswith("The pictures of 16 bits a channel use a small part of their range: no level is ")
    assert "of 65535 in 16 of 16. Pass --bit-depth 12 to scale by 4095." in messages[0]
    scaled, messages = run(folder, tmp_path / "scaled", bit_depth=12, cache="disk")  # another entry of the store
    assert messages[0].startswith("image folder")
    assert "bit_depth=12" in json.loads((scaled / "run.json").read_text())["data"]
    gray, _ = run(written(tmp_path / "gray", lambda pixels, path: plain(pixels[..., 0], path)), tmp_path / "as gray")
    assert weights(dark) != weights(scaled)
    assert weights(scaled) == weights(gray)
    _, messages = run(tmp_path / "gray", tmp_path / "nothing", bit_depth=12)
    assert messages[0] == "No picture has 16 bits a channel: --bit-depth changes nothing."


def large(folder: Path) -> Path:
    return written(folder, plain, size=(600, 8))


LARGE = "The pictures are 600x8: all are brought to 224x224. Pass --image-size HEIGHT WIDTH for another size."


def test_large_images_are_brought_to_a_sensible_size_in_runs_plans_and_previews(kaz, tmp_path):
    folder = large(tmp_path / "photos")
    done, messages = run(folder, tmp_path / "run")
    assert messages[0] == LARGE
    assert "test pictures of 224x224x3 in 2 classes" in messages[1]
    for arguments in (
        ("plan", "cnn", "--set", "filters=(2,)"),
        ("preview", "--samples", "2", "--draws", "1", "--output", str(tmp_path / "sheet.png")),
    ):
        code, _, err = kaz(*arguments, "--data", str(folder))
        assert code == 0, err
        assert LARGE in err
    assert keras_azure.load(done).image_shape == (224, 224, 3)


def test_a_size_that_is_asked_for_is_kept_however_large(tmp_path):
    done, messages = run(large(tmp_path / "photos"), tmp_path / "run", image_size=(600, 8))
    assert LARGE not in messages
    assert keras_azure.load(done).image_shape == (600, 8, 3)


def test_a_run_that_began_when_large_images_kept_their_size_goes_on_with_it(tmp_path):
    folder, output = large(tmp_path / "photos"), tmp_path / "run"
    settings = SETTINGS | {"epochs": 2}
    whole, _ = run(folder, tmp_path / "whole", epochs=2, image_size=(600, 8))
    with pytest.raises(RunInterrupted):
        keras_azure.run("cnn", data=str(folder), output=output, observer=Stops(), image_size=(600, 8), **settings)
    description = json.loads((output / "run.json").read_text())
    description["data"] = f"folder(path='{folder}')"
    (output / "run.json").write_text(json.dumps(description))
    heard = Heard()
    keras_azure.resume(output, observer=heard)
    assert LARGE not in heard.messages
    assert weights(output) == weights(whole)


def splits(folder: Path) -> Path:
    return written(folder, plain, classes=("train/a", "train/b", "test/a", "test/b"))


def test_a_test_image_that_ends_too_early_is_found_before_training_plans_previews_and_uploads(kaz, tmp_path):
    folder = splits(tmp_path / "images")
    cut = folder / "test" / "b" / "5.png"
    cut.write_bytes(cut.read_bytes()[:-400])
    problem = f"The picture {cut} cannot be read: it is damaged"
    with pytest.raises(UnreadableFile, match="cannot be read") as caught:
        run(folder, tmp_path / "run", cache="none")
    assert caught.value.problem.startswith(problem)
    assert not (tmp_path / "run").exists()
    for arguments in (("plan", "cnn"), ("preview", "--output", str(tmp_path / "sheet.png"))):
        code, _, err = kaz(*arguments, "--data", str(folder))
        assert code == 1
        assert problem in err
    with pytest.raises(UnreadableFile, match="cannot be read") as caught:
        Folder(path=str(folder)).files(Observer())
    assert caught.value.problem.startswith(problem)


def damage(path: Path) -> None:
    """Among the pixels, which only decoding finds."""
    content = bytearray(path.read_bytes())
    content[-300:-200] = bytes(100)
    path.write_bytes(content)


def test_training_is_not_lost_to_a_test_image_that_cannot_be_read(tmp_path):
    folder = splits(tmp_path / "images")
    whole, _ = run(folder, tmp_path / "whole")
    damage(folder / "test" / "b" / "5.png")
    done, messages = run(folder, tmp_path / "run", cache="none")
    assert weights(done) == weights(whole)
    assert messages[-1].startswith(
        f"1 of 16 test pictures cannot be read, and are not tested on: The picture {folder}/test/b/5.png cannot be read"
    )
    results = json.loads((done / "metrics.json").read_text())
    assert results["untested_pictures"] == 1
    assert round(results["test_accuracy"] * 15, 6) % 1 == 0
    assert (done / "plots" / "worst_mistakes.png").exists()
    assert "untested_pictures" not in json.loads((whole / "metrics.json").read_text())


def test_a_test_without_any_image_that_can_be_read_is_made_when_they_are_back(tmp_path):
    folder, output = splits(tmp_path / "images"), tmp_path / "run"

    class Gone(Heard):
        def training_done(self):
            (folder / "test").rename(folder / "elsewhere")

    with pytest.raises(UnreadableFile, match="no such file"):
        keras_azure.run("cnn", data=str(folder), output=output, observer=Gone(), cache="none", **SETTINGS)
    (folder / "elsewhere").rename(folder / "test")
    trained = weights(output)
    keras_azure.resume(output, observer=Heard())
    assert weights(output) == trained
    assert (output / "metrics.json").exists()
