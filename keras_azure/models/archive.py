"""`model.zip`: features, the classifier on them and what they have to agree on, in one file."""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

import keras

from keras_azure.data import TASKS, TaskName
from keras_azure.errors import RunFailed
from keras_azure.files import write_atomically
from keras_azure.models.saving import copy_entry, read_about, read_model, reason, save_model, undated
from keras_azure.models.untrusted import check_archive

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

_ABOUT, _CLASSIFIER, _FEATURES = _ENTRIES = ("about.json", "classifier.skops", "features.keras")
_FORMAT = 1
_BESIDES = "about"  # the entry of about.json with what is said besides


def write_archive(
    path: Path,
    features: keras.Model,
    estimator: "BaseEstimator",
    num_classes: int,
    task: TaskName = "classify",
    constants: Mapping[int, int] = MappingProxyType({}),
    about: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Equal models give equal files.

    Args:
        about: what the file says of the model besides, JSON-safe.

    Raises:
        RunFailed: the disk is full or not writable, or the estimator cannot be written; `path` is as it was.
    """
    from keras_azure.models import estimators  # with scikit-learn, which most runs need not wait for

    content: dict[str, Any] = {"format": _FORMAT, "num_classes": num_classes}
    if task != "classify":
        content |= {"task": task, "constants": sorted(constants.items()), _BESIDES: dict(about)}
    try:
        classifier = estimators.to_bytes(estimator)
    except TypeError as error:
        raise RunFailed(f"The classifier {type(estimator).__name__} cannot be saved: {error}") from error

    def write(beside: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saved-") as folder:
            saved = Path(folder) / _FEATURES
            save_model(features, saved)
            with zipfile.ZipFile(beside, "w") as archive, saved.open("rb") as reading:
                archive.writestr(undated(_ABOUT), json.dumps(content))
                archive.writestr(undated(_CLASSIFIER), classifier)
                copy_entry(reading, saved.stat().st_size, _FEATURES, archive)

    write_atomically(path, write)


def read_archive(path: Path) -> tuple[keras.Model, Any, int, TaskName, dict[int, int]]:
    """The features, the estimator, the number of classes, the task and the labels that do not change, as
    `FeatureClassifier` has them, read without running code from the file.

    Raises:
        RunFailed: the file is not there, damaged, unsafe, or no such archive.
    """
    from keras_azure.models import estimators

    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, path.stat().st_size)
            if missing := [name for name in _ENTRIES if name not in archive.namelist()]:
                raise ValueError(f"it has no {missing[0]}, so it is not the file of a classifier on features")
            about = json.loads(archive.read(_ABOUT))
            if about.get("format") != _FORMAT:
                raise ValueError(f"its format is {about.get('format')}, of another version of keras-azure")
            if (task := about.get("task", "classify")) not in TASKS:
                raise ValueError(f"its task is {task!r}, of another version of keras-azure")
            constants = {int(label): int(bool(value)) for label, value in about.get("constants", ())}
            estimator = estimators.from_bytes(archive.read(_CLASSIFIER), task)
            with archive.open(_FEATURES) as reading:
                return _load_features(reading), estimator, int(about["num_classes"]), task, constants
    except Exception as error:  # Keras, skops and zipfile raise what the damaged part happened to cause
        problem = getattr(error, "strerror", None) or reason(error)
        raise RunFailed(f"The model file {path} cannot be loaded: {problem}.") from error


def about_archive(path: Path) -> dict[str, Any]:
    """What `write_archive` was to say of the model besides.

    Raises:
        RunFailed: the file is damaged.
    """
    return read_about(path, _ABOUT, _BESIDES)


def _load_features(content: IO[bytes]) -> keras.Model:
    with tempfile.NamedTemporaryFile(suffix=".keras") as file:  # Keras goes by the ending
        shutil.copyfileobj(content, file)
        file.flush()
        return read_model(Path(file.name), compile=False)
