"""What a checkpoint each 100 steps costs: the MNIST run of the chapter, measured within one run.

    pytest benchmarks/test_checkpoint_cost.py

`kaz run cnn` with its defaults, on pictures of MNIST's size, makes a checkpoint each 200 steps. The hundred steps that
begin with one are compared with the hundred without one that follow; what is written beside the steps is in the first.
Each of the 200 steps counts with its median over all checkpoints: a machine that is slower now and then, by far more
than a checkpoint costs, does so at any step.
"""

import time

import numpy as np
import pytest

import keras_azure
from benchmarks.pictures import random_pictures, write_idx
from benchmarks.rounds import Group, Lap, Outcome
from keras_azure.description.events import Observer

COUNT, IMAGE_SHAPE, BATCH_SIZE, EPOCHS = 32_000, (28, 28, 1), 16, 12
BLOCK = 100  # steps
TITLE = f"training, 28x28x1, batches of {BATCH_SIZE}: {BLOCK} typical steps of one run"
WITH, WITHOUT = "with a checkpoint", "without one"


class Stopwatch(Observer):
    """Takes the time when a call of some tens of steps ends, before a checkpoint is made.

    Attributes:
        calls: for each epoch, for each call: how many steps were done by then, and when.
    """

    def __init__(self):
        self.calls: list[list[tuple[int, float]]] = []

    def epoch_started(self, epoch: int) -> None:
        self.calls.append([(0, time.perf_counter())])

    def step_done(self, step: int, logs: object) -> None:
        self.calls[-1].append((step + 1, time.perf_counter()))

    def ends(self) -> list[np.ndarray]:
        """When each step of an epoch ended, as if all steps of a call had taken as long."""
        ended = [np.array(calls).T for calls in self.calls]
        return [np.interp(np.arange(1, done[-1] + 1), done, when) for done, when in ended]


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    idx_folder, stopwatch = tmp_path_factory.mktemp("idx"), Stopwatch()
    write_idx(
        idx_folder, random_pictures(COUNT, IMAGE_SHAPE, BATCH_SIZE), random_pictures(1_280, IMAGE_SHAPE, BATCH_SIZE)
    )
    keras_azure.run(
        "cnn",
        data=str(idx_folder),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        validation_split=0.0,
        tracking=False,
        checkpoint_every=f"{2 * BLOCK}steps",
        output=tmp_path_factory.mktemp("run"),
        observer=stopwatch,
    )
    outcomes = {WITH: Outcome(), WITHOUT: Outcome()}
    steps = np.concatenate([_after_checkpoints(np.diff(ends)) for ends in stopwatch.ends()])
    typical = np.median(steps, axis=0)
    for outcome, block in zip(outcomes.values(), np.split(typical, 2), strict=True):
        outcome.laps.append(Lap(BLOCK * BATCH_SIZE, float(block.sum())))
    return Group(TITLE, (WITH,), outcomes)


def _after_checkpoints(steps: np.ndarray) -> np.ndarray:
    """Of an epoch's steps, seconds, those after each checkpoint: (checkpoints, 200)."""
    first = 2 * BLOCK - 1  # the one that ends at the first checkpoint is the one before
    whole = (len(steps) - first) // (2 * BLOCK)
    return steps[first : first + whole * 2 * BLOCK].reshape(whole, 2 * BLOCK)


@pytest.mark.parametrize("candidate", [WITH, WITHOUT])
def test_images_per_second(group, candidate, replay):
    replay(group, candidate)
