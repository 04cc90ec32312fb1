"""Which Keras engine a run computes on; it is chosen before Keras is imported, and cannot be changed after."""

import os
import sys
from importlib.util import find_spec
from typing import Any, Literal

from keras_azure.errors import UsageError
from keras_azure.lazy import lazy
from keras_azure.observers import Observer
from keras_azure.quiet import native_messages_held_back, silence_libraries


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
        lazy("keras_azure.training.devices:has_gpu")()  # the first look at them makes TensorFlow talk about the driver
    return loaded
