"""A finished run, as its folder has it: all that a report says, but for the images."""

import csv
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig
from keras_azure.description.folder import DESCRIPTION, RESULTS, read_description
from keras_azure.errors import RunFailed, UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.figures import Figures, figures_of

Row = Mapping[str, float]
_HISTORY = "history.csv"


@dataclass(frozen=True)
class FinishedRun:
    """
    Attributes:
        facts: what metrics.json has.
        history: a row for each epoch.
        answers: what the model said of the test images; None of an autoencoder.
    """

    run_dir: Path
    config: RunConfig
    facts: Mapping[str, Any]
    history: Sequence[Row]
    answers: Answers | None

    @functools.cached_property
    def figures(self) -> Figures | None:
        """
        Raises:
            RunFailed: the model gave something that is no number.
        """
        return None if self.answers is None else figures_of(self.answers)

    @property
    def scores(self) -> Mapping[str, float]:
        """Of the test."""
        scores: Mapping[str, float] = self.facts["test_metrics"]
        return scores

    @property
    def data(self) -> Mapping[str, Any]:
        """What is known of the data, see `training.data_summary`; nothing of runs of older versions."""
        data: Mapping[str, Any] = self.facts.get("data", {})
        return data


def read_facts(run_dir: Path) -> dict[str, Any]:
    """What the metrics.json of a finished run has.

    Raises:
        UsageError: there is no run, or it is not finished.
        RunFailed: the file is damaged.
    """
    path = run_dir / RESULTS
    if not path.is_file():
        if (run_dir / DESCRIPTION).is_file():
            raise UsageError(f"The run in {run_dir} is not finished.", hint=command("kaz", "resume", run_dir))
        raise UsageError(f"There is no run in {run_dir}: it has no {RESULTS}.", hint="the folder that kaz run printed")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        _check_facts(facts)
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    found: dict[str, Any] = facts
    return found


def read_finished(run_dir: Path, facts: Mapping[str, Any], answers: Answers | None) -> FinishedRun:
    """A finished run with what is in run.json and history.csv.

    Raises:
        UsageError: there is no run.
        RunFailed: a file is damaged, or does not belong to the others.
    """
    try:
        config = read_description(run_dir)
        assert config.specs  # which raises of names that are none
    except UsageError as error:
        if not (run_dir / DESCRIPTION).exists():
            raise
        raise RunFailed(f"{run_dir / DESCRIPTION} is damaged: {error.problem}") from None
    path = run_dir / _HISTORY
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file, strict=True)]
        if not all("epoch" in row for row in rows):
            raise ValueError("it has no epochs")
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise _damaged(path, error) from None
    if answers is not None and list(answers.names) != facts["class_names"]:
        raise RunFailed(f"The predictions in {run_dir} are of other classes than its {RESULTS} names.")
    return FinishedRun(run_dir, config, facts, rows, answers)


def _check_facts(facts: Any) -> None:
    """
    Raises:
        ValueError: they are not those of a run.
    """
    if not isinstance(facts, dict):
        raise ValueError("it is no JSON object")
    wanted: dict[str, type | tuple[type, ...]] = {
        "test_metrics": dict,
        "class_names": list,
        "environment": dict,
        "images_per_second": (int, float),
        "parameters": int,
        "seconds": (int, float),
        "epochs": int,
    }
    possible: dict[str, type | tuple[type, ...]] = {"performance": dict, "each": dict, "data": dict, "task": str}
    for name, kind in {**wanted, **{name: kind for name, kind in possible.items() if name in facts}}.items():
        if not isinstance(facts.get(name), kind) or isinstance(facts.get(name), bool):
            raise ValueError(f"{name!r} is {facts.get(name)!r}")
    texts = [*facts["class_names"], *facts["environment"].values()]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name is no text")
    if not all(isinstance(value, int | float) for value in facts["test_metrics"].values()):
        raise ValueError("a score is no number")


def _damaged(path: Path, error: Exception) -> RunFailed:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return RunFailed(f"{path} is missing or damaged: {said[0].rstrip('.')}.")
