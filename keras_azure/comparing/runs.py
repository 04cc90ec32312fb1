"""A finished run as its files have it, for a comparison."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_azure.backends.asked import machine_of
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig
from keras_azure.description.folder import DESCRIPTION, HISTORY, PREDICTIONS, RESULTS
from keras_azure.description.reading import count, history_of, json_object, number, text, told_of
from keras_azure.description.scores import scores_of, task_of
from keras_azure.description.text_table import shortened
from keras_azure.errors import DamagedRun, KerasAzureError, UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.planning.cost import Paid

_LONGEST = 300  # characters of a sentence on what is wrong with predictions


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A finished run.

    Attributes:
        letter: what it is called in the comparison: "A".
        run_dir: its run folder.
        config: its settings.
        task: "classify", "multilabel", "regress" or "give back images".
        scores: of the test.
        environment: versions, engine and device.
        history: a row for each epoch.
        images_per_second, seconds: of training, and of the whole run.
        usd: what its machines cost in that time, without their start and idle time; None where that is not known.
        answers: what its model said of each test image; where that is not known, why.
    """

    letter: str
    run_dir: Path
    config: RunConfig
    task: str
    scores: Mapping[str, float]
    environment: Mapping[str, str]
    history: Sequence[Mapping[str, float]]
    images_per_second: float
    seconds: float
    usd: float | None
    answers: Answers | str

    @property
    def name(self) -> str:
        return self.run_dir.name


def read_run(folder: Path, letter: str) -> ComparedRun:
    """The finished run in a folder.

    Raises:
        UsageError: there is none.
        DamagedRun: its files are not as a run wrote them.
    """
    try:
        description, facts = json_object(folder / DESCRIPTION), json_object(folder / RESULTS)
        if facts is None:
            raise _unfinished(folder, begun=description is not None)
        if description is None:
            raise DamagedRun(f"{DESCRIPTION} is missing")
        with told_of(DESCRIPTION):
            config = RunConfig.from_dict(description)
        with told_of(RESULTS):
            scores, environment = scores_of(facts), _environment(facts)
            speed, seconds = (number(facts.get(name), name) for name in ("images_per_second", "seconds"))
            count(facts.get("epochs"), "epochs")
        history, answers = history_of(folder / HISTORY), _answers(folder, task_of(facts))
    except DamagedRun as damage:
        raise DamagedRun(f"The run in {folder} is damaged: {damage.problem}.") from None
    return ComparedRun(
        letter,
        folder,
        config,
        task_of(facts),
        scores,
        environment,
        history,
        speed,
        seconds,
        _usd(config, seconds),
        answers,
    )


def _unfinished(folder: Path, *, begun: bool) -> UsageError:
    if begun:
        return UsageError(
            f"The run in {folder} is not finished, so that it has no test scores.",
            hint=command("kaz", "resume", folder),
        )
    return UsageError(
        f"There is no run in {folder}: it has no {DESCRIPTION}.", hint="kaz runs shows those that are here"
    )


def _environment(facts: Mapping[str, Any]) -> dict[str, str]:
    environment = facts.get("environment", {})
    if not isinstance(environment, Mapping):
        raise ValueError("its environment names no versions")
    return {name: text(value, name) for name, value in environment.items()}


def _usd(config: RunConfig, seconds: float) -> float | None:
    """By the price of the backend's machine, of which the nodes are all alike."""
    try:
        machine = machine_of(config.backend_spec)
    except KerasAzureError:  # a backend that is not installed here, or whose machine is no more
        return None
    paid = Paid.of(machine, seconds)
    return None if paid is None else paid.usd


def _answers(folder: Path, task: str) -> Answers | str:
    path = folder / PREDICTIONS
    if not os.path.lexists(path):
        if task == "give back images":
            return "gives back images, and says nothing of them"
        return f"has no {PREDICTIONS}, which older versions did not write; {command('kaz', 'report', folder)} makes it"
    if not path.is_file():
        raise DamagedRun(f"{PREDICTIONS} is no file")
    try:
        answers = Answers.load(path)
    except KerasAzureError as error:
        raise DamagedRun(shortened(error.problem.rstrip("."), _LONGEST)) from None
    if answers.task != task:
        raise DamagedRun(f"{PREDICTIONS} is of another task than {RESULTS}")
    if not np.isfinite(answers.given).all():
        return "gives something that is no number"
    return answers
