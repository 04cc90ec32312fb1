"""A backend runs a RunConfig somewhere and gives back its result."""

from pathlib import Path
from typing import Protocol

from keras_azure.config import RunConfig, RunResult
from keras_azure.observers import Observer


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
