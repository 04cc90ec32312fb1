"""Finished runs beside each other: `kaz compare`."""

import dataclasses
import functools
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_azure.comparing.images import DifferingImage, differing_images
from keras_azure.comparing.paired import Change, McNemar, changes, mcnemar
from keras_azure.comparing.runs import ComparedRun, read_run
from keras_azure.comparing.settings import Difference, settings_that_differ, versions_that_differ
from keras_azure.description.events import Observer
from keras_azure.description.scores import TITLES, highest_is_best, main_score, shown
from keras_azure.errors import UnknownName, UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.lazy import lazy

MOST_RUNS = len(string.ascii_uppercase)


@dataclass(frozen=True)
class Pair:
    """The first run and another one, on the same images.

    Attributes:
        changes: by the name of the score.
        mcnemar: of classes, and of labels all of which are to be right; of numbers None.
    """

    changes: Mapping[str, Change]
    mcnemar: McNemar | None

    def to_json(self) -> dict[str, Any]:
        changed = {name: {**vars(each), "difference": each.difference} for name, each in self.changes.items()}
        return {"changes": changed, "mcnemar": None if self.mcnemar is None else vars(self.mcnemar)}


@dataclass(frozen=True, eq=False)
class Comparison:
    """Finished runs beside each other; the others are compared with the first.

    In a notebook it shows itself as tables and curves; `str()` is what `kaz compare` prints.

    Attributes:
        runs: two or more.
        metric: the score that decides whether the first is worse.
        tolerance: the share by which it may be.
        settings, versions: what differs.
        pairs: of each run but the first, the comparison on the same images; or why there is none.
        images: those on which the runs with such a comparison, and the first, differ.
        image_runs: the letters of these.
    """

    runs: tuple[ComparedRun, ...]
    metric: str
    tolerance: float
    settings: tuple[Difference, ...]
    versions: tuple[Difference, ...]
    pairs: tuple[Pair | str, ...]
    images: tuple[DifferingImage, ...]
    image_runs: tuple[str, ...]

    @functools.cached_property
    def scores(self) -> dict[str, tuple[float | None, ...]]:
        """The scores of the test of each run, by name; those that follow from what was said of each image, too."""
        first = self.runs[0]
        found = {name: tuple(run.scores.get(name) for run in self.runs) for run in self.runs for name in run.scores}
        further = {name for pair in self.pairs if isinstance(pair, Pair) for name in pair.changes} - found.keys()
        for name in sorted(further):
            of_others = [pair.changes[name] if isinstance(pair, Pair) else None for pair in self.pairs]
            of_first = next(change.first for change in of_others if change is not None)
            found[name] = (of_first, *(None if change is None else change.other for change in of_others))
        main = main_score(first.task, first.scores)
        return {name: found[name] for name in sorted(found, key=lambda name: (name != main, name == "loss"))}

    @property
    def worse_than(self) -> tuple[str, ...]:
        """The letters of the runs than which the first is worse, by more than is tolerated."""
        first, *others = self.scores[self.metric]
        return tuple(
            run.letter
            for run, other in zip(self.runs[1:], others, strict=True)
            if _is_worse(self.metric, first, other, self.tolerance)
        )

    def complaints(self) -> list[str]:
        """A line on each run than which the first is worse, by more than is tolerated."""
        (mine, *others), name = self.scores[self.metric], TITLES.get(self.metric, self.metric)
        lines = []
        for run, other in zip(self.runs[1:], others, strict=True):
            if run.letter in self.worse_than and mine is not None and other is not None:
                ours, theirs = shown([mine, other])
                share = f", {abs(mine - other) / abs(other):.1%} {'less' if mine < other else 'more'}" if other else ""
                lines.append(
                    f"Worse: {self.runs[0].letter}, {name} {ours} where {run.letter} has {theirs}{share}; "
                    f"{self.tolerance:.1%} are tolerated"
                )
        return lines

    def to_json(self) -> dict[str, Any]:
        """JSON-safe; what is no number is None."""
        value = {
            "runs": [_described(run) for run in self.runs],
            "metric": self.metric,
            "tolerance": self.tolerance,
            "worse_than": self.worse_than,
            "settings": {each.name: each.values for each in self.settings},
            "versions": {each.name: each.values for each in self.versions},
            "scores": self.scores,
            "paired": [each if isinstance(each, str) else each.to_json() for each in self.pairs],
            "images": {"runs": self.image_runs, "differ": [image.to_json() for image in self.images]},
        }
        safe: dict[str, Any] = _finite(value)
        return safe

    def __str__(self) -> str:
        lines: Iterable[str] = lazy("keras_azure.comparing.text:lines_of")(self)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        shown: str = lazy("keras_azure.comparing.page:notebook_html")(self)
        return shown


