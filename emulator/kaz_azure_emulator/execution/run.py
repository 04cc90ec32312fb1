"""A job from its description to its outcome."""

import contextlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kaz_azure_emulator.execution.description import JobDescription, JobOutcome
from kaz_azure_emulator.execution.environments import BUILD_LOG, last_lines, prepared_environment, remove_tree
from kaz_azure_emulator.execution.errors import JobCanceled, JobFailed
from kaz_azure_emulator.execution.inputs import OutputFolder, fetch_inputs, fill_command, make_outputs
from kaz_azure_emulator.execution.nodes import (
    End,
    base_variables,
    find_free_ports,
    num_ports,
    plan_processes,
    run_processes,
)
from kaz_azure_emulator.execution.overlay import lay_over
from kaz_azure_emulator.execution.storage import FolderUpload, Location, LogUpload, download_folder, repeated

_LOG_SECONDS = 1.0
_FOLDER_SECONDS = 3.0
_LAST_LINES = 20  # of a failed process, in the error


def run_job(
    description: JobDescription,
    folder: Path,
    on_status: Callable[[str], None],
    canceled: threading.Event,
    machine: Mapping[str, str] = os.environ,
) -> JobOutcome:
    """Runs a job to its end, in the calling thread.

    When this returns, nothing of the job is left, neither a process nor a file in `folder`. When this process is
    killed, the job's processes end with it; the next `run_job` clears its files away.

    Args:
        description: the job.
        folder: an empty folder to work in.
        on_status: called with "Preparing", "Running", "Finalizing" as the job gets there.
        canceled: ends the job when it is set: SIGTERM, then SIGKILL.
        machine: the variables that say how this machine reaches a package index.

    Returns:
        How it ended: what goes wrong with the job, its data or this machine is an outcome, not an error.
    """
    work = folder.absolute() / "work"
    remove_tree(work)  # of an emulator that was killed
    try:
        work.mkdir(parents=True)
        on_status("Preparing")
        return _Job(description, work, on_status, canceled, machine).run()
    except JobCanceled:
        return JobOutcome("Canceled")
    except JobFailed as failure:
        return JobOutcome("Failed", {"code": failure.code, "message": failure.message})
    except OSError as error:
        message = f"The node failed: {error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        return JobOutcome("Failed", {"code": "SystemError", "message": message})
    finally:
        remove_tree(work)


class _Job:
    def __init__(
        self,
        description: JobDescription,
        work: Path,
        on_status: Callable[[str], None],
        canceled: threading.Event,
        machine: Mapping[str, str],
    ):
        self._machine = machine
        self._description = description
        self._work = work
        self._on_status = on_status
        self._canceled = canceled
        self._logs = work / "logs"
        self._logs_location = Location(description.logs_url)

    def run(self) -> JobOutcome:
        code = self._work / "code"
        code.mkdir()
        if self._description.code_url is not None:
            download_folder(Location(self._description.code_url), code, self._canceled)

        with contextlib.ExitStack() as stack:
            build_log = self._follow(BUILD_LOG, stack, only_if_written=True)
            try:
                conda_file = self._description.environment.get("conda_file")
                environment = stack.enter_context(
                    prepared_environment(conda_file, code, self._logs / BUILD_LOG, self._canceled, self._machine)
                )
            finally:
                build_log()
            programs = lay_over(environment, self._work / "environment")
            inputs = fetch_inputs(self._description.inputs, self._work / "inputs", self._canceled)
            outputs = make_outputs(self._description.outputs, self._work / "outputs", self._canceled)
            if self._canceled.is_set():
                raise JobCanceled
            return self._run_nodes(code, programs, inputs, outputs)

    def _run_nodes(
        self, code: Path, programs: Path, inputs: dict[str, str], outputs: dict[str, OutputFolder]
    ) -> JobOutcome:
        job = self._description
        output_values = {name: output.value for name, output in outputs.items()}
        command = fill_command(job.command, inputs, output_values)
        nodes = [self._work / "nodes" / str(number) for number in range(job.node_count)]
        folders = [node / "wd" for node in nodes]
        for here in folders:
            shutil.copytree(code, here)
        given = {**(job.environment.get("environment_variables") or {}), **job.variables}
        data = {name: value for name, value in inputs.items() if job.inputs[name]["type"] != "literal"}
        variables = [
            base_variables(programs, node, given)
            | {"AZUREML_CR_EXECUTION_WORKING_DIR_PATH": str(node / "wd")}
            | {"AZUREML_LOGDIRECTORY_PATH": str(node / "wd" / "logs")}
            | {f"AZURE_ML_INPUT_{name}": value for name, value in data.items()}
            | {f"AZURE_ML_OUTPUT_{name}": value for name, value in output_values.items()}
            for node in nodes
        ]
        plans = plan_processes(job, find_free_ports(num_ports(job)))

        # Artifacts and mounts reach storage while the job runs. Node 0 comes last: its files win over those of others.
        default_location, logs_location = Location(job.default_output_url), self._logs_location.below("logs")
        artifacts = [
            upload
            for node in reversed(folders)
            for upload in (FolderUpload(node / "outputs", default_location), FolderUpload(node / "logs", logs_location))
        ]
        mounts = [output.upload for output in outputs.values() if output.upload and output.is_mounted]
        uploads = [output.upload for output in outputs.values() if output.upload and not output.is_mounted]

        with contextlib.ExitStack() as stack:
            finish_logs = [self._follow(f"user_logs/{plan.log}", stack) for plan in plans]
            self._on_status("Running")
            with repeated(_FOLDER_SECONDS, lambda: _update([*artifacts, *mounts], final=False)):
                end = run_processes(
                    command, plans, variables, folders, self._logs / "user_logs", job.timeout_seconds, self._canceled
                )
            self._on_status("Finalizing")
            for finish in finish_logs:
                finish()
            # What is uploaded at the end is uploaded for a job that completed; what is mounted is there in any case.
            _update([*artifacts, *mounts, *(uploads if end.reason == "completed" else [])])
        return self._outcome(end, command)

    def _follow(self, name: str, stack: contextlib.ExitStack, *, only_if_written: bool = False) -> Callable[[], None]:
        """Has a log uploaded while the stack is open; returns what uploads the rest of it."""
        file = self._logs / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not only_if_written:
            file.touch()
        upload = LogUpload(file, self._logs_location.below(name))

        def update(*, final: bool = True) -> None:
            if file.exists():
                upload.update(final=final)

        stack.enter_context(repeated(_LOG_SECONDS, lambda: update(final=False)))
        return update

    def _outcome(self, end: End, command: str) -> JobOutcome:
        if end.reason == "completed":
            return JobOutcome("Completed", exit_code=0)
        if end.reason == "canceled":
            return JobOutcome("Canceled")
        if end.reason == "timeout":
            limit = f"{self._description.timeout_seconds:g} seconds"
            message = f"The job ran for longer than its limit of {limit} and was canceled."
            return JobOutcome("Canceled", {"code": "UserError", "message": message})
        message = (
            f"Execution failed. User process '{command.split()[0]}' exited with status code {end.exit_code}. "
            f"Please check log file 'user_logs/{end.log}' for error details. "
            f"Error: {last_lines(self._logs / 'user_logs' / end.log, _LAST_LINES)}"
        )
        return JobOutcome("Failed", {"code": "UserError", "message": message}, end.exit_code)


def _update(uploads: Iterable[FolderUpload], *, final: bool = True) -> None:
    for upload in uploads:
        upload.update(final=final)
