"""What a run says of its data, a plan, a dry run and a preview say, too: line by line the same."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_azure
from keras_azure.backends.azure import staging
from keras_azure.backends.azure.wheels import Packages
from keras_azure.data.splits import hold_out_validation
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

pytestmark = pytest.mark.usefixtures("plans_are_quick")

SETTINGS = {"epochs": 1, "batch_size": 8, "tracking": False, "set": ["filters=(2, 2)", "dense=2"], "cache": "none"}


class Listener(Observer):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def message(self, text: str) -> None:
        self.heard.append(text)


def gray(level: int, size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new("L", size, level)


def class_folders(root: Path, size: tuple[int, int] = (8, 8)) -> Path:
    for label, name in enumerate(("bright", "dark")):
        (root / name).mkdir(parents=True)
        for number in range(6):
            gray(40 + 100 * label + number, size).save(root / name / f"{number}.png")
    return root


def of_all_kinds(root: Path) -> Path:
    """In other sizes, transparent, turned, of 12 bits, of two frames; with a hidden one and a class without images."""
    dark, exif = class_folders(root) / "dark", Image.Exif()
    exif[0x0112] = 6
    gray(60, (10, 8)).save(dark / "0.png")
    Image.new("LA", (8, 8), (60, 200)).save(dark / "1.png")
    gray(60).save(dark / "2.png", exif=exif)
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(dark / "3.png")
    gray(60).save(dark / "4.png", "GIF", save_all=True, append_images=[gray(90)])
    gray(60).save(dark / ".hidden.png")
    (root / "fox").mkdir()
    return root


def labels_from_one(root: Path) -> Path:
    root.mkdir()
    for stem, number in (("train", 24), ("t10k", 8)):
        labels = bytes(index % 3 + 1 for index in range(number))
        pixels = b"".join(bytes([60 * label]) * 64 for label in labels)
        (root / f"{stem}-images-idx3-ubyte").write_bytes(struct.pack(">HBBIII", 0, 8, 3, number, 8, 8) + pixels)
        (root / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, number) + labels)
    return root


@pytest.fixture(autouse=True)
def _no_wheels(monkeypatch):
    """Which take seconds to build."""
    monkeypatch.setattr(staging, "packages_of", lambda specs, engine, more: Packages((), ()))


@pytest.fixture
def ask(tmp_path):
    """What a command says: `ask("plan", data)`."""

    def asked(name: str, data: Path, **settings) -> list[str]:
        listener, given = Listener(), {"data": str(data), **SETTINGS, **settings}
        match name:
            case "run":
                keras_azure.run("cnn", output=tmp_path / "run", observer=listener, **given)
            case "plan":
                keras_azure.plan("cnn", backend="local", observer=listener, **given)
            case "dry run":
                keras_azure.dry_run("cnn", backend="azure-nc6", output=tmp_path / "dry", observer=listener, **given)
            case "preview":
                keras_azure.preview(str(data), samples=1, draws=1, observer=listener)
        return listener.heard

    return asked


def test_all_commands_say_the_same_of_the_data(ask, tmp_path):
    data = of_all_kinds(tmp_path / "data")
    wanted = [
        "Left out, as hidden files and folders are: dark/.hidden.png",
        "Left out, as there is nothing in it: fox",
        "1 of 12 pictures are turned upright, as their EXIF data says.",
        "1 of 12 pictures may be transparent in parts: on white.",
        "1 of 12 pictures have several frames: the first one is taken.",
        "The pictures differ in size, such as 8x8 (bright/0.png) and 8x10 (dark/0.png): all are brought to 224x224.",
        "no level is above 4000 of 65535 in 1 of 1. Pass --bit-depth 12 to scale by 4095.",
        f"image folder {data}: 10 training and 2 test pictures of 224x224x3 in 2 classes; the test images are held",
    ]
    heard = {name: ask(name, data, image_size=None) for name in ("run", "plan", "dry run", "preview")}
    of_data = heard["preview"]
    for line, text in zip(wanted, of_data, strict=True):
        assert line in text
    for name, texts in heard.items():
        assert [text for text in texts if text in of_data] == of_data, name


def test_of_other_data_too(ask, tmp_path):
    data = labels_from_one(tmp_path / "idx")
    of_data = ask("preview", data)
    assert of_data[0].startswith("The labels are 1, 2, 3: the classes are called so")
    assert of_data[1].startswith(f"IDX folder {data}: 24 training and 8 test pictures of 8x8x1 in 3 classes")
    for name in ("plan", "dry run"):
        assert [text for text in ask(name, data) if text in of_data] == of_data, name


def test_a_class_that_is_not_trained_on_is_said_before_an_image_is_decoded(ask, tmp_path):
    data = tmp_path / "data"
    for split in ("train", "test"):
        class_folders(data / split)
    for path in ("train/rare/0.png", "train/untested/0.png"):
        (data / path).parent.mkdir()
        gray(250).save(data / path)
    # The images are numbered by their paths: that of the rare class is number 12 of 14, behind it is the untested one.
    parts = ((seed, hold_out_validation(14, 0.25, seed)) for seed in range(1000))
    seed = next(seed for seed, (trained, held_out) in parts if 12 in held_out and 13 in trained)
    for name in ("run", "plan", "dry run"):
        heard = ask(name, data, validation_split=0.25, seed=seed)
        assert "There is no training image of 'rare': these classes cannot be learned." in heard, name
        assert "There is no test image of 'rare', 'untested': averages over classes leave them out." in heard, name


@pytest.mark.parametrize("name", ["run", "plan", "dry run"])
def test_all_refuse_images_too_few_for_a_validation_part(ask, tmp_path, name):
    with pytest.raises(DataError, match=r"A validation_split of 0.01 of 10 training pictures leaves none for valid"):
        ask(name, class_folders(tmp_path / "data"), validation_split=0.01)
