"""Ctrl-C, and SIGTERM, which an evicted node gets: training stops after the step that it is in."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType

from keras_azure.errors import RunInterrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequests:
    """While entered, both signals are interrupts; within `deferred()` the first is only remembered, for `check`."""

    def __init__(self, notify: Callable[[str], None]):
        self.requested = False
        self._notify = notify
        self._deferred = False
        self._previous: dict[int, Callable[..., object] | int | None] = {}

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Its body calls `check` where it can be left."""
        self.check()
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        self.check()

    def request(self) -> bool:
        """Asks for a stop, as a first Ctrl-C does; gives whether that was done before."""
        before, self.requested = self.requested, True
        if not before:
            self._notify("Stopping after this step.")
        return before

    def check(self) -> None:
        """
        Raises:
            RunInterrupted: a stop was asked for.
        """
        if self.requested:
            raise RunInterrupted("The run was stopped.")

    def __enter__(self) -> "StopRequests":
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_IGN:  # in the background of a shell, as nohup and & want it
                continue
            with contextlib.suppress(ValueError):  # not the main thread, which alone hears signals
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        again = self.requested
        if again and number == signal.SIGTERM:  # which a node's processes send to each other more than once
            return
        self.requested = True  # also where it is raised: Python drops what is raised while an object is being deleted
        if again or not self._deferred:
            raise KeyboardInterrupt
        how_to_hurry = "; press Ctrl-C again to stop at once" if number == signal.SIGINT else ""
        self._notify(f"Stopping after this step{how_to_hurry}.")
