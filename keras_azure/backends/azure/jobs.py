"""The jobs of a workspace that kaz started, whoever and whichever machine did it."""

import dataclasses
import datetime
import itertools
from pathlib import Path
from typing import Any

from keras_azure.backends.azure.following import FINAL, failure_of, get_job, word
from keras_azure.backends.azure.handle import FILE, Job
from keras_azure.backends.azure.job import TAG
from keras_azure.backends.azure.results import fetch
from keras_azure.backends.azure.service import Service, azure_errors, quiet, status_of
from keras_azure.backends.azure.workspace import find_workspace
from keras_azure.description.events import Observer
from keras_azure.description.folder import DESCRIPTION, runs_folder
from keras_azure.errors import CloudError, OutputExists, UsageError


def list_jobs(workspace: str | None, limit: int | None) -> list[dict[str, Any]]:
    """Facts of the workspace's jobs that kaz started, the newest first, JSON-safe.

    Args:
        workspace: as `find_workspace` takes it.
        limit: at most how many; None for all.
    """
    service = Service(find_workspace(workspace))
    with quiet(), azure_errors(f"The jobs of {service.workspace} cannot be listed"):
        # Azure gives the newest first, page by page: those behind the limit are not asked for.
        ours = (job for job in service.client.jobs.list() if TAG in (job.tags or {}))
        return [_facts(job) for job in itertools.islice(ours, limit)]


def find_job(workspace: str | None, name: str) -> Job:
    """The handle of a job that kaz started; its run folder is runs/NAME until somebody chooses another.

    Raises:
        UsageError: there is no such job, or somebody else started it.
    """
    service = Service(find_workspace(workspace))
    try:
        found = get_job(service, name)
    except CloudError as error:
        if status_of(error) != 404:
            raise
        _ = service.description  # a workspace that is not there is another matter: this says so
        raise UsageError(
            f"There is no job called {name} in {service.workspace}.",
            expected="the name that kaz run printed, of a job of this workspace",
            hint="kaz jobs list; or the same command with --workspace",
        ) from error
    if TAG not in (found.tags or {}):
        raise UsageError(
            f"The job {name} was not started by kaz.",
            expected=f"a job with the tag {TAG}",
            hint=f"kaz jobs list; or az ml job show --name {name}",
        )
    facts = _facts(found)
    return Job(
        name,
        service.workspace,
        (runs_folder() / name).absolute(),
        size=facts["size"] or "",
        nodes=facts["nodes"],
        service=service,
    )


def describe_job(job: Job) -> dict[str, Any]:
    """All that Azure ML knows of a job that a person may want to read, JSON-safe."""
    service = job.service
    found, details = get_job(service, job.name), service.run_details(job.name)
    failure = None
    if found.status == "Failed":
        reason, log = failure_of(service, job.name)
        failure = {"reason": reason, "log": log}
    return _facts(found) | {
        "begun": details.get("startTimeUtc"),
        "ended": details.get("endTimeUtc"),
        "bill": job.bill() if found.status in FINAL else [],
        "inputs": {name: _place(given) for name, given in (found.inputs or {}).items()},
        "outputs": {name: _place(given) for name, given in (found.outputs or {}).items()},
        "studio": found.studio_url,
        "tags": dict(found.tags or {}),
        "failure": failure,
    }


def download_job(job: Job, output: Path | None, patterns: list[str], observer: Observer) -> dict[str, Any]:
    """Fetches a job's run folder, or some of its files; what is there already is not fetched again.

    Args:
        output: the folder; by default runs/NAME.
        patterns: which files, such as "plots/*"; by default all but checkpoints.

    Raises:
        OutputExists: something else is in the folder.
        CloudError: there are no such files, or the download was cut short.
    """
    folder = (output.expanduser() if output else job.run_dir).absolute()
    is_ours = _prepare(folder, job)
    # A run.json that is there may be that of the run's beginning; the job's own names places on a node.
    keep = DESCRIPTION if is_ours and (folder / DESCRIPTION).exists() else ""
    try:
        names = fetch(job.service, job.name, folder, observer, patterns, keep=keep)
    except BaseException:
        if [path.name for path in folder.iterdir()] == [FILE] and not is_ours:
            (folder / FILE).unlink()
            folder.rmdir()
        raise
    return {"name": job.name, "folder": str(folder), "files": names}


def _prepare(folder: Path, job: Job) -> bool:
    """Makes the folder this job's; whether it was so already."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"The output folder {folder} cannot be made: {error.strerror}.") from error
    there = Job.load(folder)
    if there is not None and there.name == job.name:
        return True
    if not is_empty:
        raise OutputExists(
            f"The output folder {folder} is not empty, and nothing is overwritten.",
            expected=f"an empty folder, or one that the job {job.name} was fetched to before",
            hint="another --output",
        )
    dataclasses.replace(job, run_dir=folder).save()
    return False


def _facts(job: Any) -> dict[str, Any]:
    """What a list tells of a job; `job` is the SDK's."""
    created = getattr(job.creation_context, "created_at", None)
    resources = getattr(job, "resources", None)
    return {
        "name": job.name,
        "state": word(job.status),
        "size": (job.tags or {}).get("size"),
        "nodes": int(getattr(resources, "instance_count", None) or 1),
        "created": created.astimezone(datetime.UTC).isoformat(timespec="seconds") if created else None,
        "display_name": job.display_name,
        "experiment": job.experiment_name,
    }


def _place(given: Any) -> str:
    """Where an input or output is; an input may be a plain value, too."""
    return str(getattr(given, "path", given))
