"""The run's record in MLflow, written by a thread of its own: a slow or failing server neither stops nor slows a run.

The store is `MLFLOW_TRACKING_URI` if that is set, else an SQLite file under the runs folder. After the first failure
nothing more is sent; what went wrong is kept for the end of the run.

In a job of Azure ML the record is the job's own, which the service has begun and will end.

A run that goes on has one record: it is found again by a tag, which `tracking.json` has before the record is made, and
what the record lacks, up to the checkpoint, is added. An epoch is sent when its checkpoint is there, so that the record
has none that the run does not have; what is sent again after all, by number and step, is left out.
"""

import contextlib
import dataclasses
import json
import logging
import os
import queue
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from keras_azure.description.config import RunConfig
from keras_azure.description.events import Listener
from keras_azure.description.folder import RESULTS, runs_folder
from keras_azure.description.result import RunResult
from keras_azure.errors import RunInterrupted
from keras_azure.files import json_text, write_json
from keras_azure.redaction import redacted

if TYPE_CHECKING:
    from keras_azure.engines.steps import StepResult

EXPERIMENT = "keras_azure"
PATIENCE_SECONDS = 30  # how long the end of a run waits for MLflow to finish one operation
_LONGEST_VALUE = 500  # characters of a parameter that every MLflow server takes
_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
_ADDRESS = "tracking.json"
_TAG = "keras_azure.run"
_KEPT_OUT = "checkpoints"  # they serve to go on with the run where it is, and are many times the model's size


