"""A trained model, as it lies in a run folder or in a file: what it is for, and what its classes are called."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_azure.data import TASKS, TaskName
from keras_azure.data.decoding import BIT_DEPTH
from keras_azure.data.formats.options import LARGEST_SIDE
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig, read_config_file
from keras_azure.description.folder import DESCRIPTION, RESULTS
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import RunFailed, SpecError, UsageError
from keras_azure.models.kinds import KINDS, Kind, Model, kind_of, kind_of_file
from keras_azure.models.saving import reason
from keras_azure.registry.registry import as_spec

_NAMES = {"multilabel": "labels", "regress": "numbers"}  # where a model's file has names


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model.

    Attributes:
        model: a network, or a classifier on the features of one.
        kind: which of them.
        file: it was read from.
        run_dir: the folder of its run; None of a model from elsewhere.
        class_names: of classes, labels or numbers.
        about: what its file says of it.
        bit_depth: of the images that it was trained on.
    """

    model: Model
    kind: Kind
    file: Path
    run_dir: Path | None
    class_names: tuple[str, ...]
    about: Mapping[str, Any]
    bit_depth: int = BIT_DEPTH

    @property
    def task(self) -> TaskName:
        found: TaskName = self.about.get("task", "classify")
        return found

    @property
    def thresholds(self) -> tuple[float, ...]:
        """From which on each label is predicted; none of classes and numbers."""
        return tuple(self.about.get("thresholds", ()))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that it takes."""
        height, width, channels = self.kind.network(self.model).input_shape[1:]
        return height, width, channels

    def require_names(self) -> None:
        """
        Raises:
            UsageError: it does not give a probability or a number for each name.
        """
        outputs = self.kind.output_shape(self.model)
        if outputs != (None, len(self.class_names)):
            raise UsageError(
                f"The model {self.in_words} gives no probabilities of classes: what comes out has the shape {outputs}.",
                expected=f"one probability for each of its {len(self.class_names)} classes, which an autoencoder does "
                "not give",
            )

    @property
    def in_words(self) -> str:
        """Whose model it is, after "the model"."""
        return f"of the run in {self.run_dir}" if self.run_dir else f"in {self.file}"


def open_trained(run: str | Path, class_names: Sequence[str] | None = None) -> Trained:
    """Loads a model.

    Args:
        run: the folder of a finished run, or the file of a model.
        class_names: of a model from elsewhere, whose file does not tell them.

    Raises:
        UsageError: there is no model, its run is not finished, it takes no images, or nobody names its classes.
        RunFailed: a file is damaged or unsafe.
    """
    path = Path(run).expanduser()
    folder = path.parent if path.is_file() else path
    run_dir = None if path.is_file() and not _is_run(folder) else folder
    names = class_names if class_names is not None or run_dir is None else _class_names(run_dir)
    file = path if path.is_file() else _model_file(folder)
    kind = kind_of_file(file)
    about = _about(kind, file)
    if names is None:
        names = about.get(_NAMES.get(about.get("task", ""), ""))
    if names is None:
        raise UsageError(
            f"The model {file} is of no run here, and does not tell its classes.",
            expected="the folder of a run, or the names of the classes in their order",
            hint="kaz evaluate --classes FILE, with a name in each line",
        )
    with keras_settings():
        model = kind.load_of_run(folder, file)
    trained = Trained(model, kind, file, run_dir, tuple(names), about, _bit_depth(folder))
    _check(trained)
    return trained


def _check(trained: Trained) -> None:
    inputs, _ = _shapes(trained.model)
    if len(inputs) != 4 or inputs[-1] not in (1, 3) or not all(1 <= (side or 0) <= LARGEST_SIDE for side in inputs[1:]):
        raise UsageError(
            f"The model {trained.in_words} takes no pictures: what goes in has the shape {inputs}.",
            expected=f"(None, height, width, channels) with 1 or 3 channels and sides up to {LARGEST_SIDE}",
        )
    if trained.task == "multilabel" and len(trained.thresholds) != len(trained.class_names):
        raise RunFailed(
            f"The model file {trained.file} has {len(trained.thresholds)} thresholds, and the run "
            f"{len(trained.class_names)} labels.",
            expected="a threshold for each",
        )


def _is_run(folder: Path) -> bool:
    return (folder / RESULTS).is_file() or (folder / DESCRIPTION).is_file()


def _about(kind: Kind, file: Path) -> Mapping[str, Any]:
    """What a model's file says of it.

    Raises:
        RunFailed: it is damaged, or says something else.
    """
    about = kind.about(file)
    task, thresholds = about.get("task", "classify"), about.get("thresholds", [])
    if task not in TASKS or not isinstance(thresholds, list) or not all(isinstance(each, float) for each in thresholds):
        raise RunFailed(f"The model file {file} does not tell its task and thresholds.", expected="one of ours")
    if (names := about.get(_NAMES.get(task, ""))) is not None and not _are_names(names):
        raise RunFailed(f"The model file {file} does not tell the names of what it gives.", expected="one of ours")
    return about


def _are_names(names: object) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names) and len({*names}) == len(names)


def _class_names(run_dir: Path) -> list[str]:
    results = run_dir / RESULTS
    if not results.is_file():
        if (run_dir / DESCRIPTION).is_file():
            raise UsageError(f"The run in {run_dir} is not finished.", hint=command("kaz", "resume", run_dir))
        raise UsageError(f"There is no run in {run_dir}: it has no {RESULTS}.", hint="the folder that kaz run printed")
    try:
        names = json.loads(results.read_text(encoding="utf-8"))["class_names"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunFailed(
            f"The file {results} does not tell the classes: {type(error).__name__}: {reason(error)}."
        ) from error
    if not _are_names(names):
        raise RunFailed(
            f"The file {results} does not tell the classes.",
            expected="class_names, a list of different texts",
        )
    found: list[str] = names
    return found


def _bit_depth(run_dir: Path) -> int:
    """That of the run's data; the usual one where the run's description is not there, or its data has none."""
    description = run_dir / DESCRIPTION
    if not description.is_file():
        return BIT_DEPTH
    data = read_config_file(description).get("data", RunConfig.data)
    if not isinstance(data, str):
        raise RunFailed(f"The file {description} has the data {data!r}.", expected="a text")
    try:
        depth = as_spec(data).options.get("bit_depth", BIT_DEPTH)
    except SpecError:  # data that was given in Python
        return BIT_DEPTH
    if not isinstance(depth, int) or depth not in range(1, 17):
        raise RunFailed(f"The file {description} has a bit_depth of {depth!r}.", expected="1 to 16")
    return depth


def _shapes(model: Model) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    """What goes into a model and what comes out of it.

    Raises:
        RunFailed: the model does not tell, as one without an input.
    """
    try:
        kind = kind_of(model)
        if kind is None:
            raise ValueError("it is no model")
        return kind.network(model).input_shape, kind.output_shape(model)
    except (AttributeError, ValueError) as error:
        raise RunFailed(f"The model of the run does not tell what it takes: {reason(error)}.") from error


def _model_file(run_dir: Path) -> Path:
    for kind in KINDS:
        if (run_dir / kind.file).is_file():
            return run_dir / kind.file
    raise UsageError(f"The run in {run_dir} has no model.", expected=" or ".join(kind.file for kind in KINDS))
