"""Runs of each task on a table of small images, which the tests of a session share and do not change."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.description.result import RunResult

NUMBER = 80
LABELS = ("up", "down")
SPLITS = ("train", "train", "train", "test")


class Told(Observer):
    """Remembers what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`classify.csv`, `multilabel.csv` and `regress.csv` over one folder of 12x10 images: which halves are bright."""
    folder = tmp_path_factory.mktemp("tables")
    random = np.random.default_rng(0)
    halves = random.integers(0, 2, (NUMBER, 2))
    said = np.where(random.random((NUMBER, 2)) < 0.2, 1 - halves, halves)  # labels that are wrong at times
    rows = {"classify": [], "multilabel": [], "regress": []}
    for number, ((up, down), (bright, low)) in enumerate(zip(halves.tolist(), said.tolist(), strict=True)):
        pixels = random.integers(0, 90, (12, 10, 3), np.uint8)
        pixels[:6] += np.uint8(150 * up)
        pixels[6:] += np.uint8(150 * down)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")
        row = {"file": f"{number:03}.png", "split": SPLITS[number % 4], "camera": "left" if number % 8 < 4 else "right"}
        rows["classify"].append({**row, "label": "bright" if bright else "dark"})
        rows["multilabel"].append({**row, "up": bright, "down": low})
        rows["regress"].append({**row, "price": 1000.5 + 100 * up, "tilt": 0.25 - down})
    for task, of_task in rows.items():
        with (folder / f"{task}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, of_task[0])
            writer.writeheader()
            writer.writerows(of_task)
    return folder


@pytest.fixture(scope="session")
def runs(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunResult]:
    """A run of each task, of a classifier on features, and of an autoencoder."""
    folder = tmp_path_factory.mktemp("runs")
    columns = {"multilabel": ["up", "down"], "regress": ["price", "tilt"]}
    small = {"epochs": 15, "batch_size": 8, "tracking": False, "observer": Observer(), "seed": 1}
    small |= {"validation_split": 0.3}
    made = {
        task: keras_azure.run(
            "cnn(filters=(4,), dense=(8,))",
            data=str(tables / f"{task}.csv"),
            output=folder / task,
            metrics=["mean_squared_error"],
            **small,
            **({"label_column": columns[task]} if task in columns else {}),
        )
        for task in ("classify", "multilabel", "regress")
    }
    table = str(tables / "classify.csv")
    for model in (
        "features(backbone='mobilenetv3small', weights='none', image_size=32)",
        "autoencoder(filters=(2,), dense=(4,))",
    ):
        name = model.partition("(")[0]
        made[name] = keras_azure.run(model, data=table, output=folder / name, **small)
    return made


@pytest.fixture
def own_run(runs: dict[str, RunResult], tmp_path: Path) -> Path:
    """A copy of the run of classes, to be changed."""
    return shutil.copytree(runs["classify"].run_dir, tmp_path / "run")


@pytest.fixture
def own_labels_run(runs: dict[str, RunResult], tmp_path: Path) -> Path:
    """The same of several labels."""
    return shutil.copytree(runs["multilabel"].run_dir, tmp_path / "labels")
