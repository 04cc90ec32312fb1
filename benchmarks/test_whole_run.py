"""`kaz run` against the training step alone, plain `fit` on arrays, and the chapter's loop: what the framework costs.

    pip install ".[bench]" && pytest benchmarks/test_whole_run.py

`kaz run cnn` with all that it does by default: the live display, MLflow's record, checkpoints, plots. Of it, it is
`RunResult.images_per_second`: training without the first step, which compiles, and without what lies between epochs.
The steps alone are on made-up pictures that are in memory already. Of `fit` and of the chapter's loop it is the last
epoch, so that no callback of ours at each step slows them down.

`KAZ_BENCH_MNIST` names a folder of MNIST's four files to use in place of 12,800 made-up pictures of the same form.
"""

import functools
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras

# What a run imports when it needs it, the first run alone: it is not to be measured with that, and the display, which
# stands in for stdout meanwhile, is not to be what libraries find there when they are imported.
import mlflow  # noqa: F401
import numpy as np
import pytest
from rich.console import Console

import keras_azure
import keras_azure.training.train
from benchmarks.keras_peers import chapter_generator
from benchmarks.pictures import CLASSES, Pictures, random_pictures, write_idx
from benchmarks.rounds import SECONDS, Group, Lap, interleave
from keras_azure.data.idx import idx
from keras_azure.description.config import RunConfig
from keras_azure.engines import steps_of
from keras_azure.listeners.display import TerminalDisplay
from keras_azure.registry.registry import MODELS
from keras_azure.throughput.step import KerasStep, OurStep, synthetic_batches
from keras_azure.throughput.timing import Candidate, Timing
from keras_azure.training.compiling import build_optimizer, compile_model

COUNT, IMAGE_SHAPE, EPOCHS = 12_800, (28, 28, 1), 2
BATCH_SIZES = (16, 32, 64, 128, 256)
OURS = "kaz run"
STEP, KERAS_STEP = "our step alone", "Keras's train_step alone"
FIT, CHAPTER = "fit on arrays", "the chapter's loop"
PLAIN = {f"training cnn, 28x28x1, batches of {batch_size}": batch_size for batch_size in BATCH_SIZES}
AUGMENTED = {"training cnn, chapter, 28x28x1, batches of 16": 16}


class Stopwatch(keras.callbacks.Callback):
    """Takes the time of the last epoch."""

    def __init__(self, images: int):
        super().__init__()
        self._images = images

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.lap = Lap(self._images, time.perf_counter() - self._begun)


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


def chapter_loop(pictures: Pictures, batch_size: int) -> Lap:
    stopwatch = Stopwatch(len(pictures))
    stream = chapter_generator().flow(_scaled(pictures), pictures.one_hot, batch_size=batch_size)
    chapter_network().fit(stream, epochs=EPOCHS, callbacks=[stopwatch], verbose=0)
    return stopwatch.lap


def fit_on_arrays(pictures: Pictures, batch_size: int) -> Lap:
    """Plain Keras: all pictures as float32 in memory, in one array."""
    stopwatch = Stopwatch(len(pictures))
    chapter_network().fit(
        _scaled(pictures),
        pictures.one_hot,
        batch_size=batch_size,
        epochs=EPOCHS,
        callbacks=[stopwatch],
        verbose=0,
    )
    return stopwatch.lap


def kaz_run(folder: Path, output: Path, batch_size: int, images: int, augment: tuple[str, ...] = ()) -> Lap:
    """All pictures are trained on; the display is live, on a terminal that nobody sees."""
    with (
        Path(os.devnull).open("w") as nowhere,
        TerminalDisplay(Console(file=nowhere, force_terminal=True, width=120)) as display,
    ):
        result = keras_azure.run(
            "cnn",
            data=str(folder),
            augment=augment,
            epochs=EPOCHS,
            batch_size=batch_size,
            validation_split=0.0,
            output=output,
            observer=display,
        )
    counted = images * EPOCHS - batch_size
    return Lap(counted, counted / result.images_per_second)


class StepLaps:
    """Laps of the step alone, which is compiled once."""

    def __init__(self, batch_size: int, kind: type[OurStep] | type[KerasStep]):
        config = RunConfig("cnn", batch_size=batch_size)
        keras.utils.set_random_seed(config.seed)
        model = MODELS.build("cnn", IMAGE_SHAPE, CLASSES)
        compile_model(model, config, "cpu:0", build_optimizer(config, 0.001, 1))
        batches = synthetic_batches(IMAGE_SHAPE, CLASSES, batch_size, "cpu:0")
        step = OurStep(steps_of(model), batches[0]) if kind is OurStep else KerasStep(model, batches)
        self._batch_size = batch_size
        self._candidate = Candidate(step.run, batch_size, one_by_one=False)
        self._timing = Timing(batch_size)
        self._is_warm = False

    def __call__(self) -> Lap:
        if not self._is_warm:
            self._candidate.warm_up(self._timing, SECONDS)
            self._is_warm = True
        self._candidate.lap(self._timing, SECONDS)
        return Lap(self._timing.rates[-1], 1.0, self._timing.first_seconds)


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pictures]:
    """A folder of IDX files, and what is in it."""
    if named := os.environ.get("KAZ_BENCH_MNIST"):
        folder = Path(named).absolute()
        images, labels = idx(path=str(folder)).arrays("train")
        return folder, Pictures(images, labels, 1)
    folder, pictures = tmp_path_factory.mktemp("idx"), random_pictures(COUNT, IMAGE_SHAPE, 1)
    write_idx(folder, pictures, random_pictures(1_280, IMAGE_SHAPE, 1))
    return folder, pictures


@pytest.fixture(scope="module")
def measured(mnist: tuple[Path, Pictures], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Group]:
    """Gives a group, measured when its first candidate asks for it."""
    folder, pictures = mnist

    def ours(batch_size: int, augment: tuple[str, ...] = ()) -> Lap:
        return kaz_run(folder, tmp_path_factory.mktemp("run"), batch_size, len(pictures), augment)

    @functools.cache
    def group(title: str) -> Group:
        candidates: dict[str, Callable[[], Lap]]
        if title in PLAIN:
            batch_size = PLAIN[title]
            candidates = {
                OURS: lambda: ours(batch_size),
                STEP: StepLaps(batch_size, OurStep),
                KERAS_STEP: StepLaps(batch_size, KerasStep),
                FIT: lambda: fit_on_arrays(pictures, batch_size),
            }
        else:
            batch_size = AUGMENTED[title]
            candidates = {
                OURS: lambda: ours(batch_size, ("chapter",)),
                CHAPTER: lambda: chapter_loop(pictures, batch_size),
            }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KAZ_RUNS", str(tmp_path_factory.mktemp("runs")))  # where MLflow keeps its records
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            outcomes = interleave([title], {name: lambda lap=lap: {title: lap()} for name, lap in candidates.items()})
        return Group(title, (OURS,), outcomes[title])

    return group


@pytest.mark.parametrize("candidate", [OURS, STEP, KERAS_STEP, FIT])
@pytest.mark.parametrize("title", PLAIN)
def test_images_per_second(measured, title, candidate, replay):
    replay(measured(title), candidate)


@pytest.mark.parametrize("candidate", [OURS, CHAPTER])
@pytest.mark.parametrize("title", AUGMENTED)
def test_images_per_second_with_augmentation(measured, title, candidate, replay):
    replay(measured(title), candidate)


def _scaled(pictures: Pictures) -> np.ndarray:
    return pictures.images.astype(np.float32) / 255
