"""Each way to bring the same images, in the same order, trains the same network to the same weights, to the byte."""

import json
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import pytest
from fixtures.archives import class_folders, write_folder, write_parquet, write_shard, write_tar, write_zip

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, RunInterrupted

FILES = class_folders()
SETTINGS = {"epochs": 2, "batch_size": 4, "tracking": False, "augment": ["flip", "rotate(degrees=20)"]}


def in_folder(path: Path, write, names: dict[str, dict[str, bytes]]) -> Path:
    path.mkdir()
    for name, files in names.items():
        write(path / name, files)
    return path


def stored(path: Path, files: dict[str, bytes]) -> Path:
    return write_zip(path, files, zipfile.ZIP_STORED)


def several(ending: str, write):
    items = list(FILES.items())
    parts = {f"train-{number}.{ending}": dict(items[start : start + 8]) for number, start in enumerate((0, 8, 16))}
    return lambda place: in_folder(place / "parts", write, parts)


def write_table(place: Path, files: dict[str, bytes]) -> Path:
    """The rows in the reverse order: it is the files that are sorted."""
    write_folder(place / "images", files)
    rows = [f"{name},{name.split('/')[0]}" for name in reversed(files)]
    (place / "images" / "labels.csv").write_text("\n".join(["file,label", *rows]))
    return place / "images" / "labels.csv"


WAYS = {
    "zip": lambda place: write_zip(place / "data.zip", FILES),
    "stored zip": lambda place: stored(place / "data.zip", FILES),
    "tar": lambda place: write_tar(place / "data.tar", FILES),
    "shard": lambda place: write_shard(place / "data.tar", FILES),
    "shards": several("tar", write_shard),
    "parquet": lambda place: write_parquet(place / "data.parquet", FILES),
    "table": lambda place: write_table(place, FILES),
    "parquet files": several("parquet", partial(write_parquet, class_names=["bright", "dark"])),
}


class Stopper(Observer):
    def epoch_done(self, epoch, row):
        raise KeyboardInterrupt


def run(data, output, **settings):
    return keras_azure.run("cnn", data=str(data), output=output, observer=Observer(), **SETTINGS | settings)


def model_of(result) -> bytes:
    return (result.run_dir / "model.keras").read_bytes()


@pytest.fixture(scope="module")
def from_folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("folder")
    return run(write_folder(place / "data", FILES), place / "run")


@pytest.mark.parametrize(
    ("way", "cache"),
    [
        *((way, "memory") for way in WAYS),
        *((way, "none") for way in ("zip", "shard", "parquet", "table")),
        ("parquet", "disk"),
    ],
)
def test_each_way_trains_to_the_same_weights(from_folder, tmp_path, way, cache):
    result = run(WAYS[way](tmp_path), tmp_path / "run", cache=cache)
    assert model_of(result) == model_of(from_folder)
    assert result.test_metrics == from_folder.test_metrics
    facts = [json.loads((each.run_dir / "metrics.json").read_text()) for each in (result, from_folder)]
    assert facts[0]["class_names"] == facts[1]["class_names"] == ["bright", "dark"]


@pytest.mark.parametrize("way", ["zip", "tar", "shard", "parquet", "table"])
def test_a_run_goes_on_with_the_same_data(from_folder, tmp_path, way):
    data = WAYS[way](tmp_path)
    with pytest.raises(RunInterrupted):
        keras_azure.run("cnn", data=str(data), output=tmp_path / "run", observer=Stopper(), **SETTINGS)
    assert model_of(keras_azure.resume(tmp_path / "run", observer=Observer())) == model_of(from_folder)


def test_a_plan_and_a_preview_of_an_archive(tmp_path):
    data = str(WAYS["zip"](tmp_path))
    assert keras_azure.preview(data, augment="flip", samples=2, draws=2, observer=Observer())
    assert keras_azure.plan("cnn", data=data, backend="local", observer=Observer())["data"].startswith("archive(")


def test_a_damaged_archive_stops_a_run_before_it_begins(tmp_path):
    path = WAYS["tar"](tmp_path)
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("dark/empty.png"))
    with pytest.raises(DataError, match=r"The picture dark/empty.png in .*data.tar cannot be read: it is empty"):
        run(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()
