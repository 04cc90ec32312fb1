"""What checkpoints within epochs cost: the MNIST run of the chapter, with one each 100 steps and with none.

    pytest benchmarks/test_checkpoint_cost.py

Both are `kaz run cnn` with its defaults, on as many pictures of MNIST's size; of each it is the second epoch, with all
that is done in it between its first step and its last.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

import keras_azure
from benchmarks.pictures import random_pictures, write_idx
from benchmarks.rounds import Group, Lap, interleave
from keras_azure.observers import Observer

COUNT, IMAGE_SHAPE, BATCH_SIZE = 32_000, (28, 28, 1), 16
TITLE = f"training, 28x28x1, batches of {BATCH_SIZE}, {COUNT // BATCH_SIZE:,} steps an epoch"
OFTEN, NEVER = "a checkpoint each 100 steps", "no checkpoint within the epoch"


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    idx_folder = tmp_path_factory.mktemp("idx")
    write_idx(
        idx_folder, random_pictures(COUNT, IMAGE_SHAPE, BATCH_SIZE), random_pictures(1_280, IMAGE_SHAPE, BATCH_SIZE)
    )

    def run(checkpoint_every: str | None) -> dict[str, Lap]:
        result = keras_azure.run(
            "cnn",
            data=str(idx_folder),
            epochs=2,
            batch_size=BATCH_SIZE,
            validation_split=0.0,
            tracking=False,
            checkpoint_every=checkpoint_every,
            output=Path(tmp_path_factory.mktemp("run")),
            observer=Observer(),
        )
        return {TITLE: Lap(COUNT, COUNT / result.history[-1]["images_per_second"])}

    candidates: dict[str, Callable[[], dict[str, Lap]]] = {
        OFTEN: lambda: run("100steps"),
        NEVER: lambda: run(None),
    }
    return Group(TITLE, (OFTEN,), interleave([TITLE], candidates)[TITLE])


@pytest.mark.parametrize("candidate", [OFTEN, NEVER])
def test_images_per_second(group, candidate, replay):
    replay(group, candidate)
