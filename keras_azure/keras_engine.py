"""Which Keras engine a run computes on; it is chosen before Keras is imported, and cannot be changed after.

Libraries speak only when something is wrong, and none of them phones home unless the user turned that on.
"""

import contextlib
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from keras_azure.description.events import Observer
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy

ENGINES = ("tensorflow", "jax")  # on which models are trained here
_KERAS_HAS = (*ENGINES, "torch", "numpy", "openvino")
_POSSIBLE = {  # values of Keras's settings file, for others of which Keras cannot be imported
    "floatx": ("float16", "float32", "float64"),
    "image_data_format": ("channels_last", "channels_first"),
}


def asked_engine(engine: Literal["auto", "tensorflow", "jax"]) -> str:
    """The engine that a process would use which does not have Keras yet."""
    return engine if engine != "auto" else _named_outside()[0]


def check_engine(engine: Literal["auto", "tensorflow", "jax"] = "auto", *, to_train: bool = False) -> None:
    """Looks whether Keras can be imported on an engine; what it raises itself tells neither the cause nor a way out.

    Args:
        to_train: whether a model is to be trained, which is not possible on all of Keras's engines.

    Raises:
        UsageError: the engine is not installed, or not one of them; or Keras's settings file is damaged.
    """
    _check_settings_file()
    name, source = (engine, "") if engine != "auto" else _named_outside()
    allowed = ENGINES if to_train else _KERAS_HAS
    if name in allowed and find_spec(name) is not None:
        return
    if not source:
        hint = "pip install 'keras-azure[jax]'" if name == "jax" else f"pip install {name}"
        raise UsageError(f"The engine {name} is not installed.", hint=hint)
    problem = "is not installed" if name in allowed else f"is none of {', '.join(allowed)}"
    raise UsageError(
        f"{source} names the engine {name} for Keras, which {problem}.",
        hint="KERAS_BACKEND=tensorflow in the environment; of a run also --engine tensorflow",
    )


def use_engine(engine: Literal["auto", "tensorflow", "jax"], *, to_train: bool = False) -> None:
    """Makes Keras run on an engine; `auto` leaves the choice to KERAS_BACKEND and to Keras's own settings.

    Raises:
        UsageError: it cannot be had (see `check_engine`), or Keras runs on another one already.
    """
    keras: Any = sys.modules.get("keras")
    if keras is None:
        check_engine(engine, to_train=to_train)
        if engine != "auto":
            os.environ["KERAS_BACKEND"] = engine
    elif engine not in ("auto", keras.config.backend()):
        raise UsageError(
            f"Keras is loaded already, on {keras.config.backend()}, and cannot change to {engine} any more.",
            hint=f"a new process or notebook kernel, with KERAS_BACKEND={engine} or kaz run --engine {engine}",
        )


def load_on(engine: Literal["auto", "tensorflow", "jax"], target: str, observer: Observer) -> Any:
    """Loads Keras on an engine, and gives what `module:name` names of what needs it; libraries keep quiet about it.

    Raises:
        UsageError: the engine cannot be had.
    """
    is_loaded = "keras" in sys.modules
    prepare_keras(engine, to_train=True)
    observer.message("Loading Keras")
    if engine == "auto" and not is_loaded and _named_outside() == ("jax", str(_settings_file())):
        observer.message(f"On JAX, as {_settings_file()} says; --engine tensorflow for the usual engine")
    with native_messages_held_back():
        loaded = lazy(target)
        lazy("keras_azure.engines.devices:has_gpu")()  # the first look at them makes TensorFlow talk about the driver
    return loaded


def prepare_keras(engine: Literal["auto", "tensorflow", "jax"] = "auto", *, to_train: bool = False) -> None:
    """All that comes before the import of Keras: libraries keep quiet, and the engine is there.

    Raises:
        UsageError: the engine cannot be had.
    """
    silence_libraries()
    use_engine(engine, to_train=to_train)


def _named_outside() -> tuple[str, str]:
    """The engine that Keras takes when nobody says another, and what names it; in Keras's own order."""
    if name := os.environ.get("KERAS_BACKEND"):
        return name, "KERAS_BACKEND"
    if name := _user_settings().get("backend"):
        return str(name), str(_settings_file())
    return ENGINES[0], ""


def _settings_file() -> Path:
    """Where Keras looks for a user's settings."""
    if (home := os.environ.get("KERAS_HOME")) is not None:
        return Path(os.path.expanduser(home), "keras.json")  # noqa: PTH111  # Path's own raises where there is no home
    home = os.path.expanduser("~")  # noqa: PTH111
    return Path(home if os.access(home, os.W_OK) else "/tmp", ".keras", "keras.json")


def _user_settings() -> dict[str, Any]:
    """What the file has; nothing where there is none, or what it holds is no JSON: so does Keras."""
    try:
        values = json.loads(_settings_file().read_text())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _check_settings_file() -> None:
    """
    Raises:
        UsageError: it is there, and Keras cannot be imported for what is in it.
    """
    path = _settings_file()
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return
    except OSError as error:
        problem = error.strerror
    except ValueError:  # which Keras passes over
        return
    else:
        problem = "it is no JSON object"
        if isinstance(values, dict):
            wrong = [name for name, allowed in _POSSIBLE.items() if values.get(name, allowed[0]) not in allowed]
            wrong += [] if isinstance(values.get("epsilon", 0.0), float) else ["epsilon"]
            if not wrong:
                return
            problem = " and ".join(f"{name} is {values[name]!r}" for name in wrong)
    raise UsageError(
        f"Keras cannot read its settings in {path}: {problem}.", hint="mend that file, or remove it: a run needs none"
    )


_SETTINGS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # TensorFlow's native log: oneDNN and missing-CUDA notes are not for our users
    "GRPC_VERBOSITY": "ERROR",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",  # MLflow asks for git, which need not be there
}


def silence_libraries() -> None:
    """Sets what the libraries read from the environment when they are imported; the user's own settings stay."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    # tqdm, which MLflow and TFDS import, asks notebooks for a package that a progress bar of ours does not need.
    warnings.filterwarnings("ignore", message="IProgress not found")
    logging.getLogger("tensorflow").addFilter(_says_more_than_retracing)


def _says_more_than_retracing(record: logging.LogRecord) -> bool:
    """A run predicts batches of a few sizes, each of which is traced once; TensorFlow takes that for a mistake."""
    return "triggered tf.function retracing" not in str(record.msg)


@contextlib.contextmanager
def native_messages_held_back() -> Iterator[None]:
    """Keeps what native code writes to stderr while a library is imported, and shows it only if that fails.

    TensorFlow writes that it found no CUDA before any of its log settings apply, so only the file descriptor helps.
    """
    stderr = sys.__stderr__
    try:
        if stderr is None:  # such as under pythonw
            raise OSError("There is no stderr.")
        descriptor = stderr.fileno()
        original = os.dup(descriptor)
    except (AttributeError, OSError, ValueError):  # nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        stderr.flush()
        try:
            os.dup2(held.fileno(), descriptor)  # within: who presses Ctrl-C just now is to see what is said of it
            yield
        except Exception:
            os.dup2(original, descriptor)
            held.seek(0)
            os.write(descriptor, held.read())
            raise
        finally:
            os.dup2(original, descriptor)
            os.close(original)
