"""A job that was submitted: looked at, followed, cancelled and fetched, from any process and any machine."""

import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from keras_azure.backends import COMPLETED
from keras_azure.backends.azure.facts import describe
from keras_azure.backends.azure.following import Follower, failure_of, log_lines, state_of
from keras_azure.backends.azure.results import fetch, fetch_run, register
from keras_azure.backends.azure.service import Service, azure_errors, quiet
from keras_azure.backends.azure.sizes import find_size
from keras_azure.backends.azure.workspace import Workspace
from keras_azure.description.commands import command
from keras_azure.description.events import Observer
from keras_azure.description.folder import DESCRIPTION, JOB, read_result
from keras_azure.description.result import RunResult
from keras_azure.errors import ConfigError, JobFailed, OutputExists, RunInterrupted, UsageError
from keras_azure.files import write_json

BACKEND = "azure"  # which opens a job again, in whatever workspace it is


@dataclass(frozen=True)
class Job:
    """A job in a workspace; `to_json` and `from_json` carry it elsewhere.

    Attributes:
        name: in the workspace.
        run_dir: where its run folder is put.
        register_as: the name under which its model is registered when it is done.
        size, nodes: its machines.
    """

    name: str
    workspace: Workspace
    run_dir: Path
    register_as: str | None = None
    size: str = ""
    nodes: int = 1
    service: Service | None = field(default=None, repr=False, compare=False)

    def status(self) -> str:
        """Azure ML's word: Queued, Preparing, Running, Finalizing, Completed, Failed, Canceled, ..."""
        return state_of(self._service, self.name)

    def logs(self) -> Iterator[str]:
        """The lines of its logs so far."""
        return log_lines(self._service, self.name)

    def cancel(self) -> None:
        """Asks Azure ML to end it, and waits until it has."""
        with quiet(), azure_errors(f"The job {self.name} cannot be cancelled"):
            self._service.client.jobs.begin_cancel(self.name).result()

    def wait(self, observer: Observer | None = None) -> str:
        """Follows it to its end; gives its final state.

        Raises:
            RunInterrupted: Ctrl-C; the job goes on.
            CloudError: Azure does not answer.
        """
        return self.follow((observer or Observer()).message)

    def follow(self, tell: Callable[[str], None], tell_state: Callable[[str], None] | None = None) -> str:
        """As `wait`; `tell` gets the lines of its logs, and `tell_state`, by default the same, what becomes of it."""
        try:
            return Follower(self._service, self.name, tell, tell_state).follow()
        except KeyboardInterrupt:
            raise RunInterrupted(
                f"No longer following the job {self.name}, which goes on.",
                hint=f"kaz jobs wait {self.name}; or, to end it: kaz jobs cancel {self.name}",
            ) from None

    def result(self, observer: Observer | None = None) -> RunResult:
        """Waits for its end, and fetches its run folder: `run_dir` is then like that of a run on this machine.

        Raises:
            JobFailed: it ended without a result.
            RunInterrupted: Ctrl-C; the job goes on.
            CloudError: Azure does not answer.
        """
        observer = observer or Observer()
        state = self.wait(observer)
        if state != COMPLETED:
            raise self.failure(state)
        try:
            return self._fetched(observer)
        except KeyboardInterrupt:
            raise RunInterrupted(
                f"Stopped; the job {self.name} is done, and what it left is kept in the workspace.",
                hint=command("kaz", "resume", self.run_dir),
            ) from None

    def describe(self) -> dict[str, Any]:
        """All that Azure ML knows of it that a person may want to read, JSON-safe."""
        return describe(self._service, self.name, self.bill)

    def download(self, output: Path | None, patterns: Sequence[str], observer: Observer) -> dict[str, Any]:
        """Fetches its run folder, or some of its files; what is there already is not fetched again.

        Args:
            output: the folder; by default runs/NAME.
            patterns: which files, such as "plots/*"; by default all but checkpoints.

        Raises:
            OutputExists: something else is in the folder.
            CloudError: there are no such files, or the download was cut short.
        """
        folder = (output.expanduser() if output else self.run_dir).absolute()
        is_ours = self._prepare(folder)
        # A run.json that is there may be that of the run's beginning; the job's own names places on a node.
        keep = DESCRIPTION if is_ours and (folder / DESCRIPTION).exists() else ""
        try:
            names = fetch(self._service, self.name, folder, observer, list(patterns), keep=keep)
        except BaseException:
            if [path.name for path in folder.iterdir()] == [JOB] and not is_ours:
                (folder / JOB).unlink()
                folder.rmdir()
            raise
        return {"name": self.name, "folder": str(folder), "files": names}

    def _prepare(self, folder: Path) -> bool:
        """Makes the folder this job's; whether it was so already."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            is_empty = not any(folder.iterdir())
        except OSError as error:
            raise UsageError(f"The output folder {folder} cannot be made: {error.strerror}.") from error
        there = Job.load(folder)
        if there is not None and there.name == self.name:
            return True
        if not is_empty:
            raise OutputExists(
                f"The output folder {folder} is not empty, and nothing is overwritten.",
                expected=f"an empty folder, or one that the job {self.name} was fetched to before",
                hint="another --output",
            )
        dataclasses.replace(self, run_dir=folder).save()
        return False

    def _fetched(self, observer: Observer) -> RunResult:
        self.run_dir.mkdir(parents=True, exist_ok=True)
        fetch_run(self._service, self.name, self.run_dir, observer)
        tracking = {"uri": self._service.description.mlflow_tracking_uri, "run_id": self.name}
        result = read_result(self.run_dir, tracking)
        if self.register_as:
            scores = {f"test_{name}": value for name, value in result.test_metrics.items()}
            observer.message(f"Registered {register(self._service, self.name, self.register_as, scores)}")
        for line in self.bill():
            observer.message(line)
        observer.run_finished(result)
        return result

    def to_json(self) -> dict[str, Any]:
        return {
            "backend": BACKEND,
            "name": self.name,
            "workspace": str(self.workspace),
            "run_dir": str(self.run_dir),
            "register_as": self.register_as,
            "size": self.size,
            "nodes": self.nodes,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any], service: Service | None = None) -> "Job":
        """
        Raises:
            ConfigError: it is not what `to_json` gave.
        """
        try:
            subscription, group, workspace = values["workspace"].split("/")
            return cls(
                name=str(values["name"]),
                workspace=Workspace(subscription, group, workspace),
                run_dir=Path(values["run_dir"]),
                register_as=values.get("register_as"),
                size=str(values.get("size") or ""),
                nodes=int(values.get("nodes") or 1),
                service=service,
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(f"This describes no job: {error}.", expected="what a job's to_json() gives") from None

    def save(self) -> None:
        write_json(self.run_dir / JOB, self.to_json())

    @classmethod
    def load(cls, run_dir: Path, service: Service | None = None) -> "Job | None":
        """The job of a run folder, if it has one."""
        path = run_dir / JOB
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path} is damaged: {error}.") from None
        if not isinstance(values, dict):
            raise ConfigError(f"{path} is damaged: it is no JSON object.")
        return cls.from_json({**values, "run_dir": str(run_dir)}, service)

    @cached_property
    def _service(self) -> Service:
        return self.service or Service(self.workspace)

    def failure(self, state: str) -> JobFailed:
        """The error that says why it has no result."""
        reason, lines = failure_of(self._service, self.name)
        is_here = (self.run_dir / DESCRIPTION).exists()  # the run folder is not on every machine
        resume = command("kaz", "resume", self.run_dir)
        again = f"{resume}, which goes on in a new job after the last checkpoint" if is_here else ""
        if state == "Canceled":
            why = "" if reason.startswith("Azure ML gives no reason") else f": {reason}"
            return JobFailed(f"The job {self.name} was cancelled{why}.", hint=again or f"kaz jobs show {self.name}")
        log = "\n".join(f"  {line}" for line in lines)
        return JobFailed(
            f"The job {self.name} failed: {reason}." + (f"\nThe last lines of its log:\n{log}" if log else ""),
            hint=f"kaz jobs logs {self.name} shows all of it" + (f"; when that is mended: {again}" if again else ""),
        )

    def bill(self) -> list[str]:
        """What its nodes took and, where a price is known, cost."""
        details = self._service.run_details(self.name)
        try:
            begun, ended = (datetime.datetime.fromisoformat(details[name]) for name in ("startTimeUtc", "endTimeUtc"))
        except (KeyError, TypeError, ValueError):
            return []
        hours = (ended - begun).total_seconds() / 3600 * self.nodes
        price = find_size(self.size).prices[-1:] if self.size else ()
        cost = f", about {hours * price[0].usd_per_hour:.2f} USD at the price of {price[0].date}" if price else ""
        return [f"{hours:.2f} hours of {self.size}{cost}; starting and idling come on top"]
