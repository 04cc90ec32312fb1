"""What a job is and how it ended, as values that survive JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

FOLDER_TYPES = frozenset({"uri_folder", "mltable"})
MODEL_TYPES = frozenset({"custom_model", "mlflow_model", "triton_model"})  # a file or a folder, as it was registered
DATA_TYPES = FOLDER_TYPES | MODEL_TYPES | {"uri_file"}
INPUT_MODES = frozenset({"ReadOnlyMount", "Download", "Direct"})
OUTPUT_MODES = frozenset({"ReadWriteMount", "Upload", "Direct"})
# The counts that each kind of distribution has, and what Azure takes where one is left out.
DISTRIBUTIONS: Mapping[str, Mapping[str, int]] = {
    "PyTorch": {"processCountPerInstance": 1},
    "Mpi": {"processCountPerInstance": 1},
    "TensorFlow": {"workerCount": 1, "parameterServerCount": 0},
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class InvalidJob(ValueError):
    """A job's description is wrong: the message names the part and what was expected."""


@dataclass(frozen=True)
class JobDescription:
    """A command job, with addresses (SAS URLs) in place of assets.

    Args:
        name: the job's name, which is its run id.
        command: what bash runs on each node, with `${{inputs.x}}` and `${{outputs.y}}`.
        code_url: the container, or a prefix in it, that holds the code folder; None for a job without code.
        environment: `image` (text or None), `conda_file` (YAML text or None), `environment_variables`.
        inputs: by name: `type`, `mode`, and `value` of a literal or `url` of data.
        outputs: by name: `type`, `mode`, `url`.
        default_output_url: the prefix that takes what the job writes to `./outputs`.
        logs_url: the prefix under which `user_logs/...`, `azureml-logs/...` and `./logs` are written.
        distribution: `distributionType` ("PyTorch", "TensorFlow", "Mpi") and its counts, or None.
        node_count: on how many nodes it runs.
        timeout_seconds: how long its processes may run; None for as long as they like.
        variables: what else is in the environment of every process.

    Raises:
        InvalidJob: a part is missing, of a wrong kind, or unknown.
    """

    name: str
    command: str
    code_url: str | None
    environment: dict[str, Any]
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]
    default_output_url: str
    logs_url: str
    distribution: dict[str, Any] | None = None
    node_count: int = 1
    timeout_seconds: float | None = None
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.command, str) or not self.command.strip():
            raise InvalidJob("command is empty; expected what bash is to run")
        if not _is_count(self.node_count, least=1):
            raise InvalidJob(f"node_count={self.node_count!r}; expected a whole number from 1 on")
        if self.timeout_seconds is not None and not self.timeout_seconds > 0:
            raise InvalidJob(f"timeout_seconds={self.timeout_seconds!r}; expected more than 0, or None")
        for kind, entries, modes in (("input", self.inputs, INPUT_MODES), ("output", self.outputs, OUTPUT_MODES)):
            for name, entry in entries.items():
                _check_data(f"{kind} {name!r}", name, entry, modes, may_be_literal=kind == "input")
        if self.distribution is not None:
            _check_distribution(self.distribution, self.node_count)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "JobDescription":
        """Reads what `to_json` wrote.

        Raises:
            InvalidJob: it is not a description.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise InvalidJob(f"the description is not JSON: {error}") from error
        known = {each.name for each in fields(cls)}
        if not isinstance(values, dict) or values.keys() - known:
            raise InvalidJob(f"expected an object with some of {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise InvalidJob(str(error)) from error

    def distribution_count(self, key: str) -> int:
        """A count of the distribution, or what Azure takes for it."""
        count = (self.distribution or {}).get(key)
        return DISTRIBUTIONS[self.distribution["distributionType"]][key] if count is None else count


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended.

    Args:
        status: as Azure calls it.
        error: `code` and `message`, where it failed or ran out of time.
        exit_code: of the process that decided it; None where no process ran, 128 + n where signal n ended it.
    """

    status: Literal["Completed", "Failed", "Canceled"]
    error: dict[str, str] | None = None
    exit_code: int | None = None


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _check_data(what: str, name: str, entry: Any, modes: frozenset[str], *, may_be_literal: bool) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidJob(f"{what}: a name is letters, digits and underscores, and starts with no digit")
    if not isinstance(entry, dict):
        raise InvalidJob(f"{what} is {type(entry).__name__}; expected an object with type, mode and url")
    if may_be_literal and entry.get("type") == "literal":
        if not isinstance(entry.get("value"), str | int | float):
            raise InvalidJob(f"{what} is a literal; expected a text or a number as its value")
        return
    if entry.get("type") not in DATA_TYPES:
        raise InvalidJob(f"{what} has type {entry.get('type')!r}; expected one of {', '.join(sorted(DATA_TYPES))}")
    if entry.get("mode") not in modes | {None}:
        raise InvalidJob(f"{what} has mode {entry['mode']!r}; expected one of {', '.join(sorted(modes))}")
    if not isinstance(entry.get("url"), str):
        raise InvalidJob(f"{what} has no url")


def _check_distribution(distribution: dict[str, Any], node_count: int) -> None:
    kind = distribution.get("distributionType")
    if kind not in DISTRIBUTIONS:
        raise InvalidJob(f"distributionType is {kind!r}; expected one of {', '.join(sorted(DISTRIBUTIONS))}")
    for key in DISTRIBUTIONS[kind]:
        least = 0 if key == "parameterServerCount" else 1
        count = distribution.get(key)
        if count is not None and not _is_count(count, least):
            raise InvalidJob(f"{key}={count!r}; expected a whole number from {least} on")
    workers = distribution.get("workerCount")
    if kind == "TensorFlow" and workers is not None and workers != node_count:
        raise InvalidJob(f"workerCount={workers} on {node_count} nodes; TensorFlow has one worker on each node")
