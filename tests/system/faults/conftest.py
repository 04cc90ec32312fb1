"""Runs in processes that can be killed: forked from one that has loaded everything, so that hundreds are quick."""

import csv
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fixtures.processes import Fork

_KILLABLE = Path(__file__).parent / "killable.py"
_TIMES = ("seconds", "images_per_second", "mean_images_per_second")
PATIENCE = 120  # seconds that a run of these may take; they take some


@dataclass(frozen=True)
class Outcome:
    """All of a finished run that must not depend on whether it was interrupted."""

    model: bytes
    history: list[dict[str, str]]
    scores: dict[str, float]
    settings: dict
    recorded: dict[str, list[tuple[int, float]]]
    artifacts: list[str]
    status: str

    @classmethod
    def of(cls, run_dir: Path) -> "Outcome":
        with (run_dir / "history.csv").open(newline="") as file:
            rows = [{name: text for name, text in row.items() if name not in _TIMES} for row in csv.DictReader(file)]
        metrics = json.loads((run_dir / "metrics.json").read_text())
        address = json.loads((run_dir / "tracking.json").read_text())
        import mlflow  # at the head of a conftest.py it takes pytest's streams for those of the process

        client = mlflow.MlflowClient(address["uri"])
        (run,) = client.search_runs(
            [client.get_run(address["run_id"]).info.experiment_id], f"run_name = '{run_dir.name}'"
        )  # one alone
        recorded = {
            name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }
        return cls(
            model=(run_dir / "model.keras").read_bytes(),
            history=rows,
            scores={name: metrics[name] for name in ("test_metrics", "epochs", "kept_epoch", "parameters")},
            settings=json.loads((run_dir / "run.json").read_text()),
            recorded={
                name: [(step, None if name in _TIMES else value) for step, value in points]
                for name, points in recorded.items()
            },
            artifacts=sorted(found.path for found in client.list_artifacts(run.info.run_id)),
            status=run.info.status,
        )


@dataclass
class Runs:
    """Starts `kaz` as often as is wanted."""

    folder: Path
    start_fork: Callable[..., Fork]

    def start(
        self,
        *arguments: str,
        output: Path,
        place: str = "",
        time: int = 0,
        clock: float = 0,
        largest_file: int = 0,
        **environment: str,
    ) -> Fork:
        """The process of a `kaz` command.

        Args:
            output: the file that what it writes goes to.
            place, time: where it kills itself, and at the how many-eth time that it is there.
            clock: seconds by which its clock differs from the machine's.
            largest_file: bytes; the system lets it write no larger one.
            environment: more variables.
        """
        given = {
            "arguments": arguments,
            "place": place,
            "time": time,
            "clock": clock,
            "largest_file": largest_file,
        }
        return self.start_fork(
            str(_KILLABLE),
            json.dumps(given),
            output=output,
            environment=os.environ | {"KAZ_RUNS": str(self.folder / "runs"), **environment},
        )

    def run(self, *arguments: str, output: Path, **options: object) -> int:
        """The exit code of a `kaz` command; negative if a signal ended it."""
        process = self.start(*arguments, output=output, **options)
        process.join(PATIENCE)
        assert process.exitcode is not None, f"it hangs: {arguments}\n{output.read_text()}"
        return process.exitcode

    @staticmethod
    def outcome(run_dir: Path) -> Outcome:
        return Outcome.of(run_dir)

    @staticmethod
    def checkpoints(run_dir: Path) -> dict[tuple[int, int], Path]:
        """The checkpoints by their finished epochs and the steps after them, the newest last."""
        found = {}
        for path in run_dir.glob("checkpoints/epoch-*"):
            name = re.fullmatch(r"epoch-(\d+)(?:-step-(\d+))?\.npz", path.name)
            found[int(name[1]), int(name[2] or 0)] = path
        return dict(sorted(found.items()))

    @classmethod
    def reached(cls, run_dir: Path) -> tuple[int, int]:
        """The finished epochs and the steps after them of the newest checkpoint."""
        return max(cls.checkpoints(run_dir), default=(0, 0))

    @staticmethod
    def began_after(output: Path) -> tuple[int, int] | None:
        """The same, of where a run says that it goes on; None if it did not come to that."""
        found = re.search(r"pictures each(?:; (\d+) epochs and (\d+) steps are done)?\n", output.read_text())
        return None if found is None else (int(found[1] or 0), int(found[2] or 0))


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, start_fork: Callable[..., Fork]) -> Runs:
    return Runs(tmp_path_factory.mktemp("faults"), start_fork)
