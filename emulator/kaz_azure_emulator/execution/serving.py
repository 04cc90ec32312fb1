"""A deployment's server from its description to its end: as a job, with a scoring script in place of a command."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaz_azure_emulator.execution.environments import prepared_environment, remove_tree
from kaz_azure_emulator.execution.errors import JobFailed
from kaz_azure_emulator.execution.nodes import base_variables
from kaz_azure_emulator.execution.overlay import lay_over
from kaz_azure_emulator.execution.processes import GuardedProcess
from kaz_azure_emulator.execution.storage import Location, download_file, download_folder

# As Azure calls a deployment's two containers
_SERVER_LOG = "InferenceServer.log"
_STORAGE_LOG = "StorageInitializer.log"

_SERVER = Path(__file__).with_name("scoring_server.py")
_GRACE_SECONDS = 5.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class ServingDescription:
    """A deployment, with addresses (SAS URLs) in place of assets.

    Args:
        code_url: the container, or a prefix in it, that holds the code folder.
        scoring_script: the file in it with `init()` and `run(data)`.
        environment: `conda_file` (YAML text or None), `environment_variables`.
        model_url: the model's folder or file; None for a deployment without model.
        model_name: the model's name and version, with a slash between them.
        seconds_to_start: how long `init()` may take.
    """

    code_url: str
    scoring_script: str
    environment: dict[str, Any]
    model_url: str | None
    model_name: str
    seconds_to_start: float


def serve(
    description: ServingDescription,
    folder: Path,
    on_ready: Callable[[int], None],
    stopped: threading.Event,
    machine: Mapping[str, str],
) -> None:
    """Runs a deployment's server, in the calling thread, until it ends by itself or is stopped.

    When this returns, nothing is left but the logs in `folder`. When this process is killed, the server ends with it.

    Args:
        description: the deployment.
        folder: where it works, and where its logs are added to.
        on_ready: called with the server's port when it answers.
        stopped: ends it when it is set.
        machine: the variables that say how this machine reaches a package index.

    Raises:
        JobFailed: it did not come up.
        JobCanceled: it was stopped before it came up.
    """
    work = folder.absolute() / "work"
    remove_tree(work)  # of an emulator that was killed
    try:
        work.mkdir(parents=True)
        code, models = work / "code", work / "azureml-models" / description.model_name
        with (folder / _STORAGE_LOG).open("a", encoding="utf-8") as log:
            log.write(f"Code: {download_folder(Location(description.code_url), code, stopped)} files.\n")
            if description.model_url:
                _fetch_model(Location(description.model_url), models, stopped)
                log.write(f"Model {description.model_name} is in AZUREML_MODEL_DIR.\n")
        conda_file = description.environment.get("conda_file")
        with prepared_environment(conda_file, code, work / "build.log", stopped, machine) as environment:
            programs = lay_over(environment, work / "environment")
            variables = base_variables(programs, work / "node", description.environment["environment_variables"]) | {
                "AML_APP_ROOT": str(code),
                "AZUREML_ENTRY_SCRIPT": description.scoring_script,
                **({"AZUREML_MODEL_DIR": str(models)} if description.model_url else {}),
            }
            port_file = work / "port"
            process = GuardedProcess(
                [str(programs / "python"), "-u", str(_SERVER), str(port_file)],
                folder=code,
                environment=variables,
                output=folder / _SERVER_LOG,
                grace_seconds=_GRACE_SECONDS,
                heeds_permissions=True,
            )
            try:
                _watch(process, port_file, description.seconds_to_start, on_ready, stopped)
            finally:
                process.close()
    finally:
        remove_tree(work)


def _watch(
    process: GuardedProcess,
    port_file: Path,
    seconds_to_start: float,
    on_ready: Callable[[int], None],
    stopped: threading.Event,
) -> None:
    deadline = time.monotonic() + seconds_to_start
    is_ready = False
    while not stopped.wait(_POLL_SECONDS):
        if not is_ready and port_file.exists():
            is_ready = True
            on_ready(int(port_file.read_text()))
        has_ended = process.poll() is not None
        if has_ended and is_ready:
            return
        if has_ended or (not is_ready and time.monotonic() > deadline):
            # Azure's words: what happened in the container is in its log alone.
            raise JobFailed(
                "ResourceNotReady",
                "User container has crashed or terminated: Liveness probe failed: HTTP probe failed with statuscode: "
                "502. Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#error-resourcenotready",
            )


def _fetch_model(location: Location, folder: Path, stopped: threading.Event) -> None:
    """Brings a model to `folder`. As on Azure, its own folder or file keeps its name there."""
    target = folder / location.prefix.rpartition("/")[2]
    if download_folder(location, target, stopped):
        return
    target.rmdir()
    if not download_file(location, target, stopped):
        raise JobFailed("ResourceNotFound", f"There is no model at {location.prefix!r} in its container.")
