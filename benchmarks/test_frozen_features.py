"""Training a head on a frozen ResNet-50: on features that are computed once, and through the whole network each time.

    pip install ".[bench]" && pytest benchmarks/test_frozen_features.py

Both are `kaz run`, with and without `--cache none`; their last epochs are compared. Both heads must come out the same.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import keras_azure
from benchmarks.pictures import write_photographs
from benchmarks.rounds import Group, Lap, interleave
from keras_azure import RunResult
from keras_azure.description.events import Observer

SIZE, COUNT, BATCH_SIZE, EPOCHS = (64, 64), 256, 32, 3
TITLE = "head of a frozen ResNet-50, 64x64x3, batches of 32"
ONCE, EACH_TIME = "features computed once", "the whole network each time"
MODEL = "resnet50(weights='none', trainable_blocks=0)"
_SAME = 1e-4  # weights after 24 steps of Adam, whose first steps make much of small differences


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    photographs = tmp_path_factory.mktemp("photographs")
    write_photographs(photographs, train=COUNT, test=32, size=(128, 128))
    runs: dict[str, RunResult] = {}

    def run(name: str, cache: str) -> dict[str, Lap]:
        output = Path(tmp_path_factory.mktemp("run")) / "run"
        runs[name] = result = keras_azure.run(
            MODEL,
            data=str(photographs),
            image_size=SIZE,
            cache=cache,
            epochs=EPOCHS,
            batch_size=BATCH_SIZE,
            validation_split=0.0,
            tracking=False,
            output=output,
            observer=Observer(),
        )
        return {TITLE: Lap(COUNT, COUNT / result.history[-1]["images_per_second"])}

    candidates: dict[str, Callable[[], dict[str, Lap]]] = {
        ONCE: lambda: run(ONCE, "auto"),
        EACH_TIME: lambda: run(EACH_TIME, "none"),
    }
    outcomes = interleave([TITLE], candidates)
    ours, theirs = (runs[name].model.get_weights() for name in (ONCE, EACH_TIME))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=_SAME)
    return Group(TITLE, (ONCE,), outcomes[TITLE])


@pytest.mark.parametrize("candidate", [ONCE, EACH_TIME])
def test_images_per_second(group, candidate, replay):
    replay(group, candidate)
