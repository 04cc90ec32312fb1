"""Everything that the service's operations work with, in one place."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from kaz_azure_emulator.clock import Clock
from kaz_azure_emulator.deployments import Deployments
from kaz_azure_emulator.faults import Faults
from kaz_azure_emulator.proxy import Proxy
from kaz_azure_emulator.scheduler import Scheduler
from kaz_azure_emulator.settings import Settings
from kaz_azure_emulator.state import State
from kaz_azure_emulator.storage import Storage
from kaz_azure_emulator.tokens import Tokens
from kaz_azure_emulator.tracking import Tracking


@dataclass
class Cloud:
    """The emulated cloud: what it remembers, and the parts of it that are at work."""

    settings: Settings
    folder: Path
    state: State
    clock: Clock
    tokens: Tokens
    storage: Storage
    tracking: Tracking
    scheduler: Scheduler
    deployments: Deployments
    proxy: Proxy
    faults: Faults
    unknown: list[str] = field(default_factory=list)  # requests that nothing here answers, by name

    def __post_init__(self):
        self._lock = threading.Lock()

    def note_unknown(self, request: str) -> None:
        with self._lock:
            if request not in self.unknown:
                self.unknown.append(request)

    @property
    def created(self) -> float:
        """When the workspace was made."""
        if not (kept := self.state.get("cloud", "created")):
            kept = {"seconds": self.clock.now()}
            self.state.put("cloud", "created", kept)
        return kept["seconds"]
