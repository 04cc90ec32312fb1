"""The runs in a folder, from their small files alone: what `kaz runs` lists.

Each file is looked at only as far as it is shown, so that a run of another version is listed, too; and one that is
damaged is one that is listed as that.
"""

import datetime
import functools
import html
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, Self

from keras_azure.data.locate import paths_in
from keras_azure.description.config import RunConfig
from keras_azure.description.folder import DESCRIPTION, HISTORY, JOB, RESULTS
from keras_azure.description.reading import count, history_of, json_object, number, text, told_of
from keras_azure.description.scores import TITLES, figure, highest_is_best, main_score, scores_of, task_of
from keras_azure.description.stages import parse_stages
from keras_azure.description.text_table import WIDTH, cells, duration, text_table
from keras_azure.errors import DamagedRun, SpecError, UsageError
from keras_azure.lazy import lazy
from keras_azure.registry.specs import parse

State = Literal["finished", "unfinished", "submitted", "damaged"]
COLUMNS = (
    *("name", "state", "started", "model", "data", "epochs", "metric", "score", "images_per_second", "seconds"),
    "backend",
)
_ANY_WIDTH = 10_000
_STAMP = "%Y%m%d-%H%M%S"  # which the name of a folder begins with, unless it was named by a user


@dataclass(frozen=True)
class ListedRun:
    """A run, as its files have it. What they do not say is None.

    Attributes:
        run_dir: its run folder.
        state: "finished"; "unfinished", which is under way or was stopped; "submitted" to a cluster, and not fetched
            yet; or "damaged".
        problem: one sentence on what is damaged; else empty.
        started: when it began, by the name of its folder, or else by its `run.json`.
        model, data, backend: as `run.json` has them.
        epochs, planned_epochs: finished ones, and all that there are to be; early stopping may leave some out.
        metric, score: the main score of its task on the test split.
        images_per_second: in training.
        seconds: wall time of the whole run.
        job: what a submitted one is called by its backend.
    """

    run_dir: Path
    state: State
    problem: str = ""
    started: datetime.datetime | None = None
    model: str | None = None
    data: str | None = None
    backend: str | None = None
    epochs: int | None = None
    planned_epochs: int | None = None
    metric: str | None = None
    score: float | None = None
    images_per_second: float | None = None
    seconds: float | None = None
    job: str | None = None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.run_dir.name

    def to_json(self) -> dict[str, Any]:
        """JSON-safe; a score that is no number is None."""
        values = {**vars(self), "run_dir": str(self.run_dir)}
        values["started"] = None if self.started is None else self.started.isoformat()
        finite = {key: value for key, value in values.items() if not isinstance(value, float) or math.isfinite(value)}
        return {"name": self.name, **dict.fromkeys(values), **finite}


class RunList(tuple[ListedRun, ...]):
    """Runs in an order; in a terminal it shows itself as a table.

    Attributes:
        folder: where they are.
    """

    folder: Path

    def __new__(cls, folder: Path, runs: Iterable[ListedRun]) -> Self:
        made = super().__new__(cls, runs)
        made.folder = folder
        return made

    def to_json(self) -> list[dict[str, Any]]:
        return [run.to_json() for run in self]

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = WIDTH) -> str:
        """A table that is as wide at most; where there are no runs, a sentence that says so."""
        return "\n".join(self._lines(width))

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        if not self:
            return html.escape(str(self))
        headings, rows = self._columns(started=True)
        whole = [(*row, *[""] * (len(headings) - len(row))) for row in rows]
        table: str = lazy("keras_azure.reporting.notebook:table_html")(headings, whole)
        return table

    def _lines(self, width: int) -> list[str]:
        if not self:
            return [f"There are no runs in {self.folder}."]
        if any(run.started and not run.name.startswith(f"{run.started:{_STAMP}}") for run in self):
            lines = self._table(_ANY_WIDTH, started=True)
            if max(map(cells, lines)) <= width:
                return lines
        return self._table(width, started=False)

    def _table(self, width: int, *, started: bool) -> list[str]:
        """The lines; when a run was started is shown where its name does not say so and there is room."""
        headings, rows = self._columns(started=started)
        cut = {"name": 19, "model": 8, "data": 6, "backend": 7}
        return text_table(headings, rows, width=width, right=("images/s", "time"), cut=cut)

    def _columns(self, *, started: bool) -> tuple[list[str], list[list[str]]]:
        """Headings, and a row for each run."""
        metrics = Counter(run.metric for run in self if run.metric)
        usual = max(metrics, key=metrics.__getitem__, default="score")
        backends = len({run.backend for run in self if run.backend}) > 1
        headings = ["name", "epochs", TITLES.get(usual, usual), "images/s", "time", "model", "data"]
        headings += ["backend"] * backends + ["started"] * started
        rows = []
        for run in self:
            if run.state == "damaged":
                rows.append([run.name, f"damaged: {run.problem}"])
                continue
            row = [run.name, _epochs(run), _score(run, usual)]
            row += ["" if run.images_per_second is None else f"{run.images_per_second:,.0f}", duration(run.seconds)]
            row += [run.model or "", _short_data(run.data), *[run.backend or ""] * backends]
            rows.append(row + [f"{run.started:%Y-%m-%d %H:%M}" if run.started else ""] * started)
        return headings, rows


