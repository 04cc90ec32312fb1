"""A folder of 60,000 small JPEG files: how long a run takes to its first step, and what a file costs of memory.

    pip install ".[bench]" && pytest benchmarks/test_many_files.py

The limit is what a run on the data that comes with the package takes, and three times as long as to list all files and
to read each once.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.first_step import first_step
from benchmarks.pictures import write_small_files
from benchmarks.rounds import ROUNDS, Group, Lap, Outcome

FILES, FEW, MANY = 60_000, 10_000, 100_000
TITLE = f"first step of kaz run cnn on {FILES:,} JPEG files of 28x28"
OURS, DIGITS, READING, LIMIT = "the files", "the digits", "listing and reading the files", "the limit"
CANDIDATES = (OURS, DIGITS, READING, LIMIT)
MOST_BYTES = 300  # of memory that is no file's, for each file
_LOOK_SECONDS = 0.02


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    files = tmp_path_factory.mktemp("files")
    write_small_files(files, FILES)
    outcomes, order = {name: Outcome() for name in CANDIDATES}, random.Random(0)
    for number in range(1 + ROUNDS):
        folder = tmp_path_factory.mktemp("runs")
        turns = {
            OURS: lambda folder=folder: first_step(folder / "files", data=str(files))["step"],
            DIGITS: lambda folder=folder: first_step(folder / "digits", data="digits")["step"],
            READING: lambda: _read_once(files),
        }
        laps = {name: turns[name]() for name in order.sample([*turns], len(turns))}
        laps[LIMIT] = laps[DIGITS] + 3 * laps[READING]
        if number:  # in the first round files are not in memory yet
            for name, seconds in laps.items():
                outcomes[name].laps.append(Lap(1, seconds))
    return Group(TITLE, (OURS,), outcomes, unit="s")


def _read_once(files: Path) -> float:
    begun = time.perf_counter()
    for folder, _, names in os.walk(files):
        for name in names:
            with open(os.path.join(folder, name), "rb", buffering=0) as file:  # noqa: PTH118, PTH123 - the quickest
                file.read()
    return time.perf_counter() - begun


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_seconds(group, candidate, replay):
    replay(group, candidate)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the system does not say how memory is used")
def test_memory_hardly_grows_with_the_files(tmp_path):
    peaks = {}
    for count in (FEW, MANY):
        write_small_files(tmp_path / str(count), count)
        peaks[count] = _peak_of_run(tmp_path / str(count), tmp_path / f"run {count}", tmp_path / "cache")
    a_file = (peaks[MANY] - peaks[FEW]) / (MANY - FEW)
    print(f"{a_file:.0f} bytes a file, with {FEW:,} and {MANY:,} files and --cache disk")  # noqa: T201
    assert a_file <= MOST_BYTES


def _peak_of_run(data: Path, run_dir: Path, cache: Path) -> int:
    """The most memory, in bytes, of a run with its images on the disk; what is mapped from files is not counted."""
    command = [sys.executable, "-m", "keras_azure", "run", "cnn", "--data", str(data), "--output", str(run_dir)]
    command += ["--cache", "disk", "--epochs", "1", "--no-tracking"]
    process = subprocess.Popen(
        command, env={**os.environ, "KAZ_CACHE": str(cache)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    watched, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        used = watched.memory_info()
        peak = max(peak, used.rss - used.shared)
        time.sleep(_LOOK_SECONDS)
    assert process.returncode == 0
    return peak
