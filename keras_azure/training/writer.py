"""Checkpoints written beside training, which waits neither for the disk nor, on a CPU, for a copy of the numbers."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import keras

from keras_azure.engines.variables import hold_values
from keras_azure.training.checkpoints import Checkpoints, State, Values

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
                order = held = None  # which the variables' next values need not be kept apart from
                self._checkpoints.save(state, self._values)
                then()
            except Exception as error:  # which the training thread raises
                written.set_exception(error)
            else:
                written.set_result(None)
