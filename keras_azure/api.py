"""The Python API: what `kaz run` does, as a function."""

import contextlib
from pathlib import Path
from typing import Any

from keras_azure.config import RunConfig, RunResult, lay_over, read_config_file
from keras_azure.display import display_for_here
from keras_azure.errors import UsageError
from keras_azure.observers import Observer
from keras_azure.registry import BACKENDS
from keras_azure.runs import new_run_dir, runs_folder


def run(
    model: str | None = None,
    *,
    config: str | Path | None = None,
    output: str | Path | None = None,
    observer: Observer | None = None,
    **settings: Any,
) -> RunResult:
    """Trains a model and gives back its result.

    Args:
        model: the model's name or spec: "cnn", "cnn(dropout=0.2)".
        config: a JSON file of settings, such as the run.json of another run; the arguments here lie over it.
        output: the run folder to make; by default one in `runs/` that is named after the time and the model.
        observer: hears of the progress instead of the display.
        settings: the fields of `RunConfig`, such as `data="digits"`, `epochs=3`, and for options of model and data
            `set=["dropout=0.2"]`, `image_size=(64, 64)` and `skip_unreadable=True`.

    Raises:
        KerasAzureError: what was asked for is not possible, or the run failed; see `keras_azure.errors`.
    """
    values = read_config_file(Path(config)) if config is not None else {}
    if model is not None:
        settings["model"] = model
    described = RunConfig.from_dict(lay_over(values, settings)).resolved()
    backend = BACKENDS.build(described.backend)
    run_dir = new_run_dir(described, Path(output) if output is not None else None)
    try:
        with display_for_here(observer) as display:
            return backend.run(described, run_dir, display)
    finally:
        with contextlib.suppress(OSError):
            # Only what is empty goes: the folders of a run that could not even begin.
            run_dir.rmdir()
            runs_folder().rmdir()


def resume(run_dir: str | Path, *, observer: Observer | None = None) -> RunResult:
    """Goes on with a run that was stopped, after its newest checkpoint.

    Raises:
        UsageError: there is no run in the folder, or it is finished.
    """
    run_dir = Path(run_dir).expanduser().absolute()
    description = run_dir / "run.json"
    if not description.is_file():
        raise UsageError(f"There is no run in {run_dir}: it has no run.json.", hint="the folder that kaz run printed")
    if (run_dir / "metrics.json").exists():
        raise UsageError(f"The run in {run_dir} is finished.", hint=f"to repeat it: kaz run --config {description}")
    config = RunConfig.from_json(description.read_text(encoding="utf-8")).resolved()
    backend = BACKENDS.build(config.backend)
    with display_for_here(observer) as display:
        return backend.run(config, run_dir, display, resume=True)
