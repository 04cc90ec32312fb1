"""Steps in a loop within TensorFlow's graph, so that Python is asked once for many."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from keras_azure.engines.adam import fused_updates
from keras_azure.engines.steps import Batch, StepResult, build_for_steps


class TensorFlowSteps:
    """As `Steps` says."""

    def __init__(self, model: keras.Model, kind: Literal["train", "test"]):
        build_for_steps(model)
        self.traces = 0
        self.model = model
        self._one = tf.function(
            self._train_step if kind == "train" else self._test_step,
            reduce_retracing=True,
            jit_compile=model.jit_compile or None,
            autograph=False,
        )
        self._on_stream = tf.function(self._loop_on_stream, reduce_retracing=True, autograph=False)
        self._on_batch = tf.function(self._loop_on_batch, reduce_retracing=True, autograph=False)

    def run(self, batches: Iterator[Batch], most: int, longest: float = float("inf")) -> StepResult:
        if not isinstance(batches, tf.data.Iterator):
            return self._one_by_one(batches, most, longest)
        try:
            return self._done(*self._on_stream(batches, _count(most), _seconds(longest)))
        except tf.errors.OutOfRangeError:
            raise StopIteration from None

    def _one_by_one(self, batches: Iterator[Batch], most: int, longest: float) -> StepResult:
        parts: list[StepResult] = []
        seconds: list[float] = []
        begun, waited = time.perf_counter(), 0.0
        while len(parts) < most and (not parts or time.perf_counter() - begun < longest):
            asked = time.perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                if not parts:
                    raise
                break
            waited += time.perf_counter() - asked
            parts.append(self.repeat(batch, 1))
            seconds.append(time.perf_counter() - asked)  # with the wait, as within the graph
        return StepResult(
            seconds=np.array(seconds),
            waited=waited,
            logs=parts[-1].logs,
            loss_parts=[array for part in parts for array in part.loss_parts],
        )

    def repeat(self, batch: Batch, most: int) -> StepResult:
        return self._done(*self._on_batch(batch, _count(most), _seconds(float("inf"))))

    def synchronize(self) -> None:
        """The steps work on the variables themselves."""

    def _train_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        self.traces += 1
        with fused_updates(self.model.optimizer):
            return self.model.train_step(batch)

    def _test_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        self.traces += 1
        return self.model.test_step(batch)

    def _loop_on_stream(self, batches: tf.data.Iterator, most: tf.Tensor, longest: tf.Tensor) -> tuple[Any, ...]:
        return self._loop(batches.get_next, batches.element_spec, most, longest)

    def _loop_on_batch(self, batch: Batch, most: tf.Tensor, longest: tf.Tensor) -> tuple[Any, ...]:
        return self._loop(lambda: batch, batch, most, longest)

    def _loop(
        self, next_batch: Callable[[], Batch], specification: Any, most: tf.Tensor, longest: tf.Tensor
    ) -> tuple[Any, ...]:
        """Gives how many steps are done, when the first one began and when each was over, the seconds of waiting, the
        losses and the last logs."""
        # What a step gives has to be known before the loop begins.
        given = self._one.get_concrete_function(specification).structured_outputs
        logs = tf.nest.map_structure(lambda each: tf.zeros(each.shape, each.dtype), given)
        with tf.device("cpu:0"):  # counters and clocks, where looking at them makes nobody wait
            losses = tf.TensorArray(tf.float32, size=tf.cast(most, tf.int32), element_shape=())
            ends = tf.TensorArray(tf.float64, size=tf.cast(most, tf.int32), element_shape=())
            begun = tf.timestamp()
            with tf.control_dependencies([begun]):
                batch = next_batch()
            with tf.control_dependencies(tf.nest.flatten(batch)):
                waited = tf.timestamp() - begun

        def is_next(done: tf.Tensor, is_more: tf.Tensor, *rest: tf.Tensor) -> tf.Tensor:
            return is_more

        def step(
            done: tf.Tensor,
            is_more: tf.Tensor,
            batch: Batch,
            waited: tf.Tensor,
            ends: tf.TensorArray,
            losses: tf.TensorArray,
            logs: dict[str, tf.Tensor],
        ) -> tuple[Any, ...]:
            with tf.device("cpu:0"):
                # Decided here, so that no batch is asked for in vain; it is fetched while the step is computed.
                is_more = (done + 1 < most) & (tf.timestamp() - begun < longest)
                upcoming = tf.cond(is_more, next_batch, lambda: batch)
            logs = self._one(batch)
            loss = tf.cast(logs["loss"], tf.float32) if "loss" in logs else tf.zeros(())
            losses = losses.write(tf.cast(done, tf.int32), tf.reshape(loss, ()))
            # The next step, and its clock, begin when this one is over.
            with tf.device("cpu:0"), tf.control_dependencies(tf.nest.flatten(logs)):
                over = tf.timestamp()
                with tf.control_dependencies([over, *tf.nest.flatten(upcoming)]):
                    waited = waited + tf.timestamp() - over
                    ends = ends.write(tf.cast(done, tf.int32), over)
                    return done + 1, is_more, upcoming, waited, ends, losses, logs

        first = (tf.constant(0, tf.int64), tf.constant(True), batch, waited, ends, losses, logs)
        done, _, _, waited, ends, losses, logs = tf.while_loop(is_next, step, first, parallel_iterations=1)
        return done, begun, ends.stack(), waited, losses.stack(), logs

    def _done(
        self,
        done: tf.Tensor,
        begun: tf.Tensor,
        ends: tf.Tensor,
        waited: tf.Tensor,
        losses: tf.Tensor,
        logs: dict[str, tf.Tensor],
    ) -> StepResult:
        called = time.time()
        steps = int(done)
        times = np.append(begun.numpy(), ends.numpy()[:steps])
        times = np.maximum.accumulate(times)  # TensorFlow has no clock that is never set back
        if not logs or next(iter(logs.values())).device.endswith("CPU:0"):
            return StepResult(np.diff(times), max(0.0, float(waited)), logs, [losses[:steps]])
        # The host has only told the device what to do, and what the device then still took is what the host was ahead.
        np.asarray(next(iter(logs.values())))
        ahead = time.time() - called
        seconds = np.full(steps, (times[-1] + ahead - times[0]) / steps)
        return StepResult(seconds, max(0.0, float(waited) - ahead), logs, [losses[:steps]])


def _count(number: int) -> tf.Tensor:
    with tf.device("cpu:0"):
        return tf.constant(number, tf.int64)


def _seconds(number: float) -> tf.Tensor:
    with tf.device("cpu:0"):
        return tf.constant(number, tf.float64)
