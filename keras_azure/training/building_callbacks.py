"""The callbacks of a run: built from their names, looked at before training, and led to the run folder."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from keras.callbacks import Callback

from keras_azure.data import TASKS
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig
from keras_azure.description.folder import DESCRIPTION, RESULTS
from keras_azure.errors import BrokenPlugin, KerasAzureError, UsageError
from keras_azure.registry.registry import CALLBACKS, as_spec
from keras_azure.training.callbacks import is_of_keras
from keras_azure.training.compiling import follows_schedule
from keras_azure.training.monitor import Monitor, find_monitor
from keras_azure.training.tasks import Task, task_of_labels

# Of Keras's own callbacks: the attribute with the file or folder that they write.
_PATHS: dict[type[Callback], str] = {
    keras.callbacks.CSVLogger: "filename",
    keras.callbacks.ModelCheckpoint: "filepath",
    keras.callbacks.TensorBoard: "log_dir",
}
_OF_THE_RUN = {
    *(DESCRIPTION, RESULTS, "history.csv", "model.keras", "model.zip", "report.html", "model_card.md"),
    *("tracking.json", "standardization.json", "checkpoints", "plots"),
}
NamedCallbacks = Mapping[str, Callback]  # by the names that lines and errors call them by
TENSORBOARD = "tensorboard>=2.20,<2.22"


def build_callbacks(config: RunConfig) -> dict[str, Callback]:
    """The callbacks of a config, by the names that lines and errors call them by.

    Raises:
        WrongOption: an option is wrong.
        BrokenPlugin: a plugin fails, or makes something else.
        UsageError: what was given in Python is no callback.
    """
    built: dict[str, Callback] = {}
    for text in config.callbacks:
        spec, callback = as_spec(text), CALLBACKS.build(text)
        if not isinstance(callback, Callback):
            raise BrokenPlugin(
                f"The callback {text} ({CALLBACKS.find(text).origin}) is a {type(callback).__name__}.",
                expected="a keras.callbacks.Callback",
                hint=f"kaz check {spec.name}",
            )
        built[_unused(str(spec) if spec.given is None else type(callback).__name__, built)] = callback
    return built


def check_before(config: RunConfig, callbacks: NamedCallbacks, further: Sequence[keras.metrics.Metric]) -> Monitor:
    """As `check_run`, before the data tells the task: with what the run would have in the one that fits."""
    possible = TASKS if config.task == "auto" else (config.task,)
    failures: list[KerasAzureError] = []
    for labels in possible:
        try:
            return check_run(config, callbacks, task_of_labels(labels), further)
        except KerasAzureError as error:
            failures.append(error)
    raise failures[0]


def check_run(
    config: RunConfig, callbacks: NamedCallbacks, task: Task, further: Sequence[keras.metrics.Metric]
) -> Monitor:
    """What epochs of a run are judged by. Refuses callbacks, and a monitor, that cannot work in it.

    Args:
        further: the metrics of the config, beside those that the task always has.

    Raises:
        UsageError: one of them cannot.
    """
    if callbacks and not task.has_steps:
        raise UsageError(
            f"The model {config.model_spec.name!r} is fitted without steps and epochs: {', '.join(callbacks)} would "
            "never be called.",
            hint="no --callback",
        )
    metrics = [*task.metrics(), *(further if task.has_steps else ())]
    _check_callbacks(callbacks, config, metrics)
    return find_monitor(config, metrics)


def _check_callbacks(callbacks: NamedCallbacks, config: RunConfig, metrics: Sequence[keras.metrics.Metric]) -> None:
    numbers = [name for each in ("loss", *(metric.name for metric in metrics)) for name in (each, f"val_{each}")]
    if not config.validation_split:
        numbers = [name for name in numbers if not name.startswith("val_")]
    numbers.append("learning_rate")
    numbers_may_come = False  # from a callback that adds to the logs which those behind it get
    for name, callback in callbacks.items():
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise UsageError(
                f"The callback {name} would make checkpoints beside those that a run has anyway.",
                hint="kaz resume RUN_FOLDER; --checkpoint-every 500steps for checkpoints within epochs",
            )
        sets_rate = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
        if isinstance(callback, sets_rate) and follows_schedule(config):
            raise UsageError(
                f"The callback {name} cannot set the learning rate, which follows a schedule here.",
                hint="--schedule constant, and an optimizer without a schedule of its own",
            )
        if isinstance(callback, keras.callbacks.TensorBoard) and importlib.util.find_spec("tensorboard") is None:
            raise UsageError(
                f"The callback {name} needs the package tensorboard, which is not installed.",
                hint=f"pip install '{TENSORBOARD}'",
            )
        if (monitor := _monitored(callback)) not in (None, *numbers) and not numbers_may_come:
            raise UsageError(
                f"The callback {name} monitors {monitor!r}, which the run does not have.",
                expected=f"one of {', '.join(numbers)}",
            )
        if (attribute := _path_attribute(callback)) is not None:
            first = Path(getattr(callback, attribute)).parts[:1]
            if first and first[0] in _OF_THE_RUN:
                raise UsageError(
                    f"The callback {name} would write {getattr(callback, attribute)}, which the run itself writes.",
                    hint=f"another {attribute}",
                )
        numbers_may_come |= isinstance(callback, keras.callbacks.LambdaCallback) or not is_of_keras(callback)


@contextlib.contextmanager
def led_to(run_dir: Path, callbacks: NamedCallbacks, *, resumed: bool, tell: Callable[[str], None]) -> Iterator[None]:
    """While entered, Keras's own callbacks that write files write those with relative paths into the run folder.

    Args:
        resumed: files that are written line by line are continued.
        tell: shows a line to the user.
    """
    before: list[tuple[Callback, str, Any]] = []

    def set_attribute(callback: Callback, name: str, value: object) -> None:
        before.append((callback, name, getattr(callback, name)))
        setattr(callback, name, value)

    for name, callback in callbacks.items():
        if (attribute := _path_attribute(callback)) is not None:
            path = run_dir / getattr(callback, attribute)
            if path.is_relative_to(run_dir):
                path.parent.mkdir(parents=True, exist_ok=True)
            set_attribute(callback, attribute, str(path))
        if isinstance(callback, keras.callbacks.TensorBoard):
            tell(f"For the callback {name}: {command('tensorboard', '--logdir', callback.log_dir)}")
        if resumed and isinstance(callback, keras.callbacks.CSVLogger):
            set_attribute(callback, "append", True)
    try:
        yield
    finally:
        for callback, name, value in reversed(before):
            setattr(callback, name, value)
        for callback in callbacks.values():
            if isinstance(callback, keras.callbacks.CSVLogger) and callback.csv_file is not None:
                callback.csv_file.close()  # Keras does so in `on_train_end` alone, which a run that is stopped has not


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    numbered = (f"{name} ({number})" for number in range(2, len(taken) + 2))
    return name if name not in taken else next(each for each in numbered if each not in taken)


def _monitored(callback: Callback) -> str | None:
    kinds = (keras.callbacks.EarlyStopping, keras.callbacks.ModelCheckpoint, keras.callbacks.ReduceLROnPlateau)
    if not isinstance(callback, kinds):
        return None
    if isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_best_only:
        return None
    return callback.monitor


def _path_attribute(callback: Callback) -> str | None:
    return next((attribute for kind, attribute in _PATHS.items() if isinstance(callback, kind)), None)
