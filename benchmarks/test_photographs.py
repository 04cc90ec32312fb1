"""A folder of photographs, decoded and brought to 224x224: the first epoch, from the path to the last batch, and later
ones. The same photographs are also read out of a zip file, WebDataset shards and Parquet files.

    pip install ".[bench]" && pytest benchmarks/test_photographs.py

`KAZ_BENCH_PHOTOS` names a folder of class folders to use in place of 1,024 photographs that are made up.
"""

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.packing import pack_parquet, pack_shards, pack_zip
from benchmarks.pictures import write_photographs
from benchmarks.rounds import SECONDS, Group, Lap, interleave
from keras_azure.data import open_dataset
from keras_azure.data.locate import find_dataset
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.pipeline import batches, steps_in_epoch

SIZE, BATCH_SIZE = (224, 224), 32
FIRST, LATER = "photographs, first epoch", "photographs, later epochs"
OURS = "ours, in memory", "ours, on the disk"
FIRST_PACKED, LATER_PACKED = "photographs, packed, first epoch", "photographs, packed, later epochs"
FOLDER = "ours, a folder"

Epochs = Iterator[Iterator[tuple[Any, Any]]]  # without end


def ours(data: Path, cache: str) -> Epochs:
    """As `kaz run` reads it; all epochs are one stream."""
    found = find_dataset(str(data))
    dataset = open_dataset(found.with_options(image_size=SIZE), Observer())
    source = open_source(dataset, "train", Observer(), cache=cache)
    steps = steps_in_epoch(source.size, BATCH_SIZE)
    stream = iter(batches(source, np.arange(source.size), batch_size=BATCH_SIZE, seed=0, steps=steps << 10))
    while True:
        yield (next(stream) for _ in range(steps))


def from_directory(photographs: Path, *, cached: bool = False) -> Epochs:
    """What Keras has; `cached` as its guides advise, which keeps float32 and gives the same batches in each epoch."""
    train = photographs / "train"
    stream = keras.utils.image_dataset_from_directory(
        train if train.is_dir() else photographs,
        label_mode="categorical",
        image_size=SIZE,
        batch_size=BATCH_SIZE,
        shuffle=True,
        seed=0,
        verbose=False,
    )
    stream = stream.cache().prefetch(tf.data.AUTOTUNE) if cached else stream
    while True:
        yield iter(stream)


CANDIDATES: Mapping[str, Callable[[Path], Epochs]] = {
    "ours, in memory": functools.partial(ours, cache="memory"),
    "ours, on the disk": functools.partial(ours, cache="disk"),
    "image_dataset_from_directory": from_directory,
    "image_dataset_from_directory, cache()": functools.partial(from_directory, cached=True),
}


PACKED: Mapping[str, Callable[[Path, Path], Path]] = {
    "ours, a zip file": pack_zip,
    "ours, WebDataset shards": pack_shards,
    "ours, Parquet files": pack_parquet,
}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if named := os.environ.get("KAZ_BENCH_PHOTOS"):
        return Path(named).absolute()
    folder = tmp_path_factory.mktemp("photographs")
    write_photographs(folder, train=1024, test=32)
    return folder


@pytest.fixture(scope="module")
def groups(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Group]:
    candidates = {name: functools.partial(start, photographs) for name, start in CANDIDATES.items()}
    return measured(candidates, OURS, (FIRST, LATER), tmp_path_factory)


@pytest.fixture(scope="module")
def packed_groups(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Group]:
    if os.environ.get("KAZ_BENCH_PHOTOS"):
        pytest.skip("only photographs that are made up are packed")
    packed = tmp_path_factory.mktemp("packed")
    ways = {FOLDER: photographs, **{name: pack(photographs, packed) for name, pack in PACKED.items()}}
    candidates = {name: functools.partial(ours, data, cache="memory") for name, data in ways.items()}
    return measured(candidates, (FOLDER,), (FIRST_PACKED, LATER_PACKED), tmp_path_factory)


def measured(
    candidates: Mapping[str, Callable[[], Epochs]],
    ours: tuple[str, ...],
    titles: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Group]:
    """The first epoch, from the path to the last batch, and later ones."""
    first_title, later_title = titles

    def laps(start: Callable[[], Epochs]) -> dict[str, Lap]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KAZ_CACHE", str(tmp_path_factory.mktemp("cache")))  # empty: each round begins anew
            begun = time.perf_counter()
            epochs = start()
            images = 0
            for _, labels in next(epochs):
                if not images:
                    first_batch_seconds = time.perf_counter() - begun
                images += len(labels)
            first = Lap(images, time.perf_counter() - begun, first_batch_seconds)
            begun, images = time.perf_counter(), 0
            while time.perf_counter() < begun + SECONDS:
                images += sum(len(labels) for _, labels in next(epochs))
            return {first_title: first, later_title: Lap(images, time.perf_counter() - begun)}

    turns = {name: functools.partial(laps, start) for name, start in candidates.items()}
    outcomes = interleave(titles, turns)
    return {title: Group(title, ours, outcomes[title]) for title in titles}


@pytest.mark.parametrize("candidate", CANDIDATES)
@pytest.mark.parametrize("title", [FIRST, LATER])
def test_images_per_second(groups, title, candidate, replay):
    replay(groups[title], candidate)


@pytest.mark.parametrize("candidate", [FOLDER, *PACKED])
@pytest.mark.parametrize("title", [FIRST_PACKED, LATER_PACKED])
def test_images_per_second_of_what_is_packed(packed_groups, title, candidate, replay):
    replay(packed_groups[title], candidate)