def _epochs(run: ListedRun) -> str:
    """The state where it is another one than finished, too."""
    if run.state == "submitted":
        return run.state
    if run.state == "unfinished" and run.planned_epochs is not None:
        return f"{run.epochs} of {run.planned_epochs}"
    return str(run.epochs)


def _score(run: ListedRun, usual: str) -> str:
    """With its name, where it is not the usual one."""
    if run.score is None or run.metric is None:
        return ""
    return figure(run.score) + (f" {TITLES.get(run.metric, run.metric)}" if run.metric != usual else "")


def _short_data(data: str | None) -> str:
    """What data are called in a table: of a path its last part."""
    if data is None:
        return ""
    try:
        paths = paths_in(parse(data))
    except SpecError:
        return data
    return next((PurePath(path).name for path in paths.values()), data)


def list_runs(folder: Path) -> list[ListedRun]:
    """The runs whose folders are in a folder, or the one whose folder it is, in no order.

    Raises:
        UsageError: the folder cannot be read.
    """
    if (itself := _look_at(folder)) is not None:
        return [itself]
    try:
        with os.scandir(folder) as entries:
            inside = [Path(entry.path) for entry in entries if _may_be_a_folder(entry)]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"The folder {folder} cannot be listed: {reason}.", expected="a folder of runs") from None
    return [run for run in map(_look_at, inside) if run is not None]


def sorted_runs(runs: list[ListedRun], column: str) -> list[ListedRun]:
    """Runs by a column: texts from A to Z, numbers from the highest, the newest and the best first; unknown ones last.

    Raises:
        UsageError: there is no such column.
    """
    if column not in COLUMNS:
        raise UsageError(f"There is no column {column!r} to sort by.", expected=f"one of {', '.join(COLUMNS)}")
    newest_first = sorted(runs, key=lambda run: (run.started or datetime.datetime.min, run.name), reverse=True)
    known, unknown = (
        [run for run in newest_first if _is_known(getattr(run, column)) == wanted] for wanted in (True, False)
    )
    return [*sorted(known, key=functools.partial(_place, column)), *unknown]


def _place(column: str, run: ListedRun) -> Any:
    value = getattr(run, column)
    match column:
        case "started":
            return -(value - datetime.datetime.min).total_seconds()
        case "score":
            return run.metric, value if highest_is_best(str(run.metric)) is False else -value
    return value.casefold() if isinstance(value, str) else -value


def _is_known(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def _may_be_a_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a ring of links
        return False


def _look_at(folder: Path) -> ListedRun | None:
    """The run of a folder; None if it holds none."""
    found: dict[str, Any] = {}
    try:
        state = _read(folder, found)
        return None if state is None else ListedRun(folder, state, **found)
    except DamagedRun as damage:
        return ListedRun(folder, "damaged", damage.problem, **found)


def _read(folder: Path, found: dict[str, Any]) -> State | None:
    """The state of the run in a folder; `found` gets what its files say, as far as they can be read."""
    description = json_object(folder / DESCRIPTION)
    if description is None:
        if any(os.path.lexists(folder / name) for name in (RESULTS, HISTORY)):
            raise DamagedRun(f"{DESCRIPTION} is missing")
        return None
    found["started"] = _started(folder)
    with told_of(DESCRIPTION):
        found |= {name: text(description.get(name, default), name) for name, default in _DESCRIBED.items()}
        if not found["model"]:
            raise ValueError("it names no model")
        found["planned_epochs"] = _planned(description)
    results = json_object(folder / RESULTS)
    if results is not None:
        with told_of(RESULTS):
            found |= _finished(results)
        return "finished"
    job = json_object(folder / JOB)
    if job is not None:
        with told_of(JOB):
            found["job"] = text(job.get("name"), "name")
        return "submitted"
    rows = history_of(folder / HISTORY)
    found["epochs"] = int(rows[-1]["epoch"]) if rows else 0
    return "unfinished"


_DESCRIBED = {"model": "", "data": RunConfig.data, "backend": RunConfig.backend}


def _finished(results: Mapping[str, Any]) -> dict[str, Any]:
    scores = scores_of(results)
    metric = main_score(task_of(results), scores)
    return {
        "metric": metric,
        "score": scores[metric],
        "epochs": count(results.get("epochs"), "epochs"),
        **{name: number(results.get(name), name) for name in ("images_per_second", "seconds")},
    }


def _planned(description: Mapping[str, Any]) -> int | None:
    """Epochs of all stages; None where they are not given, and a later default may be another."""
    if "epochs" not in description:
        return None
    epochs, stages = count(description["epochs"], "epochs"), description.get("fine_tune")
    if stages is None:
        return epochs
    return sum(stage.epochs for stage in parse_stages(text(stages, "fine_tune"), epochs))


def _started(folder: Path) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(folder.name[: len("20260101-120000")], _STAMP)
    except ValueError:
        pass
    try:
        return datetime.datetime.fromtimestamp(int((folder / DESCRIPTION).stat().st_mtime))
    except (OSError, ValueError, OverflowError):
        return None
