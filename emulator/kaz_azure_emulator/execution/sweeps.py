"""The trials of a sweep: a search space as Azure writes it (`{"rate": ["uniform", [0, 1]]}`) becomes literal inputs.

The distributions are those of Azure Machine Learning's "Hyperparameter tuning a model".
"""

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from kaz_azure_emulator.execution.description import InvalidJob

Trial = dict[str, dict[str, Any]]  # as a job's `inputs`

_NUM_ARGUMENTS = {
    "choice": 1,
    "randint": 1,
    "uniform": 2,
    "loguniform": 2,
    "normal": 2,
    "lognormal": 2,
    "quniform": 3,
    "qloguniform": 3,
    "qnormal": 3,
    "qlognormal": 3,
}


def grid(search_space: Mapping[str, Sequence[Any]]) -> list[Trial]:
    """Every combination of the choices, the last name's varying fastest.

    Raises:
        InvalidJob: a name has another distribution than "choice", which has no grid.
    """
    choices = []
    for name, (kind, arguments) in _checked(search_space).items():
        if kind != "choice":
            raise InvalidJob(f"search space {name!r} is {kind}; a grid is made of choices alone")
        choices.append(arguments[0])
    return [_trial(dict(zip(search_space, values, strict=True))) for values in itertools.product(*choices)]


def random_trials(search_space: Mapping[str, Sequence[Any]], count: int, seed: int | None = None) -> list[Trial]:
    """`count` trials drawn at random: the same ones for the same seed.

    Raises:
        InvalidJob: a distribution is unknown or its arguments are wrong.
    """
    space = _checked(search_space)
    generator = random.Random(seed)
    return [
        _trial({name: _draw(generator, kind, arguments) for name, (kind, arguments) in space.items()})
        for _ in range(count)
    ]


def _checked(search_space: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str, Sequence[Any]]]:
    checked = {}
    for name, distribution in search_space.items():
        try:
            kind, arguments = distribution
            expected = _NUM_ARGUMENTS[kind]
        except (ValueError, TypeError, KeyError):
            kinds = ", ".join(_NUM_ARGUMENTS)
            raise InvalidJob(
                f"search space {name!r} is {distribution!r}; expected [kind, arguments] of {kinds}"
            ) from None
        if not isinstance(arguments, list | tuple) or len(arguments) != expected:
            raise InvalidJob(f"search space {name!r}: {kind} takes {expected} arguments, not {arguments!r}")
        is_right = (
            isinstance(arguments[0], list | tuple) and arguments[0]
            if kind == "choice"
            else all(isinstance(value, int | float) and math.isfinite(value) for value in arguments)
            and (kind != "randint" or (isinstance(arguments[0], int) and arguments[0] > 0))
            and (not kind.startswith("q") or arguments[2] > 0)
        )
        if not is_right:
            raise InvalidJob(f"search space {name!r}: {kind} cannot take {arguments!r}")
        checked[name] = (kind, arguments)
    return checked


def _draw(generator: random.Random, kind: str, arguments: Sequence[Any]) -> Any:
    if kind == "choice":
        return generator.choice(arguments[0])
    if kind == "randint":
        return generator.randrange(arguments[0])
    draw = generator.gauss if kind.endswith("normal") else generator.uniform
    value = draw(arguments[0], arguments[1])
    if "log" in kind:
        value = math.exp(value)
    return round(value / arguments[2]) * arguments[2] if kind.startswith("q") else value


def _trial(values: Mapping[str, Any]) -> Trial:
    return {name: {"type": "literal", "value": str(value)} for name, value in values.items()}
