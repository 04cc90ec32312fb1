"""The chapter's training loop against `kaz run`: the same pictures, network, recipe and batch size, two epochs each.

    pip install ".[bench]" && pytest benchmarks/test_chapter_loop.py

Of `kaz run` it is `RunResult.images_per_second`: training without the first step, which compiles, and without what lies
between epochs. Of the others it is their last epoch, so that no callback of ours at each step slows them down.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_azure
from benchmarks.keras_peers import chapter_generator
from benchmarks.pictures import CLASSES, Pictures, random_pictures, write_idx
from benchmarks.rounds import Group, Lap, interleave
from keras_azure.observers import Observer

COUNT, IMAGE_SHAPE, BATCH_SIZE, EPOCHS = 12_800, (28, 28, 1), 16, 2
TITLE = f"training, chapter, 28x28x1, batches of {BATCH_SIZE}"
OURS, THEIRS, LIMIT = "kaz run", "the chapter's loop", "fit on arrays, no augmentation"


class Stopwatch(keras.callbacks.Callback):
    """Takes the time of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.lap = Lap(COUNT, time.perf_counter() - self._begun)


def chapter_network() -> keras.Model:
    network = keras.Sequential(
        [
            keras.layers.Input(IMAGE_SHAPE),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(32, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    network.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return network


def chapter_loop(pictures: Pictures) -> Lap:
    stopwatch = Stopwatch()
    stream = chapter_generator().flow(_scaled(pictures), pictures.one_hot, batch_size=BATCH_SIZE)
    chapter_network().fit(stream, epochs=EPOCHS, callbacks=[stopwatch], verbose=0)
    return stopwatch.lap


def fit_on_arrays(pictures: Pictures) -> Lap:
    """What the training step itself allows."""
    stopwatch = Stopwatch()
    chapter_network().fit(
        _scaled(pictures),
        pictures.one_hot,
        batch_size=BATCH_SIZE,
        epochs=EPOCHS,
        callbacks=[stopwatch],
        verbose=0,
    )
    return stopwatch.lap


def kaz_run(idx_folder: Path, output: Path) -> Lap:
    """With all that a run does beside the steps, such as MLflow's record; all pictures are trained on."""
    result = keras_azure.run(
        "cnn",
        data=str(idx_folder),
        augment=["chapter"],
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        validation_split=0.0,
        output=output,
        observer=Observer(),
    )
    counted = COUNT * EPOCHS - BATCH_SIZE
    return Lap(counted, counted / result.images_per_second)


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    pictures = random_pictures(COUNT, IMAGE_SHAPE, BATCH_SIZE)
    idx_folder = tmp_path_factory.mktemp("idx")
    write_idx(idx_folder, pictures, random_pictures(1_280, IMAGE_SHAPE, BATCH_SIZE))
    candidates: dict[str, Callable[[], Lap]] = {
        OURS: lambda: kaz_run(idx_folder, tmp_path_factory.mktemp("run")),
        THEIRS: lambda: chapter_loop(pictures),
        LIMIT: lambda: fit_on_arrays(pictures),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAZ_RUNS", str(tmp_path_factory.mktemp("runs")))  # where MLflow keeps its records
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        outcomes = interleave([TITLE], {name: lambda lap=lap: {TITLE: lap()} for name, lap in candidates.items()})
    return Group(TITLE, (OURS,), outcomes[TITLE])


@pytest.mark.parametrize("candidate", [OURS, THEIRS, LIMIT])
def test_images_per_second(group, candidate, replay):
    replay(group, candidate)


def _scaled(pictures: Pictures) -> np.ndarray:
    return pictures.images.astype(np.float32) / 255
