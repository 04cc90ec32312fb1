"""Deployments of online endpoints: each has a thread that starts its server, and starts it again if it ends.

What they are is in the state, and so is how they stand: in the operation that last created or changed them.
"""

import functools
import logging
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaz_azure_emulator.clock import Clock
from kaz_azure_emulator.descriptions import Descriptions, Unresolved
from kaz_azure_emulator.proxy import Proxy
from kaz_azure_emulator.settings import MANAGEMENT_HOST, Settings
from kaz_azure_emulator.state import State

log = logging.getLogger(__name__)

ENDPOINTS = "onlineEndpoints"  # in the state, by name
DEPLOYMENTS = "onlineDeployments"  # by endpoint and name, with a slash between them
OPERATIONS = "onlineOperations"  # by id: when it `started`, when it is over (`ready_at`), and with what `error`

_END_TIMEOUT = 30.0
_PAUSE_SECONDS = 1.0  # before a server that has ended is started again


@dataclass
class _Revision:
    """A deployment as one operation has made it; while a deployment is changed, it has two."""

    key: str
    stopped: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    port: int | None = None  # once it answers


class Deployments:
    """The servers of deployments, and the names under which endpoints are reached. Any thread may call."""

    def __init__(
        self,
        settings: Settings,
        state: State,
        clock: Clock,
        descriptions: Descriptions,
        proxy: Proxy,
        folder: Path,
        machine: Mapping[str, str],
    ):
        self._settings = settings
        self._state = state
        self._clock = clock
        self._descriptions = descriptions
        self._proxy = proxy
        self._folder = folder
        self._machine = machine
        self._lock = threading.Lock()
        self._revisions: dict[str, _Revision] = {}  # by operation, oldest first

    def open(self, endpoint: str) -> None:
        """Has an endpoint's own host name lead to the service."""
        self._proxy.ports[self._settings.scoring_host(endpoint)] = self._proxy.ports[MANAGEMENT_HOST]

    def close(self, endpoint: str) -> None:
        """Ends an endpoint's deployments, and takes it its host name."""
        self._proxy.ports.pop(self._settings.scoring_host(endpoint), None)
        for key, _ in self._state.list(DEPLOYMENTS, f"{endpoint}/"):
            self.remove(key)

    def start(self, key: str, operation: str) -> None:
        """Starts a deployment's server. When it answers, the operation has succeeded, and its predecessor ends."""
        revision = _Revision(key)
        revision.thread = threading.Thread(
            target=self._run, args=(revision, operation), name=f"deployment {key}", daemon=True
        )
        with self._lock:
            self._revisions[operation] = revision
        revision.thread.start()

    def remove(self, key: str) -> None:
        """Ends a deployment, and forgets it and its logs."""
        self._end(key)
        if document := self._state.get(DEPLOYMENTS, key):
            shutil.rmtree(self._folder / document["operation"], ignore_errors=True)
            self._state.delete(DEPLOYMENTS, key)

    def port(self, key: str) -> int | None:
        """Where a deployment's server listens; None while there is none."""
        with self._lock:
            ports = [each.port for each in self._revisions.values() if each.key == key and each.port]
        return ports[-1] if ports else None

    def log(self, document: dict[str, Any], container: str) -> str:
        """What a container of a deployment has written: "InferenceServer" or "StorageInitializer"."""
        file = self._folder / document["operation"] / f"{container}.log"
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def clear(self) -> None:
        """Ends and forgets everything."""
        for endpoint, _ in self._state.list(ENDPOINTS):
            self.close(endpoint)

    def stop(self) -> None:
        """Ends all servers, which `recover` starts again at the next start."""
        self._end()

    def recover(self) -> None:
        """After a start: what was deployed is deployed again."""
        for endpoint, _ in self._state.list(ENDPOINTS):
            self.open(endpoint)
        found = self._state.list(DEPLOYMENTS)
        kept = {document["operation"] for _, document in found}
        if self._folder.exists():
            for folder in self._folder.iterdir():
                if folder.name not in kept:
                    shutil.rmtree(folder, ignore_errors=True)
        for key, document in found:
            if not self._state.get(OPERATIONS, document["operation"])["error"]:
                self.start(key, document["operation"])

    def _run(self, revision: _Revision, operation: str) -> None:
        from kaz_azure_emulator.execution.errors import JobCanceled, JobFailed
        from kaz_azure_emulator.execution.serving import ServingDescription, serve

        folder = self._folder / operation
        folder.mkdir(parents=True, exist_ok=True)
        given = self._state.get(DEPLOYMENTS, revision.key)["properties"]
        try:
            while not revision.stopped.is_set():
                description = ServingDescription(**self._descriptions.of_deployment(given))
                is_ready = functools.partial(self._take_over, revision, operation)
                serve(description, folder, is_ready, revision.stopped, self._machine)
                revision.port = None
                revision.stopped.wait(_PAUSE_SECONDS)
        except JobCanceled:
            pass
        except JobFailed as failure:
            self._finish(operation, f"{failure.code}: {failure.message}")
        except Unresolved as error:
            self._finish(operation, f"UserError: {error}")
        except Exception:
            log.exception("deployment %s", revision.key)
            self._finish(operation, "InternalServerError: An internal error occurred.")
        finally:
            with self._lock:
                del self._revisions[operation]
            document = self._state.get(DEPLOYMENTS, revision.key)
            if not document or document["operation"] != operation:
                shutil.rmtree(folder, ignore_errors=True)  # another one has taken over

    def _take_over(self, revision: _Revision, operation: str, port: int) -> None:
        """Has a revision answer from now on."""
        with self._lock:
            revision.port = port
            others = [each for each in self._revisions.values() if each.key == revision.key and each is not revision]
        self._finish(operation, None)
        for other in others:
            other.stopped.set()

    def _finish(self, operation: str, error: str | None) -> None:
        now = self._clock.now()

        def change(document: dict[str, Any]) -> None:
            document |= {"ready_at": document["ready_at"] or now, "error": error}

        self._state.update(OPERATIONS, operation, change)

    def _end(self, key: str | None = None) -> None:
        """Ends the servers of a deployment, or all, and waits for it."""
        with self._lock:
            revisions = [each for each in self._revisions.values() if key in (None, each.key)]
        for revision in revisions:
            revision.stopped.set()
        for revision in revisions:
            revision.thread.join(_END_TIMEOUT)
