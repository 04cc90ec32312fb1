"""Which Keras engine a run computes on; it is chosen before Keras is imported, and cannot be changed after.

Libraries speak only when something is wrong, and none of them phones home unless the user turned that on.
"""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Literal

from keras_azure.description.events import Observer
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy


def asked_engine(engine: Literal["auto", "tensorflow", "jax"]) -> str:
    """The engine that a process would use which does not have Keras yet."""
    return engine if engine != "auto" else os.environ.get("KERAS_BACKEND") or "tensorflow"


def use_engine(engine: Literal["auto", "tensorflow", "jax"]) -> None:
    """Makes Keras run on an engine; `auto` leaves the choice to KERAS_BACKEND and to Keras's own settings.

    Raises:
        UsageError: it is not installed, or Keras runs on another one already.
    """
    if engine == "auto":
        return
    keras: Any = sys.modules.get("keras")
    if keras is not None:
        if keras.config.backend() != engine:
            raise UsageError(
                f"Keras is loaded already, on {keras.config.backend()}, and cannot change to {engine} any more.",
                hint=f"a new process or notebook kernel, with KERAS_BACKEND={engine} or kaz run --engine {engine}",
            )
        return
    if find_spec(engine) is None:
        hint = "pip install 'keras-azure[jax]'" if engine == "jax" else f"pip install {engine}"
        raise UsageError(f"The engine {engine} is not installed.", hint=hint)
    os.environ["KERAS_BACKEND"] = engine


def load_on(engine: Literal["auto", "tensorflow", "jax"], target: str, observer: Observer) -> Any:
    """Loads Keras on an engine, and gives what `module:name` names of what needs it; libraries keep quiet about it.

    Raises:
        UsageError: the engine cannot be had.
    """
    silence_libraries()
    use_engine(engine)
    observer.message("Loading Keras")
    with native_messages_held_back():
        loaded = lazy(target)
        lazy("keras_azure.engines.devices:has_gpu")()  # the first look at them makes TensorFlow talk about the driver
    return loaded


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
