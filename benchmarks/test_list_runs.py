"""What `kaz runs` takes for a thousand run folders, beside reading the same files with `json.loads` alone.

pip install ".[bench]" && pytest benchmarks/test_list_runs.py
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.rounds import Group, Lap, Outcome, interleave
from keras_azure.description.listing import list_runs

RUN = Path(__file__).parents[1] / "tests" / "integration" / "old_runs" / "classify"
COUNT = 1000
TITLE = f"listing {COUNT} run folders"
JSON, LISTED, COMMAND, HELP = "json.loads alone", "list_runs", "kaz runs", "kaz --help"


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Group:
    folder = tmp_path_factory.mktemp("listing") / "runs"
    for number in range(COUNT):
        run = folder / f"20260101-{number:06}-cnn"
        run.mkdir(parents=True)
        for file in RUN.iterdir():
            if file.suffix in (".json", ".csv"):
                shutil.copy(file, run)

    def parse() -> None:
        for run in folder.iterdir():
            for name in ("run.json", "metrics.json"):
                json.loads((run / name).read_text(encoding="utf-8"))

    def command(*arguments: str) -> Callable[[], object]:
        return lambda: subprocess.run(
            [sys.executable, "-m", "keras_azure", *arguments], check=True, capture_output=True
        )

    def timed(what: Callable[[], object]) -> Callable[[], dict[str, Lap]]:
        def lap() -> dict[str, Lap]:
            begun = time.perf_counter()
            what()
            return {TITLE: Lap(1, time.perf_counter() - begun)}

        return lap

    candidates = {
        JSON: parse,
        LISTED: lambda: list_runs(folder),
        COMMAND: command("runs", str(folder)),
        HELP: command("--help"),
    }
    outcomes: dict[str, Outcome] = interleave([TITLE], {name: timed(each) for name, each in candidates.items()})[TITLE]
    return Group(TITLE, (LISTED, COMMAND), outcomes, unit="s")


@pytest.mark.parametrize("candidate", [JSON, LISTED, COMMAND, HELP])
def test_seconds(group, candidate, replay):
    replay(group, candidate)
