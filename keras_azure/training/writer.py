"""Checkpoints written beside training: a step waits for the copy of its numbers, and not for the disk."""

import threading
from collections.abc import Callable
from types import TracebackType

import keras

from keras_azure.training.checkpoints import Checkpoints, State, Values


class CheckpointWriter:
    """Writes one checkpoint at a time, in a thread; leaving its `with` block waits for it."""

    def __init__(self, checkpoints: Checkpoints):
        self._checkpoints = checkpoints
        self._values: Values | None = None
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def save(
        self, state: State, variables: dict[str, list[keras.Variable]], then: Callable[[], None] = lambda: None
    ) -> None:
        """Copies what the variables hold, and returns while it is being written; `then` is called when it is there.

        Where the disk takes longer than the steps between two checkpoints, it waits for the one before.

        Raises:
            RunFailed: the one before could not be written.
        """
        self.wait()
        self._values = Values.of(variables, self._values)
        # A daemon, which a second Ctrl-C need not wait for: what is half written has no final name.
        self._thread = threading.Thread(target=self._write, args=(state, self._values, then), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Returns when all is written.

        Raises:
            RunFailed: it could not be.
        """
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._thread is None or isinstance(error, KeyboardInterrupt):
            return
        self._thread.join()
        if error is None:
            self.wait()

    def _write(self, state: State, values: Values, then: Callable[[], None]) -> None:
        try:
            self._checkpoints.save(state, values)
            then()
        except Exception as error:  # which the training thread raises
            self._failure = error
