"""A backend runs a RunConfig somewhere, and gives back its result or what will once have it.

A plugin is `f(*, options) -> Backend`, an entry point of the group `keras_azure.backends`. One method is all that it
must have:

    class Shell:
        def run(self, config, run_dir, observer, *, resume=False):
            ...

    def shell(*, host: str = "localhost") -> Shell:
        return Shell()

Whatever else is asked of a backend it may give, each by itself: the protocols below say what, and for what. What it
does not give is left out with a sentence, and never in the way of a run.

    Submits         submit            kaz run --detach, keras_azure.submit
    DryRuns         dry_run           kaz run --dry-run, keras_azure.dry_run
    OpensJobs       open_job          keras_azure.job
    KeepsJobs       jobs, find_job    kaz jobs
    OnMachine       machine           kaz plan, kaz bench, kaz show, and the look ahead before a run is submitted
    OffersMachines  machines          kaz plan without a --backend
    Examined        doctor            kaz doctor

Its options are its flags, with no more said: with `--backend shell` the command line takes `--host NAME`, as
`keras_azure.run` takes `host=NAME`, and the docstring's "Args:" is their help.

A backend that runs `kaz run` elsewhere sets `KAZ_NODE_OF` there to its own spec, such as "shell(host=a)": the report
that is written there then names the price of its machine.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from keras_azure.backends.machine import Machine
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.description.result import RunResult
from keras_azure.errors import KerasAzureError

COMPLETED = "Completed"
FINAL_STATES = (COMPLETED, "Failed", "Canceled", "NotResponding")  # of jobs; each backend has its own words for others


@runtime_checkable
class Backend(Protocol):
    """Runs a run to its end."""

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
    """A run that goes on elsewhere, whoever looks at it.

    It may give more: see FollowedJob, DescribedJob, FetchedJob, ExplainedJob.

    Attributes:
        name: by which its backend finds it again.
    """

    name: str

    def status(self) -> str:
        """One word; those of FINAL_STATES say that it has ended."""
        ...

    def logs(self) -> Iterator[str]:
        """The lines that it has written so far."""
        ...

    def cancel(self) -> None:
        """Asks for its end."""
        ...

    def result(self, observer: Observer | None = None) -> RunResult:
        """Waits for its end, and fills its run folder.

        Raises:
            JobFailed: it ended without a result.
        """
        ...

    def to_json(self) -> dict[str, Any]:
        """What `open_job` makes it of again, in any process; its "backend" is the spec of the backend, as text."""
        ...


@runtime_checkable
class FollowedJob(Protocol):
    """A job that can be followed better than by looking at its state and its logs each second."""

    def follow(self, tell: Callable[[str], None], tell_state: Callable[[str], None]) -> str:
        """Waits for its end, and gives its final state; `tell` gets the lines of its logs, `tell_state` its states."""
        ...


@runtime_checkable
class DescribedJob(Protocol):
    """A job of which more is known than its name and its state."""

    def describe(self) -> dict[str, Any]:
        """Facts, JSON-safe. `kaz jobs show` knows what to make of these, and shows others as they are: display_name,
        size and nodes (its machines), created, begun and ended (times in ISO 8601), bill (lines), inputs and outputs
        (names and places), tags, studio (the address of its page), failure (reason, and log: its last lines)."""
        ...


@runtime_checkable
class FetchedJob(Protocol):
    """A job whose files can be fetched."""

    def download(self, output: Path | None, patterns: Sequence[str], observer: Observer) -> dict[str, Any]:
        """Fetches its run folder, or some of its files.

        Args:
            output: the folder; by default runs/NAME.
            patterns: which files, such as "plots/*"; by default all but checkpoints.

        Returns:
            JSON-safe: its "name", the "folder", and the names of the "files" in it.
        """
        ...


@runtime_checkable
class ExplainedJob(Protocol):
    """A job that knows why it has no result."""

    def failure(self, state: str) -> KerasAzureError:
        """The error to raise where a job has ended in that state, which is not Completed."""
        ...


@runtime_checkable
class Submits(Protocol):
    """A backend whose runs go on by themselves."""

    def submit(self, config: RunConfig, run_dir: Path, observer: Observer, *, resume: bool = False) -> RunningJob:
        """Begins a run, or with `resume` finds the one that was begun for `run_dir`, and does not wait for its end."""
        ...


@runtime_checkable
class DryRuns(Protocol):
    """A backend that shows what it would send."""

    def dry_run(self, config: RunConfig, folder: Path, observer: Observer) -> dict[str, Any]:
        """Writes into `folder` what `submit` would send, and gives the facts of it, JSON-safe."""
        ...


@runtime_checkable
class OpensJobs(Protocol):
    """A backend that finds its jobs again."""

    def open_job(self, description: Mapping[str, Any]) -> RunningJob:
        """The handle of a job, from what its `to_json` gave.

        Raises:
            ConfigError: it describes no job of this backend.
        """
        ...


@runtime_checkable
class KeepsJobs(Protocol):
    """A backend that knows its jobs by name, from any machine."""

    def jobs(self, limit: int | None) -> list[dict[str, Any]]:
        """Facts of the jobs that kaz started, the newest first, JSON-safe: "name" and "state"; "size" and "created"
        (a time in ISO 8601) are shown, too.

        Args:
            limit: at most how many; None for all.
        """
        ...

    def find_job(self, name: str) -> RunningJob:
        """The handle of a job that kaz started.

        Raises:
            UsageError: there is none of that name.
        """
        ...


@runtime_checkable
class OnMachine(Protocol):
    """A backend that says what its runs are on."""

    def machine(self, observer: Observer, *, prices: bool = False, region: str | None = None) -> Machine:
        """The machine of a run.

        Args:
            observer: is told why there are no prices of today.
            prices: with today's price, which may need a network; where there is none, with that which is known.
            region: of the price; by default the backend's own.
        """
        ...


@runtime_checkable
class OffersMachines(Protocol):
    """A backend with machines to choose from."""

    def machines(self, observer: Observer, *, prices: bool = False, region: str | None = None) -> list[Machine]:
        """All that a run can go to today; the arguments are those of `machine`."""
        ...


@dataclass(frozen=True)
class Check:
    """What was found where something was looked at.

    Attributes:
        mend: the command that mends it, where it failed.
    """

    name: str
    state: Literal["ok", "failed", "skipped"]
    found: str
    mend: str = ""


@runtime_checkable
class Examined(Protocol):
    """A backend that looks whether a run would go through."""

    def doctor(self) -> Iterable[Check]:
        """All checks, each as it is done."""
        ...
