"""Where runs go: `runs/` in the current folder, or the folder that KAZ_RUNS names."""

import datetime
import os
from pathlib import Path

from keras_azure.config import RunConfig
from keras_azure.errors import OutputExists, UsageError
from keras_azure.registry import as_spec


def runs_folder() -> Path:
    return Path(os.environ.get("KAZ_RUNS") or "runs")


def new_run_dir(config: RunConfig, output: Path | None = None) -> Path:
    """Makes the folder of a new run: `output`, or one named after the time and the model.

    Raises:
        OutputExists: there is something in `output` already.
        UsageError: the folder cannot be made.
    """
    try:
        if output is None:
            return _dated_folder(as_spec(config.model).name)
        output = output.expanduser().absolute()
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()):
            raise OutputExists(
                f"The output folder {output} is not empty, and nothing is overwritten.",
                hint=f"another --output; or, to go on with the run in it: kaz resume {output}",
            )
        return output
    except OSError as error:
        raise UsageError(f"The output folder cannot be made: {error.filename}: {error.strerror}.") from error


def _dated_folder(model: str) -> Path:
    now = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{model}"
    for number in range(1, 1000):  # two runs may start in one second
        folder = runs_folder().absolute() / (now if number == 1 else f"{now}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
    raise OutputExists(f"There are a thousand runs called {now} already.")
