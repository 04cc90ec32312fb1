"""A folder of photographs, decoded and brought to 224x224: the first epoch, from the path to the last batch, and later
ones.

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

from benchmarks.pictures import write_photographs
from benchmarks.rounds import SECONDS, Group, Lap, interleave
from keras_azure.data.formats.folder import Folder
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.pipeline import batches, steps_in_epoch

SIZE, BATCH_SIZE = (224, 224), 32
FIRST, LATER = "photographs, first epoch", "photographs, later epochs"
OURS = "ours, in memory", "ours, on the disk"

Epochs = Iterator[Iterator[tuple[Any, Any]]]  # without end


def ours(photographs: Path, cache: str) -> Epochs:
    """As `kaz run` reads a folder; all epochs are one stream."""
    dataset = Folder(path=str(photographs), image_size=SIZE)
    dataset.prepare(Observer())
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


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Group]:
    named = os.environ.get("KAZ_BENCH_PHOTOS")
    photographs = Path(named).absolute() if named else tmp_path_factory.mktemp("photographs")
    if not named:
        write_photographs(photographs, train=1024, test=32)

    def laps(start: Callable[[Path], Epochs]) -> dict[str, Lap]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KAZ_CACHE", str(tmp_path_factory.mktemp("cache")))  # empty: each round begins anew
            begun = time.perf_counter()
            epochs = start(photographs)
            images = 0
            for _, labels in next(epochs):
                if not images:
                    first_batch_seconds = time.perf_counter() - begun
                images += len(labels)
            first = Lap(images, time.perf_counter() - begun, first_batch_seconds)
            begun, images = time.perf_counter(), 0
            while time.perf_counter() < begun + SECONDS:
                images += sum(len(labels) for _, labels in next(epochs))
            return {FIRST: first, LATER: Lap(images, time.perf_counter() - begun)}

    outcomes = interleave([FIRST, LATER], {name: lambda start=start: laps(start) for name, start in CANDIDATES.items()})
    return {title: Group(title, OURS, outcomes[title]) for title in (FIRST, LATER)}


@pytest.mark.parametrize("candidate", CANDIDATES)
@pytest.mark.parametrize("title", [FIRST, LATER])
def test_images_per_second(groups, title, candidate, replay):
    replay(groups[title], candidate)
