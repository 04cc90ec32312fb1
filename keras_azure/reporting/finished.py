"""A finished run, as its folder has it: all that a report says, but for the images."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig
from keras_azure.description.folder import DESCRIPTION, HISTORY, PREDICTIONS, RESULTS
from keras_azure.description.reading import history_of, json_object, told_of
from keras_azure.errors import DamagedRun, UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.evaluation.figures import Figures, figures_of

Row = Mapping[str, float]


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
        DamagedRun: the file is not as a run wrote it.
    """
    with _of_run(run_dir):
        facts = json_object(run_dir / RESULTS)
        if facts is None and (run_dir / DESCRIPTION).is_file():
            raise UsageError(f"The run in {run_dir} is not finished.", hint=command("kaz", "resume", run_dir))
        if facts is None:
            raise UsageError(
                f"There is no run in {run_dir}: it has no {RESULTS}.", hint="the folder that kaz run printed"
            )
        with told_of(RESULTS):
            _check_facts(facts)
        return facts


def read_finished(run_dir: Path, facts: Mapping[str, Any], answers: Answers | None) -> FinishedRun:
    """A finished run with what is in run.json and history.csv.

    Raises:
        UsageError: there is no run.
        DamagedRun: a file is not as a run wrote it, or does not belong to the others.
    """
    with _of_run(run_dir):
        description = json_object(run_dir / DESCRIPTION)
        if description is None:
            raise DamagedRun(f"{DESCRIPTION} is missing")
        with told_of(DESCRIPTION):
            config = RunConfig.from_dict(description)
        if not (run_dir / HISTORY).exists():
            raise DamagedRun(f"{HISTORY} is missing")
        history = history_of(run_dir / HISTORY)
        if answers is not None and list(answers.names) != facts["class_names"]:
            raise DamagedRun(f"{PREDICTIONS} is of other classes than {RESULTS} names")
    return FinishedRun(run_dir, config, facts, history, answers)


@contextlib.contextmanager
def _of_run(run_dir: Path) -> Iterator[None]:
    """Says of which run a damaged file is."""
    try:
        yield
    except DamagedRun as damage:
        raise DamagedRun(f"The run in {run_dir} is damaged: {damage.problem}.") from None


def _check_facts(facts: Mapping[str, Any]) -> None:
    """
    Raises:
        ValueError: they are not those of a run.
    """
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
