"""What a folder means, in everything that is done with it: run, plan, preview, bench, dry run, resume."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_azure
from keras_azure.backends.azure import staging
from keras_azure.backends.azure.wheels import Packages
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, RunInterrupted

FAST = {"epochs": 1, "batch_size": 8, "tracking": False}
SPLITS = ("Lehre/cat", "Lehre/dog", "Pruefung/cat", "Pruefung/dog")


def draw(root: Path, *folders: str, count: int = 8, prefix: str = "") -> Path:
    """Dark images of the first class, bright ones of the others."""
    rng = np.random.default_rng(len(folders))
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = rng.integers(0, 60, (8, 8, 3)) + (150 if folder.endswith("dog") else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(root / folder / f"{prefix}{number}.png")
    return root


@pytest.fixture
def everything(tmp_path, make_listener, monkeypatch):
    """Does with data whatever can be done with it, and gives what was said and the problem of each that is refused."""
    monkeypatch.setattr(staging, "packages_of", lambda specs, engine, more: Packages((), ()))
    monkeypatch.chdir(tmp_path)

    def stage(model, **settings):
        observer = settings.pop("observer")
        config = RunConfig(model=model, data=str(settings.pop("data")), backend="azure-nc6").resolved()
        assert not settings
        staging.stage(config, tmp_path / "staged", observer)

    ways = {
        "run": lambda model, **settings: keras_azure.run(model, **settings, **FAST),
        "plan": lambda model, **settings: keras_azure.plan(model, backend="local", batch_size=8, **settings),
        "bench": lambda model, **settings: keras_azure.bench(model, part="input", rounds=1, seconds=0.01, **settings),
        "preview": lambda _, **settings: keras_azure.preview(samples=1, draws=1, **settings),
        "dry run": stage,
    }

    def done(*names: str, model: str = "cnn", **settings):
        said, problems = {}, {}
        for name in names or ways:
            listener = make_listener()
            try:
                ways[name](model, observer=listener, **settings)
            except DataError as error:
                problems[name] = str(error)
            said[name] = listener.messages
        return said, problems

    return done


@pytest.mark.parametrize(
    ("folders", "problem", "hint"),
    [
        (SPLITS, "hold the same folders", "--split-names train=Lehre,test=Pruefung"),
        (("archive/cat", "archive/dog"), "only one class", "--data {}/archive"),
        ((".",), "holds no class folders", "a folder of its own"),
        (("train/cat", "train/dog", "test"), "test holds no class folders", "--data {}/train"),
    ],
)
def test_what_is_no_labelled_data_is_refused_alike_with_a_hint(everything, tmp_path, folders, problem, hint):
    data = draw(tmp_path / "data", *folders)
    _, problems = everything(data=str(data))
    assert len({*problems.values()}) == 1
    assert {*problems} == {"run", "plan", "bench", "preview", "dry run"}
    assert problem in problems["run"]
    assert hint.format(data) in problems["run"]
    assert not list(Path("runs").glob("*/model.keras"))


def test_splits_that_are_named_are_read_alike(everything, tmp_path):
    data = draw(tmp_path / "data", *SPLITS)
    said, problems = everything("run", "plan", "preview", data=str(data), split_names="train=Lehre,test=Pruefung")
    assert problems == {}
    for messages in said.values():
        (line,) = [each for each in messages if "16 training and 16 test" in each]
        assert "splits taken from Lehre, Pruefung" in line
    (run_dir,) = Path("runs").glob("*-cnn")
    assert "split_names='train=Lehre,test=Pruefung'" in json.loads((run_dir / "run.json").read_text())["data"]


@pytest.mark.parametrize(
    "folders", [(".",), ("train/cat", "train/dog", "test"), ("cat",), ("archive/cat", "archive/dog")]
)
def test_an_autoencoder_takes_any_folder_of_images(everything, tmp_path, folders):
    data = draw(tmp_path / "data", *folders)
    said, problems = everything(
        "run", *(("plan", "dry run") if folders == (".",) else ()), model="autoencoder", data=str(data)
    )
    assert problems == {}
    for messages in said.values():
        assert any("The images are taken without classes" in each for each in messages)
    assert "without labels" in "".join(said["run"])


def test_an_autoencoder_of_class_folders_is_what_it_was(everything, tmp_path):
    data = draw(tmp_path / "data", "cat", "dog")
    said, _ = everything("run", model="autoencoder", data=str(data))
    assert any(" in 2 classes; the test images are held out" in each for each in said["run"])
    (run_dir,) = Path("runs").glob("*-autoencoder")
    assert json.loads((run_dir / "run.json").read_text())["data"] == f"folder(path='{data}')"


def test_a_folder_called_as_a_data_set_is_told_of(everything, tmp_path):
    draw(tmp_path / "digits", "cat", "dog", "fox")
    said, _ = everything(data="digits")
    for messages in said.values():
        assert "digits is the data set of that name. There is a folder digits here, too: --data ./digits" in messages
    said, _ = everything("run", data="./digits")
    assert not any("data set of that name" in each for each in said["run"])
    assert any("in 3 classes" in each for each in said["run"])


def test_validation_images_that_are_not_used_are_told_of(everything, tmp_path):
    data = draw(tmp_path / "data", "train/cat", "train/dog", "val/cat", "val/dog")
    said, _ = everything("run", data=str(data))
    (line,) = [each for each in said["run"] if each.startswith("image folder")]
    assert "the validation images take the place of --validation-split" in line
    said, _ = everything("run", data=str(data), validation_split=0.0)
    assert "The validation images of the data are not used, as --validation-split is 0." in said["run"]


class Stop(Observer):
    def epoch_done(self, epoch, row):
        raise KeyboardInterrupt


def swap(data: Path) -> None:
    (data / "cat").rename(data / "x")
    (data / "dog").rename(data / "cat")
    (data / "x").rename(data / "dog")


def touch_up(data: Path) -> None:
    """An image of the same size, with another pixel."""
    file = data / "cat" / "0.png"
    with Image.open(file) as image:
        image.putpixel((0, 0), (255, 0, 255))
        image.save(file)


@pytest.mark.parametrize(("change", "cache"), [(swap, "memory"), (touch_up, "disk"), (swap, "none")])
def test_a_run_on_other_images_under_the_same_names_is_not_resumed(tmp_path, change, cache):
    data, settings = draw(tmp_path / "data", "cat", "dog"), {**FAST, "epochs": 3, "cache": cache}
    with pytest.raises(RunInterrupted):
        keras_azure.run("cnn", data=str(data), output=tmp_path / "run", observer=Stop(), **settings)
    kept = shutil.copytree(data, tmp_path / "kept")
    change(data)
    with pytest.raises(DataError, match="its images, their labels or their order are others"):
        keras_azure.resume(tmp_path / "run", observer=Observer())
    shutil.rmtree(data)
    kept.rename(data)
    assert keras_azure.resume(tmp_path / "run", observer=Observer()).epochs == 3
