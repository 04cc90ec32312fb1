"""The service's time, which can be made to pass."""

import datetime
import time

from kaz_azure_emulator.state import State


class Clock:
    """Now, as the service sees it: the machine's time and what has been added to it."""

    def __init__(self, state: State):
        self._state = state

    def now(self) -> float:
        """Seconds since 1970."""
        ahead = self._state.get("clock", "ahead") or {"seconds": 0}
        return time.time() + ahead["seconds"]

    def advance(self, seconds: float) -> None:
        """Makes time pass: tokens expire, clusters scale down, operations finish."""
        ahead = self._state.get("clock", "ahead") or {"seconds": 0}
        self._state.put("clock", "ahead", {"seconds": ahead["seconds"] + seconds})

    def text(self, seconds: float | None = None) -> str:
        """A time as Azure writes it: `2026-03-01T12:00:00.123456Z`."""
        moment = datetime.datetime.fromtimestamp(self.now() if seconds is None else seconds, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
