"""Faults on demand: what shall go wrong, in which operation, and how often."""

import fnmatch
import threading
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What goes wrong.

    Attributes:
        operation: the name of an operation, as `jobs.get`, or a pattern, as `jobs.*`.
        status: the answer's status; without one, the operation is done after all.
        code: Azure's name of the error; by default the one that goes with the status.
        message: Azure's words.
        retry_after: seconds, for the header of that name.
        delay: seconds for which nothing happens first.
        cut: the connection ends without an answer, before anything is done.
        times: how often; without it, until it is taken back.
    """

    operation: str
    status: int | None = None
    code: str | None = None
    message: str = "This error was asked for."
    retry_after: int | None = None
    delay: float = 0.0
    cut: bool = False
    times: int | None = 1


class Faults:
    """Those that are to come. Operations ask for theirs; any thread may call."""

    def __init__(self):
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def take(self, operation: str) -> Fault | None:
        """The oldest fault of an operation, which is then used up once."""
        with self._lock:
            for number, fault in enumerate(self._faults):
                if fnmatch.fnmatchcase(operation, fault.operation):
                    if fault.times is not None:
                        self._faults[number : number + 1] = (
                            [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                        )
                    return fault
        return None

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def to_come(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]
