"""What the parts of a run take, in a new process: `python -m benchmarks.report_seconds DATA BATCH_SIZE` prints JSON."""

import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PREDICTIONS, PLOTS, REPORT, RUN = "predictions.npz", "plots", "report.html and model_card.md", "the whole run"


def timed(function: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    @functools.wraps(function)
    def measure(*arguments: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun

    return measure


def run_once(folder: str, batch_size: int) -> dict[str, float]:
    """A run in this process, which is a new one; what its parts took."""
    import keras_azure
    from keras_azure.description.events import Observer
    from keras_azure.evaluation.answers import Answers
    from keras_azure.keras_engine import prepare_keras

    prepare_keras()
    import keras_azure.training.tasks
    import keras_azure.training.train as train
    from keras_azure import lazy

    seconds: dict[str, float] = {}
    Answers.save = timed(Answers.save, PREDICTIONS, seconds)
    keras_azure.training.tasks.Classify.figures = timed(keras_azure.training.tasks.Classify.figures, PLOTS, seconds)
    parts = {"keras_azure.training.plots:draw_plots": PLOTS, "keras_azure.reporting.writing:report_at_end": REPORT}

    def loaded(target: str) -> Any:
        if target not in parts:
            return lazy.lazy(target)
        function = timed(lazy.lazy, parts[target], seconds)(target)  # its import counts
        return timed(function, parts[target], seconds)

    train.lazy = loaded
    with tempfile.TemporaryDirectory() as output:
        begun = time.perf_counter()
        settings = {"epochs": 1, "batch_size": batch_size, "tracking": False, "observer": Observer()}
        keras_azure.run("cnn", data=folder, output=Path(output) / "run", **settings)
        seconds[RUN] = time.perf_counter() - begun
        assert (Path(output) / "run" / "report.html").exists()
    return seconds


if __name__ == "__main__":
    print(json.dumps(run_once(sys.argv[1], int(sys.argv[2]))))  # noqa: T201
