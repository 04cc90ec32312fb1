"""Data in one file, of each kind, in whole runs on the Azure ML service of this machine."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from fixtures.archives import class_folders, write_parquet, write_shard, write_zip
from fixtures.azure import blobs
from PIL import Image
from pillow_heif import register_heif_opener

import keras_azure
from keras_azure.description.events import Observer

pytestmark = pytest.mark.slow

register_heif_opener(thumbnails=False)  # for saving

SETTINGS = {"epochs": 1, "batch_size": 4, "set": ["filters=(4, 8)", "dense=(8,)"], "tracking": False}
FILES = class_folders()


def with_one_of_heic() -> dict[str, bytes]:
    content = io.BytesIO()
    Image.fromarray(np.full((12, 10, 3), 240, np.uint8)).save(content, "HEIF")
    return FILES | {"bright/00.png": content.getvalue()}  # known by its content


def two_shards(folder: Path) -> Path:
    folder.mkdir()
    items = list(with_one_of_heic().items())
    for number in range(2):
        write_shard(folder / f"train-{number}.tar", dict(items[number::2]))
    return folder


def npz(path: Path) -> Path:
    images = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in FILES.values()])
    np.savez(path, x=images, y=[name.split("/")[0] for name in FILES])
    return path


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda place: write_zip(place / "mine.zip", with_one_of_heic()), id="archive"),
        pytest.param(lambda place: two_shards(place / "mine"), id="shards"),
        pytest.param(lambda place: write_parquet(place / "mine.parquet", with_one_of_heic()), id="parquet"),
        pytest.param(lambda place: npz(place / "mine.npz"), id="npz"),
    ],
)
def test_data_in_one_file_trains_there_to_the_same_weights(azure_emulator, tmp_path, made):
    data = made(tmp_path)
    before = blobs(azure_emulator)
    there = keras_azure.run(
        "cnn", data=str(data), backend="azure-nc6", output=tmp_path / "there", observer=Observer(), **SETTINGS
    )
    here = keras_azure.run("cnn", data=str(data), output=tmp_path / "here", observer=Observer(), **SETTINGS)
    arrived = {name.rpartition("/")[2] for _, name in blobs(azure_emulator).keys() - before.keys() if "/data/" in name}
    assert arrived == ({file.name for file in data.iterdir()} if data.is_dir() else {data.name})
    assert (there.run_dir / "model.keras").read_bytes() == (here.run_dir / "model.keras").read_bytes()
    assert there.test_metrics == here.test_metrics


@pytest.mark.parametrize("task", ["multilabel", "regress"])
def test_labels_and_numbers_are_learned_there_as_here(azure_emulator, tmp_path, task):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (40, 3), np.uint8) if task == "multilabel" else rng.normal(50, 9, 40)
    np.savez(tmp_path / "data.npz", x=rng.integers(0, 256, (40, 8, 8), np.uint8), y=labels)
    settings = {"data": str(tmp_path / "data.npz"), "task": task, "epochs": 1, "set": ["filters=(2,)", "dense=(4,)"]}
    there, here = (
        keras_azure.run("cnn", backend=backend, output=tmp_path / backend, observer=Observer(), **settings)
        for backend in ("azure-nc6", "local")
    )
    assert (there.run_dir / "model.keras").read_bytes() == (here.run_dir / "model.keras").read_bytes()
    assert there.test_metrics == here.test_metrics
    assert json.loads((there.run_dir / "run.json").read_text())["task"] == task
