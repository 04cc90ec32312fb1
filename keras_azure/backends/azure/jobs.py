"""The jobs of a workspace that kaz started, whoever and whichever machine did it."""

import itertools
from typing import Any

from keras_azure.backends.azure.facts import facts_of
from keras_azure.backends.azure.following import get_job
from keras_azure.backends.azure.handle import Job
from keras_azure.backends.azure.job import TAG
from keras_azure.backends.azure.service import Service, azure_errors, quiet, status_of
from keras_azure.backends.azure.workspace import find_workspace
from keras_azure.description.commands import command
from keras_azure.description.folder import runs_folder
from keras_azure.errors import CloudError, UsageError


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
        return [facts_of(job) for job in itertools.islice(ours, limit)]


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
            hint=f"kaz jobs list; or {command('az', 'ml', 'job', 'show', '--name', name)}",
        )
    facts = facts_of(found)
    return Job(
        name,
        service.workspace,
        (runs_folder() / name).absolute(),
        size=facts["size"] or "",
        nodes=facts["nodes"],
        service=service,
    )