def compare_runs(
    folders: Sequence[Path], *, tolerance: float, metric: str | None, observer: Observer | None = None
) -> Comparison:
    """Compares the first of some runs with the others.

    Raises:
        UsageError: they are no finished runs of one task, or there is no such metric.
        DamagedRun: the files of one are not as a run wrote them.
    """
    if not 2 <= len(folders) <= MOST_RUNS:
        raise UsageError(
            f"{len(folders)} {'run' if len(folders) == 1 else 'runs'} cannot be compared.",
            expected=f"2 to {MOST_RUNS} folders of finished runs",
        )
    if not 0 <= tolerance < math.inf:
        raise UsageError(f"The tolerance cannot be {tolerance}.", expected="a share of 0 or more, such as 0.01")
    runs = tuple(map(read_run, folders, string.ascii_uppercase))
    first, *others = runs
    if other := next((run for run in others if run.task != first.task), None):
        raise UsageError(
            f"Runs of different tasks have no scores to compare: {first.run_dir} is to {first.task}, and "
            f"{other.run_dir} to {other.task}."
        )
    observer = observer or Observer()
    pairs = tuple(_pair(first, other, observer) for other in others)
    shown = [first, *(other for other, pair in zip(others, pairs, strict=True) if isinstance(pair, Pair))]
    answers = [run.answers for run in shown if isinstance(run.answers, Answers)]
    return _with_metric(
        Comparison(
            runs,
            "",
            tolerance,
            tuple(settings_that_differ([run.config for run in runs])),
            tuple(versions_that_differ([run.environment for run in runs])),
            pairs,
            tuple(differing_images(answers)) if len(answers) > 1 else (),
            tuple(run.letter for run in shown) if len(shown) > 1 else (),
        ),
        metric,
    )


def _with_metric(comparison: Comparison, metric: str | None) -> Comparison:
    known = {name: values for name, values in comparison.scores.items() if None not in values}
    if metric is None:
        metric = next(iter(comparison.scores))
    if metric not in known:
        raise UnknownName.among("score of all of the runs", metric, known)
    if highest_is_best(metric) is None:
        judged = [name for name in known if highest_is_best(name) is not None]
        raise UsageError(
            f"Whether a high {metric} is good is not known.", expected=f"--metric with one of {', '.join(judged)}"
        )
    return dataclasses.replace(comparison, metric=metric)


def _pair(first: ComparedRun, other: ComparedRun, observer: Observer) -> Pair | str:
    for run in (first, other):
        if isinstance(run.answers, str):
            return f"{run.letter} {run.answers}"
    assert isinstance(first.answers, Answers)
    assert isinstance(other.answers, Answers)
    if not first.answers.comparable(other.answers):
        if not first.answers.data or not other.answers.data:
            return "whether both were tested on the same images is not known: their data set does not say"
        return "they were not tested on the same images"
    if not len(first.answers):
        return "they were tested on no images"

    def tell(done: int, total: int) -> None:
        observer.advance(f"Comparing {first.letter} and {other.letter}", done, total)

    test = None if first.task == "regress" else mcnemar(first.answers.right, other.answers.right)
    return Pair(changes(first.answers, other.answers, tell), test)


def _is_worse(metric: str, first: float | None, other: float | None, tolerance: float) -> bool:
    """By more than a share of the other's score; whatever is no number is worse than any."""
    assert first is not None
    assert other is not None
    if math.isnan(first) or math.isnan(other):
        return math.isnan(first) and not math.isnan(other)
    gap = other - first if highest_is_best(metric) else first - other
    return gap > tolerance * abs(other)


def _described(run: ComparedRun) -> dict[str, Any]:
    return {
        "letter": run.letter,
        "run_dir": str(run.run_dir),
        "task": run.task,
        "images_per_second": run.images_per_second,
        "seconds": run.seconds,
        "usd": run.usd,
        "history": run.history,
    }


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {name: _finite(each) for name, each in value.items()}
        case list() | tuple():
            return [_finite(each) for each in value]
    return value
