"""Ctrl-C during training: the first stops after the current step, the second at once."""

import contextlib
import signal
from collections.abc import Callable
from types import FrameType, TracebackType

from keras_azure.errors import RunInterrupted


class StopRequests:
    """While entered, remembers an interrupt instead of letting it tear a step apart."""

    def __init__(self, notify: Callable[[str], None]):
        self.requested = False
        self._notify = notify
        self._previous = None

    def check(self) -> None:
        """Called between steps.

        Raises:
            RunInterrupted: a stop was asked for.
        """
        if self.requested:
            raise RunInterrupted("The run was stopped.")

    def __enter__(self) -> "StopRequests":
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell, as nohup and & want it
            return self
        with contextlib.suppress(ValueError):  # not the main thread, which alone hears signals
            self._previous = signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._notify("Stopping after this step; press Ctrl-C again to stop at once.")
