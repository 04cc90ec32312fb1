"""How long a run takes to begin: to `--help`, to its first training step, to the end of its first epoch.

    pip install ".[bench]" && pytest benchmarks/test_start.py

Processes of their own, timed from when they are started. One does nothing but `import tensorflow`, which imports Keras
too, and which nobody can do without: what a run's first step takes beside it, is ours.
"""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.first_step import first_step
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
    seconds = first_step(folder / "run", data="digits")
    return {STEP: seconds["step"], EPOCH: seconds["epoch"]}


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_seconds(group, candidate, replay):
    replay(group, candidate)
