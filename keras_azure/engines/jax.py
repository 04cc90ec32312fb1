"""Compiled steps one behind the other; JAX computes one while Python hands over the next."""

import time
from collections.abc import Iterator
from typing import Any, Literal

import jax
import keras
import numpy as np

from keras_azure.engines.steps import Batch, Done, build_for_steps


class JaxSteps:
    """As `Steps` says."""

    def __init__(self, model: keras.Model, kind: Literal["train", "test"]):
        build_for_steps(model)
        self.traces = 0
        self.model = model
        self._kind = kind
        self._step = self._train_step if kind == "train" else self._test_step
        if model.jit_compile:
            self._step = jax.jit(self._step, donate_argnums=0)
        self._state: tuple[list[Any], ...] | None = None  # while it is not in the variables

    def run(self, batches: Iterator[Batch], most: int, longest: float = float("inf")) -> Done:
        begun, waited, losses, logs = time.perf_counter(), 0.0, [], {}
        while len(losses) < most and (not losses or time.perf_counter() - begun < longest):
            asked = time.perf_counter()
            try:
                batch = keras.tree.map_structure(_as_array, next(batches))
            except StopIteration:
                if not losses:
                    raise
                break
            waited += time.perf_counter() - asked
            logs = self._make_step(batch)
            losses.append(logs.get("loss"))
        return _done(begun, waited, losses, logs)

    def repeat(self, batch: Batch, most: int) -> Done:
        begun, losses, logs = time.perf_counter(), [], {}
        for _ in range(most):
            logs = self._make_step(batch)
            losses.append(logs.get("loss"))
        return _done(begun, 0.0, losses, logs)

    def synchronize(self) -> None:
        if self._state is not None:
            for variables, values in zip(self._variables(), self._state, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            self._state = None

    def _make_step(self, batch: Batch) -> dict[str, Any]:
        state = self._state
        if state is None:
            state = tuple([variable.value for variable in group] for group in self._variables())
        logs, self._state = self._step(state, batch)
        return logs

    def _variables(self) -> tuple[list[keras.Variable], ...]:
        """In the order in which Keras's steps take their state."""
        model = self.model
        optimizer = [model.optimizer.variables] if self._kind == "train" else []
        return (model.trainable_variables, model.non_trainable_variables, *optimizer, model.metrics_variables)

    def _train_step(self, state: tuple[list[Any], ...], batch: Batch) -> tuple[dict[str, Any], tuple[list[Any], ...]]:
        self.traces += 1
        return self.model.train_step(state, batch)

    def _test_step(self, state: tuple[list[Any], ...], batch: Batch) -> tuple[dict[str, Any], tuple[list[Any], ...]]:
        self.traces += 1
        return self.model.test_step(state, batch)


def _done(begun: float, waited: float, losses: list[Any], logs: dict[str, Any]) -> Done:
    called = time.perf_counter()
    jax.block_until_ready(logs)
    ended = time.perf_counter()
    seconds = np.full(len(losses), (ended - begun) / len(losses))
    # What the device still took when all was handed over is what Python was ahead, and could wait without loss.
    return Done(seconds, max(0.0, waited - (ended - called)), logs, losses)


def _as_array(tensor: Any) -> Any:
    return tensor if isinstance(tensor, jax.Array) else np.asarray(tensor)
