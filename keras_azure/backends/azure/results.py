"""What a finished job leaves: its run folder is fetched, and its model registered in the workspace."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_azure.backends.azure.names import first_name
from keras_azure.backends.azure.service import Service, azure_errors, quiet
from keras_azure.backends.azure.storage import Storage
from keras_azure.description.events import Observer
from keras_azure.description.folder import DESCRIPTION, RESULTS
from keras_azure.errors import CloudError, UsageError

_MODELS = ("model.keras", "model.zip")
_LEFT = ("checkpoints/*", ".*")  # they serve to go on with the run where it is


def output_prefix(job: str) -> str:
    """Where in the default datastore a job writes its run folder, and those that go on with its run."""
    return f"keras_azure/runs/{first_name(job)}"


def fetch(
    service: Service, job: str, folder: Path, observer: Observer, patterns: Sequence[str] = (), *, keep: str = ""
) -> list[str]:
    """Fetches what a job has written into a folder; gives the names.

    Args:
        patterns: which files, such as "plots/*"; by default all but checkpoints.
        keep: a file of the folder that stays as it is.

    Raises:
        CloudError: there is nothing, or the download was cut short.
    """
    storage = Storage(service)
    found = storage.list(output_prefix(job))
    wanted = [entry for entry in found if _is_wanted(entry[0], patterns) and entry[0] != keep]
    if not wanted:
        names = ", ".join(sorted(name for name, _ in found)[:10])
        raise CloudError(
            f"The job {job} has written no such files.",
            expected=f"a pattern for some of {names}" if names else "",
            hint=f"kaz jobs show {job}",
        )
    # The results' file comes last: a folder that has it is whole.
    others = [entry for entry in wanted if entry[0] != RESULTS]
    storage.download(output_prefix(job), others, folder, observer)
    storage.download(output_prefix(job), [entry for entry in wanted if entry[0] == RESULTS], folder, observer)
    return [name for name, _ in wanted]


def fetch_run(service: Service, job: str, run_dir: Path, observer: Observer) -> None:
    """Makes `run_dir` the run folder that a run on this machine would have: its run.json stays the user's."""
    keep = DESCRIPTION if (run_dir / DESCRIPTION).exists() else ""
    fetch(service, job, run_dir, observer, keep=keep)


@dataclass(frozen=True)
class Registered:
    name: str
    version: str

    def __str__(self) -> str:
        return f"azureml:{self.name}:{self.version}"


def register(service: Service, job: str, name: str, scores: dict[str, float]) -> Registered:
    """Makes a job's model a version of a model in the workspace.

    Raises:
        UsageError: the job has none.
    """
    storage = Storage(service)
    files = {file for file, _ in storage.list(output_prefix(job))}
    model = next((file for file in _MODELS if file in files), None)
    if model is None:
        raise UsageError(f"The job {job} has written no model.", hint=f"kaz jobs show {job}")
    with quiet(), azure_errors(f"The model cannot be registered as {name}"):
        from azure.ai.ml.entities import Model

        made = service.client.models.create_or_update(
            Model(
                name=name,
                path=storage.address(output_prefix(job)).rstrip("/") + f"/{model}",
                type="custom_model",
                tags={"keras_azure.job": job} | {score: f"{value:.6g}" for score, value in scores.items()},
            )
        )
    return Registered(made.name, str(made.version))


def _is_wanted(name: str, patterns: Sequence[str]) -> bool:
    if patterns:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    return not any(fnmatch.fnmatchcase(name, pattern) for pattern in _LEFT)
