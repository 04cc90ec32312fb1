"""Takes jobs through their states, each in a thread: Queued until there are nodes, then as the job itself goes on."""

import logging
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaz_azure_emulator.clock import Clock
from kaz_azure_emulator.clusters import Clusters
from kaz_azure_emulator.descriptions import Descriptions, Unresolved
from kaz_azure_emulator.faults import Faults
from kaz_azure_emulator.locations import run_folder
from kaz_azure_emulator.settings import Settings
from kaz_azure_emulator.state import State
from kaz_azure_emulator.storage import ARTIFACT_STORE, Storage, containers
from kaz_azure_emulator.sweeps import LOG, best, run_trials, trial_job, trials
from kaz_azure_emulator.tokens import Tokens
from kaz_azure_emulator.tracking import Tracking

log = logging.getLogger(__name__)

FINAL = ("Completed", "Failed", "Canceled")
KIND = "jobs"  # in the state

_MLFLOW_STATUS = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
_POLL_SECONDS = 0.1  # how often a queued job looks for nodes
_END_TIMEOUT = 30.0


class Scheduler:
    """The jobs that are under way. What they are and how they stand is in the state."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        clock: Clock,
        storage: Storage,
        tracking: Tracking,
        tokens: Tokens,
        faults: Faults,
        folder: Path,
        environment: Mapping[str, str],
        machine: Mapping[str, str],
    ):
        self.clusters = Clusters(state, clock)
        self._settings = settings
        self._state = state
        self._storage = storage
        self._clock = clock
        self._tracking = tracking
        self._faults = faults
        self._folder = folder
        self._machine = machine
        self._descriptions = Descriptions(settings, state, clock, storage, tokens, dict(environment))
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._interrupts: dict[str, threading.Event] = {}  # set to end what runs of a job
        self._canceled: set[str] = set()
        self._evicted: set[str] = set()
        self._is_stopping = False

    def submit(self, name: str) -> None:
        """Has a job run that the state has."""
        is_sweep = self._state.get(KIND, name)["properties"]["jobType"] == "Sweep"
        self._start(name, self._run_sweep if is_sweep else self._run)

    def create(self, name: str, job: dict[str, Any], parent: str | None = None) -> dict[str, Any]:
        """Adds a job to the state, and its run to MLflow; gives it as the state has it."""
        now, experiment = self._clock.now(), job["experimentName"]
        tags = {"mlflow.runName": job["displayName"], "mlflow.user": self._settings.client_id}
        tags |= {"mlflow.parentRunId": parent} if parent else {}
        document = {
            "created": now,
            "status": "Starting",
            "error": None,
            "parent": parent,
            "properties": job,
            "experiment_id": self._tracking.create_run(name, experiment, tags, now),
        }
        self._state.put(KIND, name, document)
        return document

    def cancel(self, name: str) -> None:
        """Ends a job; it is over when its state says so."""
        with self._lock:
            self._canceled.add(name)
            if interrupt := self._interrupts.get(name):
                interrupt.set()

    def evict(self, name: str) -> bool:
        """Takes a running job its nodes. Whether it had any that can be taken."""
        if not self.clusters.is_low_priority(name):
            return False
        with self._lock:
            self._evicted.add(name)
            if interrupt := self._interrupts.get(name):
                interrupt.set()
        return True

    def cancel_all(self) -> None:
        """Ends every job, and waits for it."""
        for name in list(self._threads):
            self.cancel(name)
        for thread in list(self._threads.values()):
            thread.join(_END_TIMEOUT)

    def stop(self) -> None:
        """Ends all that runs. The jobs have not ended by that: they are what `recover` finds at the next start."""
        self._is_stopping = True
        self.cancel_all()

    def recover(self) -> None:
        """After a start: what was under way when the service was killed has lost its nodes, and has failed."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name, document in self._state.list(KIND):
            if document["status"] not in FINAL:
                message = "The node that the job ran on was lost: the service restarted."
                self._finish(name, "Failed", {"code": "ServiceError", "message": message})

    def _start(self, name: str, run) -> None:
        thread = threading.Thread(target=self._guarded, args=(name, run), name=f"job {name}", daemon=True)
        with self._lock:
            self._threads[name] = thread
            self._interrupts[name] = threading.Event()
        thread.start()

    def _guarded(self, name: str, run) -> None:
        try:
            run(name)
        except Exception:
            log.exception("job %s", name)
            self._finish(name, "Failed", {"code": "ServiceError", "message": "An internal error occurred."})
        finally:
            with self._lock:
                self._threads.pop(name, None)
                self._interrupts.pop(name, None)
                self._canceled.discard(name)
                self._evicted.discard(name)

    def _run(self, name: str) -> None:
        """From Queued to the end; once more from Queued when its nodes were taken."""
        while True:
            self.set_status(name, "Queued")
            if not self._wait_for_nodes(name):
                self._finish(name, "Canceled", None)
                return
            try:
                status, error = self._execute(name)
            finally:
                self.clusters.release(name)
            with self._lock:
                is_evicted = name in self._evicted and name not in self._canceled and status == "Canceled"
                self._evicted.discard(name)
                if is_evicted:
                    self._interrupts[name].clear()
            if not is_evicted:
                self._finish(name, status, error)
                return

    def _wait_for_nodes(self, name: str) -> bool:
        """Whether there are nodes; otherwise the job was canceled."""
        job = self._state.get(KIND, name)["properties"]
        resources = job.get("resources") or {}
        tier = (job.get("queueSettings") or {}).get("jobTier")
        cluster = (job.get("computeId") or "").rpartition("/")[2] or None
        nodes, size = resources.get("instanceCount") or 1, resources.get("instanceType")
        while not self.clusters.acquire(name, cluster, nodes, size, tier):
            if self._interrupts[name].wait(_POLL_SECONDS):
                return False
        return True

    def _execute(self, name: str) -> tuple[str, dict[str, str] | None]:
        from kaz_azure_emulator.execution import InvalidJob, JobDescription, run_job

        document = self._state.get(KIND, name)
        if fault := self._faults.take("jobs.build_image"):
            return "Failed", {"code": fault.code or "ImageBuildFailure", "message": fault.message}
        try:
            description = JobDescription(**self._descriptions.of(name, document))
        except (Unresolved, InvalidJob) as error:
            return "Failed", {"code": "UserError", "message": str(error)}
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        outcome = run_job(
            description, folder, lambda status: self.set_status(name, status), self._interrupts[name], self._machine
        )
        shutil.rmtree(folder, ignore_errors=True)
        return outcome.status, outcome.error

    def _run_sweep(self, name: str) -> None:
        """Runs a sweep's trials, each as a job, and notes the best."""
        from kaz_azure_emulator.execution import InvalidJob

        document = self._state.get(KIND, name)
        sweep = document["properties"]
        self.set_status(name, "Queued")
        try:
            children = {f"{name}_{number}": inputs for number, inputs in enumerate(trials(sweep))}
        except InvalidJob as error:
            self._finish(name, "Failed", {"code": "UserError", "message": str(error)})
            return
        self.set_status(name, "Running")
        self._write_log(name, f"The sweep has {len(children)} trials.")

        def start(child: str) -> None:
            job = trial_job(name, sweep, list(children).index(child), children[child])
            self.create(child, job, parent=name)
            self.submit(child)

        def has_ended(child: str) -> bool:
            return self._state.get(KIND, child)["status"] in FINAL

        is_complete = run_trials(sweep, list(children), start, self.cancel, has_ended, self._interrupts[name])
        metric, goal = sweep["objective"]["primaryMetric"], sweep["objective"]["goal"]
        started = [child for child in children if self._state.get(KIND, child)]
        winner = best({child: self._tracking.last_metric(child, metric) for child in started}, goal)
        lines = [f"{child}: {self._state.get(KIND, child)['status']}" for child in started]
        self._write_log(name, "\n".join([*lines, f"Best by {metric}: {winner}"]))

        if winner:
            self._state.update(KIND, name, lambda found: found.update(run_properties={"best_child_run_id": winner}))
        if not is_complete:
            self._finish(name, "Canceled", None)
        elif all(self._state.get(KIND, child)["status"] == "Failed" for child in children):
            self._finish(name, "Failed", {"code": "UserError", "message": "All trials of the sweep have failed."})
        else:
            self._finish(name, "Completed", None)

    def _write_log(self, name: str, text: str) -> None:
        container = containers(self._settings)[ARTIFACT_STORE]
        self._storage.append(container, f"{run_folder(name)}/{LOG}", f"{self._clock.text()} {text}\n")

    def set_status(self, name: str, status: str) -> None:
        def change(document: dict[str, Any]) -> None:
            document["status"] = status
            if status == "Running":
                document.setdefault("started", self._clock.now())

        self._state.update(KIND, name, change)

    def _finish(self, name: str, status: str, error: dict[str, str] | None) -> None:
        if self._is_stopping:
            return
        now = self._clock.now()

        def change(document: dict[str, Any]) -> None:
            document |= {"status": status, "error": error, "ended": now}

        self._tracking.end_run(name, _MLFLOW_STATUS[status], now)
        self._state.update(KIND, name, change)
