"""Training steps of one model in many ways, each in a process of its own: `python -m keras_azure.throughput`.

An engine, and what it holds of memory and threads, belongs to a process. All are started one after the other; then they
take their rounds in turns, and whoever has none waits for a line, using no processor.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.rounds import ROUNDS, SECONDS, Lap, LeftOut, Outcome

_REPOSITORY = Path(__file__).resolve().parents[1]
_MORE = (
    *("step_seconds", "step_seconds_p99", "first_step_seconds", "peak_memory_bytes", "gpu_busy", "gpu_memory_bytes"),
    *("operations_per_image", "tflops", "peak_tflops", "flops_utilisation", "engine", "device"),
)


def measure_in_turns(candidates: Mapping[str, Sequence[str]]) -> dict[str, Outcome]:
    """Measures candidates, given by their arguments for the script, in interleaved rounds."""
    running: dict[str, _Process] = {}
    outcomes: dict[str, Outcome] = {}
    try:
        for name, arguments in candidates.items():
            process = running[name] = _Process(arguments)
            if not process.is_ready():
                outcomes[name] = running.pop(name).outcome()
        order = random.Random(0)
        for _ in range(ROUNDS):
            for name in order.sample(list(running), len(running)):
                if not running[name].lap():
                    outcomes[name] = running.pop(name).outcome()
    finally:
        for process in running.values():
            process.end()
    return {name: outcomes[name] for name in candidates}


class _Process:
    """One that is warm after its first line, and makes a lap for each that it is given."""

    def __init__(self, arguments: Sequence[str]):
        command = [sys.executable, "-m", "keras_azure.throughput", *arguments, "--in-turns"]
        command += ["--rounds", str(ROUNDS), "--seconds", str(SECONDS)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            command,
            cwd=_REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._last = ""

    def is_ready(self) -> bool:
        """Waits for its next line; False if that is what it has found, or it has ended."""
        self._last = self._process.stdout.readline()
        return self._last.strip() == "ready"

    def lap(self) -> bool:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.is_ready()

    def outcome(self) -> Outcome:
        self.end()
        if not self._last.strip():
            return Outcome(error=RuntimeError(f"the process ended with exit code {self._process.returncode}"))
        found = json.loads(self._last)
        if "error" in found:
            missing = "ModuleNotFoundError" in found["error"] or "not installed" in found["error"]
            return Outcome(error=(LeftOut if missing else RuntimeError)(found["error"]))
        laps = [Lap(rate, 1.0) for rate in found["rates"]]
        return Outcome(laps, found["first_step_seconds"], more={name: found[name] for name in _MORE})

    def end(self) -> None:
        self._process.stdin.close()  # which ends it, wherever it waits
        self._process.wait()
        self._process.stdout.close()
