"""`model.zip`: features, the classifier on them and what they have to agree on, in one file."""

import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import keras

from keras_azure.errors import RunFailed
from keras_azure.files import write_atomically
from keras_azure.models.saving import copy_entry, read_model, reason, save_model, undated
from keras_azure.models.untrusted import check_archive

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

_ABOUT, _CLASSIFIER, _FEATURES = _ENTRIES = ("about.json", "classifier.skops", "features.keras")
_FORMAT = 1


def write_archive(path: Path, features: keras.Model, estimator: "BaseEstimator", num_classes: int) -> None:
    """Equal models give equal files.

    Raises:
        RunFailed: the disk is full or not writable, or the estimator cannot be written; `path` is as it was.
    """
    from keras_azure.models import estimators  # with scikit-learn, which most runs need not wait for

    about = {"format": _FORMAT, "num_classes": num_classes}
    try:
        classifier = estimators.to_bytes(estimator)
    except TypeError as error:
        raise RunFailed(f"The classifier {type(estimator).__name__} cannot be saved: {error}") from error

    def write(beside: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saved-") as folder:
            saved = Path(folder) / _FEATURES
            save_model(features, saved)
            with zipfile.ZipFile(beside, "w") as archive, saved.open("rb") as reading:
                archive.writestr(undated(_ABOUT), json.dumps(about))
                archive.writestr(undated(_CLASSIFIER), classifier)
                copy_entry(reading, saved.stat().st_size, _FEATURES, archive)

    write_atomically(path, write)


def read_archive(path: Path) -> tuple[keras.Model, Any, int]:
    """The features, the estimator and the number of classes, read without running code from the file.

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
            estimator = estimators.from_bytes(archive.read(_CLASSIFIER))
            with archive.open(_FEATURES) as reading:
                return _load_features(reading), estimator, int(about["num_classes"])
    except Exception as error:  # Keras, skops and zipfile raise what the damaged part happened to cause
        problem = getattr(error, "strerror", None) or reason(error)
        raise RunFailed(f"The model file {path} cannot be loaded: {problem}.") from error


def _load_features(content: IO[bytes]) -> keras.Model:
    with tempfile.NamedTemporaryFile(suffix=".keras") as file:  # Keras goes by the ending
        shutil.copyfileobj(content, file)
        file.flush()
        return read_model(Path(file.name), compile=False)