class Tracker(Listener):
    """Records one run; leaving its `with` block waits for what is still to be sent.

    An epoch is recorded when its checkpoint is written: what a run does again after it was killed, it must not have
    recorded before.

    Args:
        history, address: of a run that goes on, its rows so far and where they were recorded.

    Attributes:
        address: `uri` and `run_id` of the record, once MLflow has answered.
        problems: what the user should hear at the end: nothing, or one sentence.
    """

    def __init__(
        self,
        config: RunConfig,
        run_dir: Path,
        history: Sequence[Mapping[str, float]] = (),
        address: Mapping[str, str] | None = None,
    ):
        self.address: dict[str, str] | None = None
        self.problems: list[str] = []
        self._config = config
        self._run_dir = run_dir
        self._earlier_rows = tuple(history)
        self._earlier_address = address
        self._rows: list[Mapping[str, float]] = []  # of epochs whose checkpoints are not written yet
        self._logged: set[tuple[str, int]] = set()
        self._parameters: set[str] = set()
        self._job_run = os.environ.get("MLFLOW_RUN_ID") if "AZUREML_RUN_ID" in os.environ else None
        self._uri = os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(runs_folder().absolute() / "mlflow.db")
        self._operations: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._progress = threading.Event()
        self._worker = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def __enter__(self) -> "Tracker":
        self._send(self._open)
        return self

    def begin(self) -> None:
        """Begins to record, and imports MLflow, which would hold up what a run does before its first step. What is
        recorded before begins it, too."""
        if self._config.tracking and self._worker.ident is None:
            self._worker.start()

    def steps_done(self, step: int, result: "StepResult", compiled: bool) -> None:
        self.begin()

    def epoch_done(self, epoch: int, row: Mapping[str, float]) -> None:
        self._rows.append(row)

    def checkpoint_written(self, epochs: int, step: int) -> None:
        while self._rows and self._rows[0]["epoch"] <= epochs:
            self.log_epoch(self._rows.pop(0))

    def training_done(self) -> None:
        while self._rows:  # of what has no checkpoints
            self.log_epoch(self._rows.pop(0))

    def get_state(self) -> Mapping[str, Any]:
        return {"tracking": self.address or self._earlier_address}

    def log_epoch(self, row: Mapping[str, float]) -> None:
        self.begin()
        self._send(lambda: self._log_row(row))

    def log_result(self, result: RunResult, environment: Mapping[str, str], facts: Mapping[str, Any]) -> None:
        """The test scores, the environment, the run folder's files, and `facts`, which are to be the last of these."""
        self.begin()
        scores = {f"test_{name}": value for name, value in result.test_metrics.items()}
        numbers = {**scores, "mean_images_per_second": result.images_per_second, "parameters": result.parameters}
        self._send(lambda: self._log_metrics(numbers, step=result.epochs))
        self._send(lambda: self._log_environment(environment))
        self._send(self._log_files)
        text = json_text(facts)
        self._send(lambda: self._client.log_text(self._run_id, text, RESULTS))

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.begin()
        if not self._worker.is_alive():
            return
        stopped = isinstance(error, RunInterrupted | KeyboardInterrupt)
        status = "FINISHED" if error is None else "KILLED" if stopped else "FAILED"
        if self._job_run is None:
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
        first_line = redacted(reason).strip().splitlines()[0]
        self.problems.append(f"MLflow at {redacted(self._uri)} has no complete record of this run: {first_line}")

    def _open(self) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        # MLflow's import and its notes about new databases are not the user's business.
        import mlflow

        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        # A client of our own: what a notebook has set with mlflow.set_experiment() and start_run() stays as it is.
        self._client = mlflow.MlflowClient(self._uri)
        if self._job_run is not None:
            self._attach(self._job_run)
        self._run_id: str = self._job_run or self._previous_run() or self._new_run()
        self.address = {"uri": redacted(self._uri), "run_id": self._run_id}
        self._save_address(self.address)
        parameters = [
            mlflow.entities.Param(name, str(value)[:_LONGEST_VALUE])  # type: ignore[no-untyped-call]  # MLflow's own
            for name, value in dataclasses.asdict(self._config).items()
            if name not in self._parameters  # where the data lies may differ from node to node
        ]
        self._client.log_batch(self._run_id, params=parameters)
        for row in self._earlier_rows:
            self._log_row(row)

    def _previous_run(self) -> str | None:
        """The record of a run that goes on, if it is in this store."""
        address = dict(self._earlier_address or {})
        with contextlib.suppress(OSError, ValueError, TypeError):
            address |= json.loads((self._run_dir / _ADDRESS).read_text(encoding="utf-8"))
        if address.get("uri") != redacted(self._uri):
            return None
        run_id = address.get("run_id") or self._tagged(str(address.get("tag")))
        if run_id is None or self._attach(run_id) is None:
            return None
        self._client.update_run(run_id, status="RUNNING")
        return run_id

    def _attach(self, run_id: str) -> str | None:
        """Goes on with a record, and notes what it has already; None if it is not there, or was deleted."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        if run.info.lifecycle_stage == "deleted":
            return None
        self._parameters = set(run.data.params)
        for name in run.data.metrics:
            self._logged |= {(name, metric.step) for metric in self._client.get_metric_history(run_id, name)}
        return run_id

    def _tagged(self, tag: str) -> str | None:
        """The record with our tag, whose making was the last thing that the run did before."""
        experiment = self._client.get_experiment_by_name(_experiment_name())
        if experiment is None or not tag.isalnum():
            return None
        found = self._client.search_runs([experiment.experiment_id], f"tags.`{_TAG}` = '{tag}'", max_results=1)
        return found[0].info.run_id if found else None

    def _new_run(self) -> str:
        name = _experiment_name()
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            experiment_id = experiment.experiment_id
        else:
            # A server knows where its artifacts go; beside a file they would land in the current folder.
            place = (runs_folder().absolute() / "mlartifacts").as_uri() if self._uri.startswith("sqlite:") else None
            experiment_id = self._client.create_experiment(name, artifact_location=place)
        tag = uuid.uuid4().hex
        self._save_address({"uri": redacted(self._uri), "tag": tag})
        made = self._client.create_run(experiment_id, run_name=self._run_dir.name, tags={_TAG: tag})
        return str(made.info.run_id)

    def _save_address(self, address: Mapping[str, str]) -> None:
        write_json(self._run_dir / _ADDRESS, address)

    def _log_row(self, row: Mapping[str, float]) -> None:
        self._log_metrics({name: value for name, value in row.items() if name != "epoch"}, step=int(row["epoch"]))

    def _log_metrics(self, numbers: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric
        from mlflow.utils.time import get_current_time_millis

        now = get_current_time_millis()  # type: ignore[no-untyped-call]  # MLflow's own
        new = {name: float(value) for name, value in numbers.items() if (name, step) not in self._logged}
        if new:
            metrics = [Metric(name, value, now, step) for name, value in new.items()]
            self._client.log_batch(self._run_id, metrics=metrics)
            self._logged |= {(name, step) for name in new}

    def _log_environment(self, environment: Mapping[str, str]) -> None:
        for name, value in environment.items():
            self._client.set_tag(self._run_id, f"environment.{name}", value)
        installed = {f"{found.name}=={found.version}" for found in metadata.distributions()}
        self._client.log_text(self._run_id, "\n".join(sorted(installed)) + "\n", "environment/requirements.txt")

    def _log_files(self) -> None:
        """The files of the run folder; looked for here, where the record's own address is among them."""
        for path in sorted(self._run_dir.rglob("*")):
            folder = path.relative_to(self._run_dir).parent
            ours = path.is_file() and not path.is_symlink() and not path.name.startswith(".")
            if ours and path.name != RESULTS and folder.parts[:1] != (_KEPT_OUT,):
                self._client.log_artifact(self._run_id, str(path), folder.as_posix() if folder.parts else None)
                self._progress.set()


def sqlite_uri(path: Path) -> str:
    """The address of a database in a file, also where the path has signs that mean something in an address."""
    text = str(path)
    decodes = tuple(map(int, re.findall(r"\d+", metadata.version("sqlalchemy"))[:2])) >= (2, 1)
    if "?" not in text and not (decodes and "%" in text):
        return f"sqlite:///{text}"
    # Slashes too: MLflow takes what stands here for a path, and makes the folder that it seems to be in.
    quoted = quote(text, safe="")
    # An earlier SQLAlchemy takes what is before the ? as it is; SQLite itself decodes an address of its own.
    return f"sqlite:///{quoted}" if decodes else f"sqlite:///file:{quoted}?uri=true"


def _experiment_name() -> str:
    return redacted(os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT))
