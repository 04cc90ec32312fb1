"""Steps that XLA compiles; JAX computes some while Python hands over the next ones.

A GPU is done with a small step sooner than Python has handed over the next: there several are one call, a loop over a
stack of batches. Its length is fixed, since XLA makes one CUDA graph of a loop whose length it knows, and asks the GPU
after each step of another one (on an H200, `cnn` in batches of 128: 0.22 ms a step, not 1.46; one by one 0.58).
"""

import time
from collections.abc import Iterator
from typing import Any, Literal

import jax
import keras
import numpy as np

from keras_azure.engines.steps import Batch, StepResult, build_for_steps

_STACK_STEPS = 32
_STACK_BYTES = 1 << 26  # steps on larger batches take longer than it takes to hand them over

State = tuple[list[Any], ...]
Logs = dict[str, Any]
Made = tuple[Any, Logs]  # the losses of steps, and the logs of the last one


class JaxSteps:
    """As `Steps` says."""

    def __init__(self, model: keras.Model, kind: Literal["train", "test"]):
        build_for_steps(model)
        self.traces = 0
        self.model = model
        self._kind = kind
        self._traced = jax.jit(self._train_step if kind == "train" else self._test_step)  # once for all that follow
        self._step = jax.jit(self._one_step, donate_argnums=0)
        self._on_stack = jax.jit(self._loop_on_stack, donate_argnums=0)
        self._on_batch = jax.jit(self._loop_on_batch, donate_argnums=0, static_argnums=2)
        self._state: State | None = None  # while it is not in the variables
        device = next(iter(model.optimizer.iterations.value.devices()))
        # On a CPU a step takes longer than all that is around it.
        self._stack_steps = 1 if device.platform == "cpu" else _STACK_STEPS

    def run(self, batches: Iterator[Batch], most: int, longest: float = float("inf")) -> StepResult:
        calls, begun, waited, steps = [], time.perf_counter(), 0.0, 0
        while steps < most and (not steps or time.perf_counter() - begun < longest):
            asked = time.perf_counter()
            stack = self._next_batches(batches, most - steps, asked + longest)
            waited += time.perf_counter() - asked
            if not stack:
                break
            if 1 < len(stack) == self._at_once(stack[0]) and _shapes(stack[0]) == _shapes(stack[-1]):
                calls.append(self._make(self._on_stack, _stacked(stack)))
            else:
                calls += [self._make(self._step, batch) for batch in stack]
            steps += len(stack)
        if not steps:
            raise StopIteration
        return _done(begun, waited, steps, calls)

    def repeat(self, batch: Batch, most: int) -> StepResult:
        calls, begun, at_once, rest = [], time.perf_counter(), self._at_once(batch), most
        if at_once > 1:
            calls = [self._make(self._on_batch, batch, at_once) for _ in range(most // at_once)]
            rest = most % at_once
        calls += [self._make(self._step, batch) for _ in range(rest)]
        return _done(begun, 0.0, most, calls)

    def synchronize(self) -> None:
        if self._state is not None:
            for variables, values in zip(self._variables(), self._state, strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            self._state = None

    def _at_once(self, batch: Batch) -> int:
        """How many steps on batches of this size are one call."""
        fitting = _STACK_BYTES // sum(part.nbytes for part in keras.tree.flatten(batch))
        return max(1, min(self._stack_steps, fitting))

    def _next_batches(self, batches: Iterator[Batch], most: int, until: float) -> list[Batch]:
        """As many as are one call; fewer where one is shorter, which is their last, and none at the stream's end."""
        found: list[Batch] = []
        for batch in batches:
            found.append(keras.tree.map_structure(_as_array, batch))
            is_full = len(found) == min(most, self._at_once(found[0]))
            if is_full or _shapes(found[-1]) != _shapes(found[0]) or time.perf_counter() >= until:
                break
        return found

    def _make(self, steps: Any, *arguments: Any) -> Made:
        """Makes a step or several; gives the losses, and the logs of the last."""
        state = self._state
        if state is None:
            state = tuple([variable.value for variable in group] for group in self._variables())
        made, self._state = steps(state, *arguments)
        return made

    def _one_step(self, state: State, batch: Batch) -> tuple[Made, State]:
        logs, state = self._traced(state, batch)
        return (logs.get("loss", 0.0), logs), state

    def _loop_on_stack(self, state: State, stack: Batch) -> tuple[Made, State]:
        self.traces += 1
        return _loop(self._one_step, state, stack)

    def _loop_on_batch(self, state: State, batch: Batch, steps: int) -> tuple[Made, State]:
        self.traces += 1
        return _loop(lambda state, _: self._one_step(state, batch), state, None, steps)

    def _variables(self) -> tuple[list[keras.Variable], ...]:
        """In the order in which Keras's steps take their state."""
        model = self.model
        optimizer = [model.optimizer.variables] if self._kind == "train" else []
        return (model.trainable_variables, model.non_trainable_variables, *optimizer, model.metrics_variables)

    def _train_step(self, state: State, batch: Batch) -> tuple[Logs, State]:
        self.traces += 1
        return self.model.train_step(state, batch)

    def _test_step(self, state: State, batch: Batch) -> tuple[Logs, State]:
        self.traces += 1
        return self.model.test_step(state, batch)


def _loop(step: Any, state: State, stack: Batch | None, length: int | None = None) -> tuple[Made, State]:
    def body(state: State, batch: Batch | None) -> tuple[State, Made]:
        made, state = step(state, batch)
        return state, made

    state, (losses, logs) = jax.lax.scan(body, state, stack, length)
    return (losses, keras.tree.map_structure(lambda each: each[-1], logs)), state


def _done(begun: float, waited: float, steps: int, calls: list[Made]) -> StepResult:
    called = time.perf_counter()
    jax.block_until_ready(calls[-1])
    ended = time.perf_counter()
    seconds = np.full(steps, (ended - begun) / steps)
    # What the device still took when all was handed over is what Python was ahead, and could wait without loss.
    return StepResult(seconds, max(0.0, waited - (ended - called)), calls[-1][1], [losses for losses, _ in calls])


def _stacked(batches: list[Batch]) -> Batch:
    return keras.tree.map_structure(lambda *parts: np.stack(parts), *batches)


def _shapes(batch: Batch) -> list[tuple[int, ...]]:
    return [part.shape for part in keras.tree.flatten(batch)]


def _as_array(tensor: Any) -> Any:
    return tensor if isinstance(tensor, jax.Array) else np.asarray(tensor)
