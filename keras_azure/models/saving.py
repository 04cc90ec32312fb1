"""Models that are saved repeatably, and loaded without running code from their files."""

import contextlib
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import keras

from keras_azure.description.config import RunConfig
from keras_azure.description.folder import read_description
from keras_azure.errors import KerasAzureError, RunFailed, UsageError
from keras_azure.files import write_atomically
from keras_azure.models.measures import FunctionLoss, FunctionMetric, name_in_files
from keras_azure.models.untrusted import check_archive, check_config, check_size, check_weights
from keras_azure.registry.registry import KERAS, LOSSES, METRICS, MODELS, OPTIMIZERS

_SHARED_OBJECT = re.compile(rb'("shared_object_id": )(\d+)')
_EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 22  # bytes
_CONFIG, _WEIGHTS, _METADATA = "config.json", "model.weights.h5", "metadata.json"
_ABOUT = "keras_azure"  # the entry of a model's metadata with what we say of it


def save_model(model: keras.Model, path: Path, about: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Saves as `.keras`; equal models give equal files.

    For that the dates and the memory addresses that Keras writes are taken out.

    Args:
        about: what the file says of the model besides, JSON-safe, in its metadata, which Keras passes over: see
            `about_model`.
    """

    def write(beside: Path) -> None:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".saved-", suffix=path.suffix) as saved:
            model.save(saved.name)
            with zipfile.ZipFile(saved.name) as source, zipfile.ZipFile(beside, "w") as target:
                for name in sorted(source.namelist()):
                    _copy_repeatably(name, source, target, about)

    write_atomically(path, write)


def load_model(path: Path, own: Mapping[str, Any] = MappingProxyType({}), *, compile: bool = True) -> keras.Model:
    """Loads a `.keras` file in safe mode: one that would run code of its own is refused.

    Args:
        own: what the file may name beside parts of Keras's models: see `own_objects`.
        compile: with the optimizer, the loss and the metrics.

    Raises:
        RunFailed: the file is damaged, unsafe, or of a plugin that is not installed.
    """
    try:
        return read_model(path, own, compile=compile)
    except Exception as error:  # Keras raises what the damaged part happened to cause
        raise RunFailed(f"The model file {path} cannot be loaded: {reason(error)}.") from error


def about_model(path: Path) -> dict[str, Any]:
    """What `save_model` was to say of the model in a `.keras` file; nothing where it has nothing of the kind.

    Raises:
        RunFailed: the file is damaged.
    """
    return read_about(path, _METADATA, _ABOUT)


def read_about(path: Path, entry: str, key: str) -> dict[str, Any]:
    """What an entry of an archive, which is JSON, has under a key; nothing where there is nothing.

    Raises:
        RunFailed: the file is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_archive(archive, path.stat().st_size)
            about = json.loads(archive.read(entry)).get(key, {})
        if not isinstance(about, dict):
            raise ValueError(f"its {entry} has {key} as {about!r}")
    except Exception as error:  # zipfile and JSON raise what the damaged part happened to cause
        raise RunFailed(f"The model file {path} cannot be loaded: {reason(error)}.") from error
    return about


def load_run_model(run_dir: Path, path: Path | None = None) -> keras.Model:
    """Loads the network of a finished run, which is compiled as it was.

    Not compiled is that of a run whose loss, metrics or optimizer are not here: code that was given in Python, or
    plugins that are not installed. To predict it needs none of them.

    Args:
        path: the file, where it is not the one of the run.

    Raises:
        RunFailed: the file is damaged, unsafe, or of a plugin that is not installed.
    """
    path = path or run_dir / "model.keras"
    try:
        config = read_description(run_dir)
    except UsageError:  # a file without its run
        return load_model(path)
    with contextlib.suppress(KerasAzureError):  # its layers may well all be of Keras
        MODELS.load(config.model_spec)
    try:
        own = own_objects(config)
    except KerasAzureError:
        return load_model(path, compile=False)
    return load_model(path, own)


def own_objects(config: RunConfig) -> dict[str, Any]:
    """The classes and functions of a run's own loss, metrics and optimizer, by the names that its model's file has.

    They are those of plugins that its description names, or what it was given in Python: what a file alone names is not
    imported.

    Raises:
        KerasAzureError: one of them is not here.
    """
    found: dict[str, Any] = {}
    for registry, spec in config.plugins():
        if registry not in (LOSSES, METRICS, OPTIMIZERS) or registry.find(spec).package == KERAS:
            continue
        found |= own_object(registry.build(spec))
    return found


def own_object(built: object) -> dict[str, Any]:
    """The class or function of a loss, a metric or an optimizer, by the name that a model's file has; none of Keras."""
    if isinstance(built, FunctionLoss | FunctionMetric):
        return {name_in_files(built.function): built.function}
    if type(built).__module__.startswith("keras."):
        return {}
    return {keras.saving.get_registered_name(type(built)): type(built)}


def read_model(path: Path, own: Mapping[str, Any] = MappingProxyType({}), *, compile: bool = True) -> keras.Model:
    """Loads a `.keras` file after looking through it.

    Raises:
        ValueError: it does or holds what a model has no need of.
        Exception: whatever damage happens to cause.
    """
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, path.stat().st_size)
        config = json.loads(archive.read(_CONFIG))
        check_config(config if compile else {**config, "compile_config": None}, own)
        check_weights(archive.read(_WEIGHTS))
    check_size(config, path.stat().st_size)
    return keras.saving.load_model(path, custom_objects=dict(own), compile=compile, safe_mode=True)


def reason(error: Exception) -> str:
    """What an error of a library says first, without the full stop."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return first.rstrip(".")


def undated(name: str) -> zipfile.ZipInfo:
    """An entry of a zip archive that does not tell when it was written."""
    return zipfile.ZipInfo(name, _EARLIEST_ZIP_DATE)


def renumbering() -> Callable[[bytes], bytes]:
    """Gives each different number, as digits, the next one of 1, 2, 3 ...: the same for the same number.

    Memory addresses mark what is one and the same object; any numbers that are theirs alone will do.
    """
    numbers: dict[bytes, bytes] = {}
    return lambda number: numbers.setdefault(number, str(len(numbers) + 1).encode())


def copy_entry(source: IO[bytes], size: int, name: str, target: zipfile.ZipFile) -> None:
    """Copies `size` bytes, which may be gigabytes, into an undated entry."""
    entry = undated(name)
    entry.file_size = size
    with target.open(entry, "w") as writing:
        shutil.copyfileobj(source, writing, _CHUNK)


def _copy_repeatably(name: str, source: zipfile.ZipFile, target: zipfile.ZipFile, about: Mapping[str, Any]) -> None:
    """Copies an entry of a `.keras` archive without what differs between two saves of one model."""
    if name == _METADATA:
        metadata = json.loads(source.read(name))
        metadata.pop("date_saved", None)
        metadata |= {_ABOUT: dict(about)} if about else {}
        target.writestr(undated(name), json.dumps(metadata))
    elif name == _CONFIG:
        # Keras marks objects that layers share by their address in memory.
        number = renumbering()
        config = _SHARED_OBJECT.sub(lambda match: match[1] + number(match[2]), source.read(name))
        target.writestr(undated(name), config)
    else:  # the weights
        with source.open(name) as reading:
            copy_entry(reading, source.getinfo(name).file_size, name, target)
