"""What `kaz jobs` does, as functions: the jobs of any backend, listed, found by name, followed and fetched."""

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_azure.backends import (
    FINAL_STATES,
    DescribedJob,
    ExplainedJob,
    FetchedJob,
    FollowedJob,
    KeepsJobs,
    RunningJob,
)
from keras_azure.backends.asked import backends_that
from keras_azure.description.events import Observer
from keras_azure.errors import CloudError, JobFailed, KerasAzureError, RunInterrupted, UsageError
from keras_azure.registry.registry import BACKENDS, as_spec

_SECONDS = 1.0  # between two looks at a job


def list_jobs(
    backend: str | None = None,
    *,
    limit: int | None = None,
    flags: Mapping[str, Any] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[dict[str, Any]]:
    """Facts of the jobs that kaz started, the newest first, JSON-safe; "backend" says whose they are.

    Args:
        backend: only of this one; by default of all that keep jobs.
        limit: at most how many; None for all.
        flags: options of the backend; without its name, of those backends that have these options.
        tell: hears which backends cannot be asked, where others can.

    Raises:
        KerasAzureError: no backend can be asked, as the first one says.
    """
    found: list[dict[str, Any]] = []
    failures: list[tuple[str, KerasAzureError]] = []
    keepers = _keepers(backend, flags, tell)
    for name, keeper in keepers.items():
        try:
            found += [{"backend": name, **facts} for facts in keeper.jobs(limit)]
        except KerasAzureError as error:
            failures.append((name, error))
    if len(failures) == len(keepers):
        raise failures[0][1]
    for name, failure in failures:
        tell(f"The jobs of the backend {name} are left out: {failure.problem}")
    return sorted(found, key=_created, reverse=True)[:limit] if len(keepers) > 1 else found


def find_job(name: str, backend: str | None = None, *, flags: Mapping[str, Any] | None = None) -> RunningJob:
    """The handle of a job that kaz started.

    Args:
        name: as `list_jobs` has it.
        backend, flags: as in `list_jobs`.

    Raises:
        UsageError: there is no such job, or more than one.
        CloudError: it is not found, and not all backends could be asked.
    """
    found: dict[str, RunningJob] = {}
    failures: dict[str, KerasAzureError] = {}
    for each, keeper in _keepers(backend, flags).items():
        try:
            found[each] = keeper.find_job(name)
        except KerasAzureError as error:
            failures[each] = error
    if len(found) > 1:
        raise UsageError(
            f"The backends {' and '.join(found)} have a job called {name}.",
            hint=f"the same command with --backend {next(iter(found))}",
        )
    if found:
        return next(iter(found.values()))
    if len(failures) == 1:
        raise next(iter(failures.values()))
    kind = UsageError if all(isinstance(error, UsageError) for error in failures.values()) else CloudError
    reasons = "".join(f"\n  {each}: {error.problem}" for each, error in failures.items())
    raise kind(f"No job called {name} is found.{reasons}", hint="kaz jobs list; or the same command with --backend")


def follow(job: RunningJob, tell: Callable[[str], None], tell_state: Callable[[str], None]) -> str:
    """Waits for the end of a job, and gives its final state.

    Args:
        tell: hears the lines of its logs.
        tell_state: hears its states.

    Raises:
        RunInterrupted: Ctrl-C; the job goes on.
    """
    if isinstance(job, FollowedJob):
        return job.follow(tell, tell_state)
    before, told = "", 0
    try:
        while True:
            state = job.status()  # before the logs: what it has written at its end is heard, too
            if state != before:
                tell_state(f"{job.name}: {state.lower()}")
            lines = list(job.logs())
            for line in lines[told:]:
                tell(line)
            before, told = state, len(lines)
            if state in FINAL_STATES:
                return state
            time.sleep(_SECONDS)
    except KeyboardInterrupt:
        raise RunInterrupted(
            f"No longer following the job {job.name}, which goes on.",
            hint=f"kaz jobs wait {job.name}; or, to end it: kaz jobs cancel {job.name}",
        ) from None


def describe(job: RunningJob) -> dict[str, Any]:
    """All that its backend tells of a job, JSON-safe; at least its "name" and its "state"."""
    if isinstance(job, DescribedJob):
        return job.describe()
    return {"name": job.name, "state": job.status()}


def download(job: RunningJob, output: Path | None, patterns: Sequence[str], observer: Observer) -> dict[str, Any]:
    """Fetches a job's run folder, as `FetchedJob.download` says.

    Raises:
        UsageError: its backend cannot fetch files.
    """
    if not isinstance(job, FetchedJob):
        raise UsageError(f"The backend of the job {job.name} fetches no files.", hint=f"kaz jobs logs {job.name}")
    return job.download(output, patterns, observer)


def failure_of(job: RunningJob, state: str) -> KerasAzureError:
    """The error that says why a job has no result."""
    if isinstance(job, ExplainedJob):
        return job.failure(state)
    return JobFailed(f"The job {job.name} has no result: {state}.", hint=f"kaz jobs logs {job.name}")


def _keepers(
    backend: str | None, flags: Mapping[str, Any] | None, tell: Callable[[str], None] = lambda text: None
) -> dict[str, KeepsJobs]:
    if backend is None:
        found = dict(backends_that(KeepsJobs, tell, flags=flags))
        if not found:
            raise UsageError("No backend that is installed keeps jobs.", hint="kaz list backends")
        return found
    built = BACKENDS.build(as_spec(backend).with_options(**(flags or {})))
    if not isinstance(built, KeepsJobs):
        raise UsageError(f"The backend {backend} keeps no jobs.", hint="kaz jobs list")
    return {as_spec(backend).name: built}


def _created(facts: Mapping[str, Any]) -> datetime.datetime:
    text = facts.get("created")
    moment = datetime.datetime.fromisoformat(text) if text else datetime.datetime.min
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
