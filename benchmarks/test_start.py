"""How long a run takes to begin: to `--help`, to its first training step, to the end of its first epoch.

    pip install ".[bench]" && pytest benchmarks/test_start.py

Processes of their own, timed from when they are started. TensorFlow's own import is apart, which nobody can do without:
"from there" counts from its end.
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
HELP, LIST, IMPORT = "kaz --help", "kaz list", "import tensorflow, within the run"
STEP, AFTER_IMPORT, EPOCH = "first step", "first step, from TensorFlow's import", "first epoch"
CANDIDATES = (HELP, LIST, IMPORT, STEP, AFTER_IMPORT, EPOCH)
# A run that tells on stderr when TensorFlow was there, the first step made, the first epoch over.
_RUN = """
import json, sys, time
from importlib.machinery import PathFinder

times = {}

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow" or "begun" in times:
            return None
        times["begun"] = time.time()
        spec = PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module

        def watched(module):
            execute(module)
            times["imported"] = time.time()

        spec.loader.exec_module = watched
        return spec

sys.meta_path.insert(0, Watch())
from keras_azure import api, display

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
            **_run(folder),
        }
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
    return {
        IMPORT: times["imported"] - times["begun"],
        STEP: times["step"] - begun,
        AFTER_IMPORT: times["step"] - times["imported"],
        EPOCH: times["epoch"] - begun,
    }


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_seconds(group, candidate, replay):
    replay(group, candidate)
