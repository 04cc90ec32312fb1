"""Where runs go: `runs/` in the current folder, or the folder that KAZ_RUNS names; and which of them go on."""

import csv
import dataclasses
import datetime
import json
import os
from collections.abc import Mapping
from pathlib import Path

from keras_azure.data.locate import paths_in
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig, read_config_file
from keras_azure.description.result import RunResult
from keras_azure.errors import ConfigError, OutputExists, SpecError, UsageError
from keras_azure.redaction import find_secret
from keras_azure.registry.given import typed_by_user
from keras_azure.registry.registry import as_spec
from keras_azure.registry.specs import Spec, is_object

DESCRIPTION = "run.json"
RESULTS = "metrics.json"  # written last
HISTORY = "history.csv"
JOB = "job.json"  # of a run that was submitted, from before the submission on
PREDICTIONS = "predictions.npz"  # of the test split; an autoencoder has none


def runs_folder() -> Path:
    return Path(os.environ.get("KAZ_RUNS") or "runs")


def choose_run_dir(config: RunConfig, output: Path | None, resume: bool | None) -> tuple[Path, bool]:
    """The folder of a run, which is made if it is not there, and whether the run in it is to go on.

    Args:
        output: the folder; by default one named after the time and the model.
        resume: True for the unfinished run of this configuration, in `output` or the newest in the runs folder; False
            for a new run; None for the unfinished run in `output` if there is one, and else a new one.

    Raises:
        OutputExists: there is something else in `output`, or an unfinished run and `resume` is False.
        ConfigError: the unfinished run in `output` has another configuration.
        UsageError: there is no run to go on with, or the folder cannot be made.
    """
    try:
        if output is None and resume:
            return _newest_unfinished(config), True
        if output is None:
            return _dated_folder(config.model_spec.name), False
        output = output.expanduser().absolute()
        _refuse_secrets(output)
        output.mkdir(parents=True, exist_ok=True)
        goes_on = _is_unfinished(output)
        if goes_on and resume is not False:
            _require_same(config, output, files_may_move=resume is True)
            return output, True
        if resume:
            raise UsageError(f"There is no unfinished run in {output}.", hint="without --resume it is a new run")
        if any(not path.name.startswith(".") for path in output.iterdir()):
            raise OutputExists(
                f"The output folder {output} is not empty, and nothing is overwritten.",
                hint="another --output"
                + (f"; or, to go on with the run in it: {command('kaz', 'resume', output)}" if goes_on else ""),
            )
        return output, False
    except OSError as error:
        raise UsageError(f"The output folder cannot be made: {error.filename}: {error.strerror}.") from error


def _refuse_secrets(folder: Path) -> None:
    """Its name would be the name of the run in MLflow."""
    if kind := find_secret(str(folder)):
        raise UsageError(f"The run folder's name holds a secret ({kind}).", hint="another --output, or KAZ_RUNS")


def is_finished(run_dir: Path) -> bool:
    """Whether all of a run is in its folder; on a mounted folder half a file may show up under the name of the last."""
    try:
        return isinstance(json.loads((run_dir / RESULTS).read_text(encoding="utf-8")), dict)
    except (OSError, ValueError, RecursionError):
        return False


def read_description(run_dir: Path) -> RunConfig:
    """The configuration of the run in a folder.

    Raises:
        UsageError: there is no run.
        ConfigError: its description is damaged.
    """
    try:
        return RunConfig.from_dict(read_config_file(run_dir / DESCRIPTION))
    except ConfigError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise UsageError(
                f"There is no run in {run_dir}: it has no {DESCRIPTION}.", hint="the folder that kaz run printed"
            ) from None
        raise


def read_result(run_dir: Path, tracking: Mapping[str, str] | None = None) -> RunResult:
    """What a finished run's files say.

    Raises:
        UsageError: they are not there, or damaged.
    """
    fields = {setting.name for setting in dataclasses.fields(RunResult)}
    try:
        facts = json.loads((run_dir / RESULTS).read_text(encoding="utf-8"))
        with (run_dir / HISTORY).open(encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        history = tuple({**row, "epoch": int(row["epoch"])} for row in rows)
        known = {name: value for name, value in facts.items() if name in fields}
        return RunResult(**known, run_dir=run_dir, history=history, tracking=tracking)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"The run in {run_dir} has no results that can be read: {error}.") from None


def _is_unfinished(run_dir: Path) -> bool:
    return (run_dir / DESCRIPTION).is_file() and not is_finished(run_dir)


def _require_same(config: RunConfig, run_dir: Path, *, files_may_move: bool) -> None:
    """
    Args:
        files_may_move: the same data may lie in another folder now, as on another node of a cluster; that it is the
            same is what its checkpoint tells.
    """
    described = [read_description(run_dir), config]
    before, now = (dataclasses.asdict(_anywhere(each) if files_may_move else each) for each in described)
    changes = [f"{name} is {before[name]!r} there and {now[name]!r} here" for name in now if before[name] != now[name]]
    if changes:
        raise ConfigError(
            f"There is an unfinished run of another configuration in {run_dir}: {'; '.join(changes)}.",
            hint=f"{command('kaz', 'resume', run_dir)}, which goes on with it as it is; or another --output",
        )


def _anywhere(config: RunConfig) -> RunConfig:
    """The run without the places of its files."""
    data, model = config.data, _model(config)
    if not is_object(data):
        data = str(_without_paths(as_spec(data)))
    if model is not None and isinstance(weights := model.options.get("weights"), str):
        model = model.with_options(weights=Path(weights).name)
    return dataclasses.replace(config, data=data, model=config.model if model is None else str(model))


def _without_paths(data: Spec) -> Spec:
    return data.with_options(**dict.fromkeys(paths_in(data), ""))


def _model(config: RunConfig) -> Spec | None:
    """For a look at its options; None where it was an object of a Python program, see `keras_azure.registry.given`."""
    try:
        return as_spec(typed_by_user(config.model))
    except SpecError:
        return None


def _newest_unfinished(config: RunConfig) -> Path:
    folder = runs_folder().absolute()
    for run_dir in sorted(folder.iterdir() if folder.is_dir() else [], reverse=True):  # the names begin with the time
        if not _is_unfinished(run_dir):
            continue
        try:
            if read_description(run_dir) == config:
                return run_dir
        except UsageError:
            continue
    raise UsageError(
        f"There is no unfinished run of this configuration in {folder}.", hint="without --resume it is a new run"
    )


def _dated_folder(model: str) -> Path:
    now = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{model}"
    _refuse_secrets(runs_folder().absolute() / now)
    for number in range(1, 1000):  # two runs may start in one second
        folder = runs_folder().absolute() / (now if number == 1 else f"{now}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
    raise OutputExists(f"There are a thousand runs called {now} already.")
