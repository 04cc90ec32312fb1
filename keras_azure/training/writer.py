"""Checkpoints written beside training, which waits neither for the disk nor, on a CPU, for a copy of the numbers."""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import keras

from keras_azure.description.events import Listener, Listeners
from keras_azure.description.intervals import Interval
from keras_azure.engines import StepResult
from keras_azure.engines.variables import hold_values
from keras_azure.training.checkpoints import Checkpoints, State, Values
from keras_azure.training.state import TrainingState

_Order = tuple[Future[None], State, dict[str, list[Any]], Callable[[], None]]


class CheckpointWriter:
    """Writes one checkpoint at a time, in a thread of its own; leaving its `with` block waits for it."""

    def __init__(self, checkpoints: Checkpoints):
        self._checkpoints = checkpoints
        self._values: Values | None = None
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._written: Future[None] | None = None

    def save(
        self, state: State, variables: dict[str, list[keras.Variable]], then: Callable[[], None] = lambda: None
    ) -> None:
        """Returns while what the variables hold now is being written; `then` is called when it is there.

        Where the disk takes longer than the steps between two checkpoints, it waits for the one before.

        Raises:
            RunFailed: the one before could not be written.
        """
        self.wait()
        state, arrays = state.without_arrays()
        held = {name: hold_values(group) for name, group in variables.items()} | arrays
        self._written = Future()  # from here on somebody will complete it
        self._orders.put((self._written, state, held, then))

    def wait(self) -> None:
        """Returns when all is written.

        Raises:
            RunFailed: it could not be.
        """
        if self._written is not None:
            written, self._written = self._written, None
            written.result()

    def __enter__(self) -> "CheckpointWriter":
        # A daemon, which a second Ctrl-C need not wait for: what is half written has no final name.
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._orders.put(None)
        if isinstance(error, KeyboardInterrupt):
            return
        self._thread.join()
        self._checkpoints.tidy()
        if error is None:
            self.wait()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            written, state, held, then = order
            try:
                self._values = Values.of(held, self._values)
                del order, held  # which the variables' next values need not be kept apart from
                self._checkpoints.save(state, self._values)
                then()
            except Exception as error:  # which the training thread raises
                written.set_exception(error)
            else:
                written.set_result(None)


class Checkpointing(Listener):
    """Has a checkpoint made after each epoch, when it is due within one, and when the run is asked to stop.

    Args:
        training: where training is.
        state: where the run begins, with what does not change in it.
        every: how often a checkpoint is due within an epoch.

    Attributes:
        others: the other listeners: a checkpoint keeps their state, and they are told when it is written.
    """

    def __init__(self, writer: CheckpointWriter, training: TrainingState, state: State, every: Interval):
        self.others = Listeners(())
        self._writer = writer
        self._training = training
        self._state = state
        self._every = every
        self._saved = (state.epochs, state.step)
        self._saved_at = 0.0

    def epoch_started(self, epoch: int) -> None:
        self._saved, self._saved_at = (epoch, self._training.step), time.perf_counter()

    def steps_until_due(self) -> int:
        return self._every.steps_left(self._steps_behind())

    def steps_done(self, step: int, result: StepResult, compiled: bool) -> None:
        # At the end of an epoch comes one anyway, behind the validation.
        ends = self._training.train_logs is not None or self.others.stop_training
        if not ends and self._every.is_over(self._steps_behind(), time.perf_counter() - self._saved_at):
            self._save()

    def epoch_done(self, epoch: int, row: Mapping[str, float]) -> None:
        self._save()

    def stop_requested(self) -> None:
        if self._saved != (self._training.epochs, self._training.step):
            self._save()

    def _steps_behind(self) -> int:
        """The steps since the last checkpoint."""
        return self._training.step - self._saved[1]

    def _save(self) -> None:
        training = self._training
        state = dataclasses.replace(
            self._state,
            **training.get_state(),
            **self.others.get_state(),
            ended=training.ended or self.others.stop_training,
        )
        training.steps.synchronize()
        variables = {
            "model": training.model.variables,
            "optimizer": training.trained.optimizer.variables,
            "metrics": training.trained.metrics_variables,
        }
        self._writer.save(state, variables, lambda: self.others.checkpoint_written(state.epochs, state.step))
        self._saved, self._saved_at = (state.epochs, state.step), time.perf_counter()
