"""What differs in the settings of runs, and in what they ran on."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_azure.description.config import PLUGINS, RunConfig
from keras_azure.errors import SpecError
from keras_azure.registry.specs import Spec, parse

BY_DEFAULT = "by default"


@dataclass(frozen=True)
class Difference:
    """Something that is not the same in all runs.

    Attributes:
        name: of a setting, "learning_rate"; of an option, "model: dropout"; or of a package.
        values: of each run, as text.
    """

    name: str
    values: tuple[str, ...]


def settings_that_differ(configs: Sequence[RunConfig]) -> list[Difference]:
    """The settings, and for the same model, data set ... its options alone, that are not the same in all runs."""
    found = []
    for setting in dataclasses.fields(RunConfig):
        values = [getattr(config, setting.name) for config in configs]
        if all(value == values[0] for value in values):
            continue
        found += _options(setting.name, values) or [Difference(setting.name, tuple(map(_shown, values)))]
    return found


def versions_that_differ(environments: Sequence[Mapping[str, str]]) -> list[Difference]:
    """Versions of packages, and what else of the machines, that is not the same for all runs."""
    names = dict.fromkeys(name for environment in environments for name in environment)
    values = {name: tuple(environment.get(name, "none") for environment in environments) for name in names}
    return [Difference(name, each) for name, each in values.items() if len({*each}) > 1]


def _options(setting: str, values: Sequence[Any]) -> list[Difference]:
    """What differs in the options of one plugin; nothing where the plugins differ."""
    if setting not in ("data", *PLUGINS) or not all(isinstance(value, str) for value in values):
        return []
    try:
        specs = [parse(value) for value in values]
    except SpecError:  # of an object of a Python program, or a path
        return []
    if len({spec.name for spec in specs}) > 1:
        return []
    names = sorted({name for spec in specs for name in spec.options})
    rows = [(name, tuple(_option(spec, name) for spec in specs)) for name in names]
    return [Difference(f"{setting}: {name}", texts) for name, texts in rows if len({*texts}) > 1]


def _option(spec: Spec, name: str) -> str:
    return _shown(spec.options[name]) if name in spec.options else BY_DEFAULT


def _shown(value: object) -> str:
    if value is None:
        return BY_DEFAULT
    if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
        return ", ".join(value) or "none"
    return str(value)
