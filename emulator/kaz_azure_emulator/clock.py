"""The service's time, which can be made to pass."""

import asyncio
import datetime
import time

from kaz_azure_emulator.state import State

_LOOK_SECONDS = 0.05  # between two looks at whether time has been made to pass


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

    async def sleep(self, seconds: float) -> None:
        """Returns when so many seconds have passed, by themselves or by `advance`."""
        end = self.now() + seconds
        while (left := end - self.now()) > 0:
            await asyncio.sleep(min(left, _LOOK_SECONDS))

    def text(self, seconds: float | None = None) -> str:
        """A time as Azure writes it: `2026-03-01T12:00:00.123456Z`."""
        moment = datetime.datetime.fromtimestamp(self.now() if seconds is None else seconds, datetime.UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
