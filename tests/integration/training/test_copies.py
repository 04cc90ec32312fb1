"""What a run says of images that are in its folder more than once, whether it reads them or has them in the store."""

import shutil

import pytest
from fixtures.archives import class_folders, write_folder

import keras_azure
from keras_azure.description.events import Observer

LINE = "4 images have a copy that is equal to the byte, 2 of them in more than one of train, test. kaz data check says"


class Heard(Observer):
    def __init__(self):
        self.messages: list[str] = []
        self.activities: set[str] = set()

    def message(self, text):
        self.messages.append(text)

    def advance(self, activity, done, total):
        self.activities.add(activity)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    for split in ("train", "test"):
        write_folder(root / split, class_folders(8 if split == "train" else 4))
        if split == "test":  # other images than those of training
            for path in (root / "test").rglob("*.png"):
                path.write_bytes(path.read_bytes() + b"\0")
    return root


def run(folder, output, **settings) -> Heard:
    heard = Heard()
    options = {"epochs": 1, "batch_size": 4, "tracking": False, "set": ["filters=(2,)"]} | settings
    keras_azure.run("cnn", data=str(folder), output=output, observer=heard, **options)
    return heard


def copies_in(heard: Heard) -> list[str]:
    return [message for message in heard.messages if "have a copy" in message]


def test_copies_are_said_in_one_line_by_each_run(folder, tmp_path):
    shutil.copy(folder / "train/dark/00.png", folder / "train/dark/again.png")
    shutil.copy(folder / "train/bright/00.png", folder / "test/bright/again.png")
    first = run(folder, tmp_path / "first", cache="disk")
    later = run(folder, tmp_path / "later", cache="disk")
    assert "Reading train pictures" in first.activities
    assert "Reading train pictures" not in later.activities
    for heard in (first, later, run(folder, tmp_path / "held", cache="memory")):
        [line] = copies_in(heard)
        assert line.startswith(LINE)
