"""The contract of callbacks."""

import contextlib
import copy
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_azure.registry.registry import CALLBACKS
from keras_azure.registry.specs import Spec
from keras_azure.testing.findings import Findings, name_of, short, with_article
from keras_azure.training.callbacks import storable

_STATE = ("get_state", "set_state")
_STORABLE = "numbers, texts, None, arrays, and lists and dictionaries of them"


def check_callback(callback: keras.callbacks.Callback | type[keras.callbacks.Callback] | str | Spec) -> None:
    """Checks a callback: it follows a small training to its end, and its state, if it has one, can be restored.

    Args:
        callback: a `keras.callbacks.Callback` that was not used yet, its class, or the spec of a registered one.

    Raises:
        ContractError: the callback breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.

    Example:
        check_callback("my-callback(patience=2)")
    """
    findings = Findings(f"The callback {name_of(callback)!r}")

    def fresh() -> keras.callbacks.Callback:
        if isinstance(callback, str | Spec):
            return CALLBACKS.build(callback)
        return callback() if isinstance(callback, type) else copy.deepcopy(callback)

    used = fresh()
    if not isinstance(used, keras.callbacks.Callback):
        findings.add(f"it is {with_article(used)}", "a keras.callbacks.Callback")
        findings.settle()
    given = [name for name in _STATE if callable(getattr(used, name, None))]
    if len(given) == 1:
        findings.add(f"it has {given[0]} alone", "get_state and set_state, or neither")
    # What it writes without being told where is not to stay here.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with findings.when("following a training"):
            _train(used)
        if len(given) == 2:
            with findings.when("asked for its state"):
                findings.extend(_state_problems(used, fresh()))
    findings.settle()


def _train(callback: keras.callbacks.Callback) -> None:
    """Two epochs of two steps, with validation, by Keras itself."""
    pixels = np.linspace(0, 1, 8 * 4, dtype=np.float32).reshape(8, 4)
    labels = np.eye(2, dtype=np.float32)[np.arange(8) % 2]
    model = keras.Sequential([layers.Input((4,)), layers.Dense(2, activation="softmax")])
    jit_compile = "auto" if keras.backend.backend() == "jax" else False
    optimizer = keras.optimizers.SGD(use_ema=True)  # which some callbacks are about, and others do not notice
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"], jit_compile=jit_compile)
    model.fit(
        *(pixels, labels), batch_size=4, epochs=2, validation_data=(pixels, labels), callbacks=[callback], verbose=0
    )


def _state_problems(used: keras.callbacks.Callback, fresh: keras.callbacks.Callback) -> Iterator[tuple[str, str]]:
    state = used.get_state()
    try:
        kept = storable(state)
    except ValueError as error:
        yield f"its state {short(state)} cannot be kept in a checkpoint: it has {error}", _STORABLE
        return
    fresh.set_state(kept)
    restored = storable(fresh.get_state())
    if not _equal(kept, restored):
        yield f"its state {short(state)} is {short(restored)} after it was restored", "the same state"


def _equal(one: Any, other: Any) -> bool:
    """Of two states as a checkpoint keeps them."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return type(one) is type(other) and np.array_equal(one, other)
