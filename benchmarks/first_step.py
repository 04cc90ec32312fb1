"""A run in a process of its own, which tells when its first step and its first epoch were done.

python -m benchmarks.first_step RUN_FOLDER [NAME=VALUE ...]     # the settings of `keras_azure.run`
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[1]


def first_step(run_dir: Path, **settings: str) -> dict[str, float]:
    """Seconds from the start of a process to its first "step" of training, and to the end of the first "epoch"."""
    environment = {**os.environ, "KAZ_RUNS": str(run_dir.parent)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    given = [f"{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "benchmarks.first_step", str(run_dir), *given]
    begun = time.time()
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=_REPOSITORY)
    return {name: seconds - begun for name, seconds in json.loads(done.stdout.splitlines()[-1]).items()}


def _main(run_dir: str, *settings: str) -> None:
    from rich.console import Console

    import keras_azure
    from keras_azure.listeners.display import PlainDisplay

    times: dict[str, float] = {}

    class Told(PlainDisplay):
        def step_done(self, step: int, logs: Mapping[str, float]) -> None:
            float(logs["loss"])  # the device is waited for
            times.setdefault("step", time.time())
            super().step_done(step, logs)

        def epoch_done(self, epoch: int, row: Mapping[str, Any]) -> None:
            times.setdefault("epoch", time.time())
            super().epoch_done(epoch, row)

    told = Told(Console(stderr=True, highlight=False))
    given = dict(setting.split("=", 1) for setting in settings)
    keras_azure.run("cnn", epochs=1, output=run_dir, observer=told, **given)
    print(json.dumps(times))  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])
