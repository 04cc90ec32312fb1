"""What a person sees while a run goes on: a live line in a terminal or a notebook, a line per epoch anywhere else."""

import contextlib
import html
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from keras_azure.description.events import Observer, RunFacts
from keras_azure.redaction import printable, redacted

_SECONDS_BETWEEN_UPDATES = 0.1  # a step may take less than a millisecond; eyes do not


@contextlib.contextmanager
def display_for_here(observer: Observer | None = None) -> Iterator[Observer]:
    """The display that suits the place; `observer`, if there is one, instead of it."""
    if observer is not None:
        yield observer
    elif _in_notebook():
        yield NotebookDisplay()
    elif (console := Console(stderr=True, highlight=False)).is_terminal:
        with TerminalDisplay(console) as display:
            yield display
    else:
        yield PlainDisplay(console)


@dataclass
class _Pace:
    """How far a run is and how fast it goes."""

    facts: RunFacts
    started: float = field(default_factory=time.perf_counter)
    epoch: int = 0
    steps: int = 0  # done in this epoch
    warm_at: tuple[float, int] | None = None  # when the first step, which compiles, was over, and the steps by then

    def step_done(self, epoch: int, step: int) -> None:
        self.epoch, self.steps = epoch, step + 1
        if self.warm_at is None:
            self.warm_at = (time.perf_counter(), self._steps_done())

    def status(self, logs: Mapping[str, float]) -> str:
        """`loss 0.0712  accuracy 0.9781  3,421 images/s  1:02 left`"""
        parts = [f"{name} {logs[name]:.4f}" for name in ("loss", *self.facts.metrics) if name in logs]
        warm_since, warm_steps = self.warm_at or (time.perf_counter(), self._steps_done())
        elapsed = time.perf_counter() - warm_since
        done = self._steps_done() - warm_steps
        if elapsed > 0 and done > 0:
            remaining = self.facts.epochs * self.facts.steps_per_epoch - self._steps_done()
            parts.append(f"{done * self.facts.batch_size / elapsed:,.0f} images/s")
            parts.append(f"{duration(remaining * elapsed / done)} left")
        return "  ".join(parts)

    def _steps_done(self) -> int:
        return self.epoch * self.facts.steps_per_epoch + self.steps


class Display(Observer):
    """Turns a run's events into lines and, at most ten times a second, into a live status."""

    def __init__(self) -> None:
        self._pace: _Pace | None = None
        self._epoch = 0
        self._shown_at = 0.0

    def message(self, text: str) -> None:
        self.line(text)

    def advance(self, activity: str, done: int, total: int) -> None:
        if done == total or self._due():
            self.live(activity, done, total, "")

    def training_started(self, facts: RunFacts) -> None:
        self._pace = _Pace(facts)
        goes_on = facts.first_epoch or facts.first_step
        done = f"; {facts.first_epoch} epochs and {facts.first_step} steps are done" if goes_on else ""
        self.line(
            f"Training {facts.parameters:,} parameters on {facts.device}: "
            f"{facts.epochs} epochs, {facts.steps_per_epoch} steps of {facts.batch_size} pictures each{done}"
        )
        self.live("Compiling the first step", 0, facts.steps_per_epoch, "")

    def epoch_started(self, epoch: int) -> None:
        self._epoch = epoch

    def step_done(self, step: int, logs: Mapping[str, float]) -> None:
        if self._pace is None:
            return
        self._pace.step_done(self._epoch, step)
        if self._due():
            facts = self._pace.facts
            name = f"Epoch {self._epoch + 1}/{facts.epochs}"
            self.live(name, step + 1, facts.steps_per_epoch, self._pace.status(logs))

    def epoch_done(self, epoch: int, row: Mapping[str, Any]) -> None:
        if self._pace is None:  # a classifier was fitted, whose messages have said so
            return
        facts = self._pace.facts
        shown = [name for each in ("loss", *facts.metrics) for name in (each, f"val_{each}")]
        names = [name for name in row if name in (*shown, facts.monitor)]
        scores = "  ".join(f"{name} {row[name]:.4f}" for name in names)
        pace = f"{row['images_per_second']:,.0f} images/s  {duration(row['seconds'])}"
        self.line(f"Epoch {epoch + 1}/{self._pace.facts.epochs}  {scores}  {pace}")

    def line(self, text: str) -> None:
        """Shows a line that stays."""
        raise NotImplementedError

    def live(self, activity: str, done: int, total: int, status: str) -> None:
        """Shows how far an activity is, in place of what was shown before."""

    def _due(self) -> bool:
        now = time.perf_counter()
        if now - self._shown_at < _SECONDS_BETWEEN_UPDATES:
            return False
        self._shown_at = now
        return True


class PlainDisplay(Display):
    """Lines only, for a file or a pipe."""

    def __init__(self, console: Console):
        super().__init__()
        self._console = console

    def line(self, text: str) -> None:
        self._console.print(_shown(text), markup=False, emoji=False, soft_wrap=True)


class TerminalDisplay(PlainDisplay):
    """Lines, and below them one bar for what is going on; a context manager that removes the bar at the end."""

    def __init__(self, console: Console):
        super().__init__(console)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TaskProgressColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[status]}", markup=False),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("Starting", total=None, status="")

    def live(self, activity: str, done: int, total: int, status: str) -> None:
        description, status = _shown(activity), _shown(status)
        self._progress.update(self._task, description=description, completed=done, total=total, status=status)

    def __enter__(self) -> "TerminalDisplay":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()


class NotebookDisplay(Display):
    """The same lines and live status as an output of the notebook's cell, updated in place."""

    def __init__(self) -> None:
        super().__init__()
        from IPython.display import display

        self._lines: list[str] = []
        self._live = ""
        self._handle = display(self._content(), raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython's

    def line(self, text: str) -> None:
        self._lines.append(_shown(text))
        self._live = ""
        self._update()

    def live(self, activity: str, done: int, total: int, status: str) -> None:
        self._live = _shown(f"{activity}  {done}/{total}  {status}")
        self._update()

    def _update(self) -> None:
        self._handle.update(self._content(), raw=True)

    def _content(self) -> dict[str, str]:
        text = "\n".join([*self._lines, self._live]).rstrip()
        return {"text/plain": text, "text/html": f"<pre>{html.escape(text)}</pre>"}


def duration(seconds: float) -> str:
    """`0:05`, `12:40`, `3:02:07`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def span(seconds: Sequence[float]) -> str:
    """A range of times in its greatest unit: "40 to 95 s", "12 to 34 min", "1.2 to 3.5 h"."""
    low, high = seconds
    unit, length = next((each for each in _UNITS if high >= 2 * each[1]), _UNITS[-1])
    first, last = (f"{each / length:.2g}" if each < 100 * length else f"{each / length:,.0f}" for each in (low, high))
    return f"{first} to {last} {unit}" if first != last else f"{last} {unit}"


_UNITS = (("h", 3600), ("min", 60), ("s", 1))


def _shown(text: str) -> str:
    """A line without secrets, and with nothing in it that a terminal would obey, such as in the name of a file."""
    return printable(redacted(text))


def _in_notebook() -> bool:
    # Only a process that runs IPython has it loaded; the class tells a notebook's kernel from a terminal's shell.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"
