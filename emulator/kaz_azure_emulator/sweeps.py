"""Sweep jobs: their trials as jobs of their own, some at once, and which of them was best."""

import json
import re
import threading
from collections.abc import Callable
from typing import Any

from kaz_azure_emulator.durations import seconds_of

LOG = "azureml-logs/hyperdrive.txt"  # where the SDK looks for a sweep's log

_MOST_TRIALS = 1_000  # Azure's own limit
_PLACEHOLDER = re.compile(r"\$\{\{\s*search_space\.(\w+)\s*\}\}")
_POLL_SECONDS = 0.1


def trials(sweep: dict[str, Any]) -> list[dict[str, Any]]:
    """The inputs of each trial. Bayesian sampling draws at random here: nothing is learned from earlier trials.

    Raises:
        kaz_azure_emulator.execution.InvalidJob: the search space is not as it must be.
    """
    from kaz_azure_emulator.execution import grid, random_trials

    sampling, space = sweep["samplingAlgorithm"], sweep["searchSpace"]
    most = min((sweep.get("limits") or {}).get("maxTotalTrials") or _MOST_TRIALS, _MOST_TRIALS)
    if sampling["samplingAlgorithmType"] == "Grid":
        return grid(space)[:most]
    return random_trials(space, most, sampling.get("seed"))


def trial_job(name: str, sweep: dict[str, Any], number: int, inputs: dict[str, Any]) -> dict[str, Any]:
    """A trial as the command job that it is."""
    trial, limits = sweep["trial"], sweep.get("limits") or {}
    drawn = {key: {"jobInputType": "literal", "value": value["value"]} for key, value in inputs.items()}
    return {
        **{key: trial.get(key) for key in ("codeId", "environmentId", "environmentVariables", "distribution")},
        "jobType": "Command",
        "command": _PLACEHOLDER.sub(r"${{inputs.\1}}", trial["command"]),
        "resources": trial.get("resources") or sweep.get("resources"),
        "computeId": sweep.get("computeId"),
        "queueSettings": sweep.get("queueSettings"),
        "experimentName": sweep["experimentName"],
        "displayName": f"{name}_{number}",
        "inputs": {**(sweep.get("inputs") or {}), **drawn},
        # A place that the sweep names would be the same for every trial; each has its own.
        "outputs": {key: {**value, "uri": None} for key, value in (sweep.get("outputs") or {}).items()},
        "limits": {"jobLimitsType": "Command", "timeout": limits.get("trialTimeout")},
        "tags": {"hyperparameters": json.dumps({key: value["value"] for key, value in inputs.items()})},
    }


def run_trials(
    sweep: dict[str, Any],
    names: list[str],
    start: Callable[[str], None],
    cancel: Callable[[str], None],
    has_ended: Callable[[str], bool],
    interrupt: threading.Event,
) -> bool:
    """Runs trials until all have ended. Whether none had to be cancelled, because of time or of `interrupt`."""
    limits = sweep.get("limits") or {}
    at_once = limits.get("maxConcurrentTrials") or len(names)
    seconds = seconds_of(limits["timeout"]) if limits.get("timeout") else float("inf")
    waiting, running, waited = list(names), [], 0.0
    while waiting or running:
        running = [name for name in running if not has_ended(name)]
        while waiting and len(running) < at_once:
            running.append(waiting.pop(0))
            start(running[-1])
        if interrupt.wait(_POLL_SECONDS) or (waited := waited + _POLL_SECONDS) > seconds:
            for name in running:
                cancel(name)
            while not all(has_ended(name) for name in running):
                threading.Event().wait(_POLL_SECONDS)
            return False
    return True


def best(values: dict[str, float | None], goal: str) -> str | None:
    """The trial with the best value of the primary metric; None where none has logged it."""
    logged = {name: value for name, value in values.items() if value is not None}
    choose = min if goal.lower() == "minimize" else max
    return choose(logged, key=logged.__getitem__) if logged else None
