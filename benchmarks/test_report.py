"""What a run takes for what it says: predictions, report.html and model_card.md, beside its plots and all of it.

    KAZ_BENCH_MNIST=path/to/mnist pytest benchmarks/test_report.py

`kaz run cnn` with one epoch on MNIST's 60,000 images and the test on its 10,000 (or as many made-up ones, of which the
model knows nothing, so that there is as much to show as there can be), each round in a process of its own: libraries
are imported and functions compiled as they are for a user.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.pictures import random_pictures, write_idx
from benchmarks.report_seconds import PLOTS, PREDICTIONS, REPORT, RUN
from benchmarks.rounds import ROUNDS, Group, Lap, Outcome

COUNT, TESTED, IMAGE_SHAPE, BATCH_SIZE = 60_000, 10_000, (28, 28, 1), 16
TITLE = f"a run of cnn, 28x28x1, one epoch of {COUNT} images, {TESTED} tested: seconds"
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    folder = os.environ.get("KAZ_BENCH_MNIST")
    if folder is None:
        made = tmp_path_factory.mktemp("idx")
        write_idx(made, *(random_pictures(count, IMAGE_SHAPE, BATCH_SIZE) for count in (COUNT, TESTED)))
        folder = str(made)
    outcomes = {name: Outcome() for name in (PREDICTIONS, PLOTS, REPORT, RUN)}
    for _ in range(ROUNDS):
        command = [sys.executable, "-m", "benchmarks.report_seconds", folder, str(BATCH_SIZE)]
        done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        for name, outcome in outcomes.items():
            outcome.laps.append(Lap(1, found[name]))
    return Group(TITLE, (REPORT,), outcomes, "s")


@pytest.mark.parametrize("part", [PREDICTIONS, PLOTS, REPORT, RUN])
def test_seconds(group, part, replay):
    replay(group, part)
