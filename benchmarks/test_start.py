"""How long a run takes to begin: to `--help`, to its first training step, to the end of its first epoch.

    pip install ".[bench]" && pytest benchmarks/test_start.py

Processes of their own, timed from when they are started. One does nothing but `import tensorflow`, which imports Keras
too, and which nobody can do without: what a run's first step takes beside it, is ours.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.rounds import ROUNDS, Group, Lap, Outcome

TITLE = "start of kaz run cnn on the digits"
HELP, LIST, IMPORT = "kaz --help", "kaz list", "import tensorflow"
STEP, BESIDE_IMPORT, EPOCH = "first step", "first step, less the import of TensorFlow", "first epoch"
CANDIDATES = (HELP, LIST, IMPORT, STEP, BESIDE_IMPORT, EPOCH)
_IMPORT = """
import time
begun = time.perf_counter()
import tensorflow
print(time.perf_counter() - begun)
"""
# A run that tells when the first step was made, and the first epoch over.
_RUN = """
import json, sys, time
from keras_azure import api, display

times = {}

class Told(display.PlainDisplay):
    def step_done(self, step, logs):
        float(logs["loss"])  # the device is waited for
        times.setdefault("step", time.time())
        super().step_done(step, logs)

    def epoch_done(self, epoch, row):
        times.setdefault("epoch", time.time())
        super().epoch_done(epoch, row)

told = Told(display.Console(stderr=True, highlight=False))
api.run("cnn", data="digits", epochs=1, output=sys.argv[1], observer=told)
print(json.dumps(times))
"""


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    outcomes = {name: Outcome() for name in CANDIDATES}
    for number in range(1 + ROUNDS):
        folder = tmp_path_factory.mktemp("start")
        laps = {
            HELP: _seconds("-m", "keras_azure", "--help"),
            LIST: _seconds("-m", "keras_azure", "list"),
            IMPORT: float(subprocess.check_output([sys.executable, "-c", _IMPORT], stderr=subprocess.DEVNULL)),
            **_run(folder),
        }
        laps[BESIDE_IMPORT] = laps[STEP] - laps[IMPORT]
        if number:  # in the first round files are not in memory yet
            for name, seconds in laps.items():
                outcomes[name].laps.append(Lap(1, seconds))
    return Group(TITLE, (), outcomes, unit="s")


def _seconds(*arguments: str) -> float:
    begun = time.time()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.time() - begun


def _run(folder: Path) -> dict[str, float]:
    environment = {**os.environ, "KAZ_RUNS": str(folder)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-c", _RUN, str(folder / "run")]
    begun = time.time()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    times = json.loads(done.stdout.splitlines()[-1])
    return {STEP: times["step"] - begun, EPOCH: times["epoch"] - begun}


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_seconds(group, candidate, replay):
    replay(group, candidate)
