"""The run's record in MLflow, written by a thread of its own: a slow or failing server neither stops nor slows a run.

The store is `MLFLOW_TRACKING_URI` if that is set, else an SQLite file under the runs folder. After the first failure
nothing more is sent; what went wrong is kept for the end of the run.
"""

import contextlib
import dataclasses
import json
import logging
import os
import queue
import re
import threading
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from keras_azure.config import RunConfig, RunResult
from keras_azure.errors import RunInterrupted
from keras_azure.files import write_json
from keras_azure.runs import runs_folder

EXPERIMENT = "keras_azure"
PATIENCE_SECONDS = 30  # how long the end of a run waits for MLflow to finish one operation
_LONGEST_VALUE = 500  # characters of a parameter that every MLflow server takes
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
_KEPT_OUT = "checkpoints"  # they serve to go on with the run where it is, and are many times the model's size


class Tracker:
    """Records one run; leaving its `with` block waits for what is still to be sent.

    Attributes:
        address: `uri` and `run_id` of the record, once MLflow has answered.
        problems: what the user should hear at the end: nothing, or one sentence.
    """

    def __init__(self, config: RunConfig, run_dir: Path):
        self.address: dict[str, str] | None = None
        self.problems: list[str] = []
        self._config = config
        self._run_dir = run_dir
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{runs_folder().absolute() / 'mlflow.db'}"
        self._operations: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._progress = threading.Event()
        self._worker = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def __enter__(self) -> "Tracker":
        if self._config.tracking:
            self._worker.start()
            self._send(self._open)
        return self

    def log_epoch(self, row: Mapping[str, float]) -> None:
        numbers = {name: value for name, value in row.items() if name != "epoch"}
        self._send(lambda: self._log_metrics(numbers, step=int(row["epoch"])))

    def log_result(self, result: RunResult, environment: Mapping[str, str]) -> None:
        """The test scores, the environment, and the run folder's files."""
        scores = {f"test_{name}": value for name, value in result.test_metrics.items()}
        numbers = {**scores, "mean_images_per_second": result.images_per_second, "parameters": result.parameters}
        self._send(lambda: self._log_metrics(numbers, step=result.epochs))
        self._send(lambda: self._log_environment(environment))
        for path in sorted(self._run_dir.rglob("*")):
            folder = path.relative_to(self._run_dir).parent
            if path.is_file() and not path.name.startswith(".") and folder.parts[:1] != (_KEPT_OUT,):
                self._send(self._artifact(path, folder))

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._worker.is_alive():
            return
        stopped = isinstance(error, RunInterrupted | KeyboardInterrupt)
        status = "FINISHED" if error is None else "KILLED" if stopped else "FAILED"
        self._send(lambda: self._client.set_terminated(self._run_id, status))
        self._operations.put(None)
        while self._worker.is_alive():
            self._progress.clear()
            self._worker.join(0.02)
            if self._worker.is_alive() and not self._progress.wait(PATIENCE_SECONDS):
                self._give_up(f"no answer for {PATIENCE_SECONDS} seconds")
                return

    def _send(self, operation: Callable[[], None]) -> None:
        if self._config.tracking:
            self._operations.put(operation)

    def _work(self) -> None:
        while (operation := self._operations.get()) is not None:
            if not self.problems:
                try:
                    operation()
                except Exception as error:
                    self._give_up(f"{type(error).__name__}: {error}")
            self._progress.set()
        self._progress.set()

    def _give_up(self, reason: str) -> None:
        first_line = _without_secrets(reason).strip().splitlines()[0]
        self.problems.append(
            f"MLflow at {_without_secrets(self._uri)} has no complete record of this run: {first_line}"
        )

    def _open(self) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # MLflow's import and its notes about new databases are not the user's business.
        import mlflow

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        # A client of our own: what a notebook has set with mlflow.set_experiment() and start_run() stays as it is.
        self._client = mlflow.MlflowClient(self._uri)
        self._run_id = self._previous_run() or self._new_run()
        self.address = {"uri": _without_secrets(self._uri), "run_id": self._run_id}
        write_json(self._run_dir / "tracking.json", self.address)
        parameters = [
            mlflow.entities.Param(name, str(value)[:_LONGEST_VALUE])
            for name, value in dataclasses.asdict(self._config).items()
        ]
        self._client.log_batch(self._run_id, params=parameters)

    def _previous_run(self) -> str | None:
        """The record of a run that goes on, if it is in this store."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            before = json.loads((self._run_dir / "tracking.json").read_text(encoding="utf-8"))
            if before["uri"] == _without_secrets(self._uri):
                self._client.update_run(before["run_id"], status="RUNNING")
                return before["run_id"]
        return None

    def _new_run(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            experiment_id = experiment.experiment_id
        else:
            # A server knows where its artifacts go; beside a file they would land in the current folder.
            place = (runs_folder().absolute() / "mlartifacts").as_uri() if self._uri.startswith("sqlite:") else None
            experiment_id = self._client.create_experiment(name, artifact_location=place)
        return self._client.create_run(experiment_id, run_name=self._run_dir.name).info.run_id

    def _log_metrics(self, numbers: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()
        metrics = [Metric(name, float(value), now, step) for name, value in numbers.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def _log_environment(self, environment: Mapping[str, str]) -> None:
        for name, value in environment.items():
            self._client.set_tag(self._run_id, f"environment.{name}", value)
        installed = {f"{found.name}=={found.version}" for found in metadata.distributions()}
        self._client.log_text(self._run_id, "\n".join(sorted(installed)) + "\n", "environment/requirements.txt")

    def _artifact(self, path: Path, folder: Path) -> Callable[[], Any]:
        return lambda: self._client.log_artifact(self._run_id, str(path), folder.as_posix() if folder.parts else None)


def _without_secrets(text: str) -> str:
    """The text without the user and password of any address in it, nor what follows a question mark."""
    return re.sub(r"\?\S+", "", re.sub(r"//[^/@\s]+@", "//", text))
