"""A backend runs a RunConfig somewhere and gives back its result, or what will once have it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.description.result import RunResult

DEFAULT_REGION = "eastus"  # of Azure, whose prices stand for all where none is named


class Backend(Protocol):
    """What an entry point of the group `keras_azure.backends` builds: `f(*, options) -> Backend`."""

    def run(self, config: RunConfig, run_dir: Path, observer: Observer, *, resume: bool = False) -> RunResult:
        """Runs to the end and fills `run_dir`, which exists.

        Args:
            config: the run, with its names resolved.
            run_dir: the run folder, empty, or with `resume` the folder of a run that was stopped.
            observer: hears of the progress.

        Raises:
            RunInterrupted: stopped on request; the run folder holds what is needed to go on.
            KerasAzureError: the run failed.
        """
        ...


class RunningJob(Protocol):
    """A run that goes on elsewhere, whoever looks at it."""

    name: str

    def status(self) -> str: ...

    def logs(self) -> Iterator[str]: ...

    def cancel(self) -> None: ...

    def result(self, observer: Observer | None = None) -> RunResult: ...

    def to_json(self) -> dict[str, Any]: ...


@runtime_checkable
class RemoteBackend(Backend, Protocol):
    """A backend whose runs go on by themselves."""

    def submit(self, config: RunConfig, run_dir: Path, observer: Observer, *, resume: bool = False) -> RunningJob:
        """Begins a run, or with `resume` finds the one that was begun for `run_dir`, and does not wait for its end."""
        ...

    def dry_run(self, config: RunConfig, folder: Path, observer: Observer) -> dict[str, Any]:
        """Writes into `folder` what `submit` would send, and gives the facts of it, JSON-safe."""
        ...
