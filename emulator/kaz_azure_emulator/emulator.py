"""`AzureEmulator`: starts the emulator's process, tells how it is reached, and asks it for faults."""

import contextlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from kaz_azure_emulator.connection import CONNECTION_FILE, Connection, is_running
from kaz_azure_emulator.processes import stop_child
from kaz_azure_emulator.settings import Settings

_START_TIMEOUT = 300.0  # the first start of all installs Azurite
_STOP_TIMEOUT = 20.0


class AzureEmulator:
    """An Azure ML workspace on this machine.

        with AzureEmulator() as azure:
            os.environ.update(azure.environment)
            client = MLClient.from_config(EnvironmentCredential(), path=azure.state_folder / "config.json")

    Args:
        state_folder: where everything is kept, so that a later start finds it; without one, a temporary folder, which
            is deleted at the end.
        location: the workspace's region. What a state folder already holds goes before it.
    """

    def __init__(self, state_folder: Path | str | None = None, *, location: str = "westus2"):
        self._is_temporary = state_folder is None
        self.state_folder = Path(state_folder).resolve() if state_folder else Path()
        self._location = location
        self._process: subprocess.Popen | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> "AzureEmulator":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it; returns when it answers. It ends with this process, however that ends.

        Raises:
            RuntimeError: it did not start; the message has its log's last lines.
        """
        if self._process:
            raise RuntimeError("this emulator has been started already")
        if self._is_temporary:
            self.state_folder = Path(tempfile.mkdtemp(prefix="kaz-azure-emulator-"))
        try:
            self._process = start_server(self.state_folder, self._location, with_parent=True)
            self._connection = wait_until_ready(self.state_folder, self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it, and all that it has started."""
        if self._process:
            if self._process.stdin:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
            try:
                self._process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                stop_child(self._process)
            self._process = None
        self._connection = None
        if self._is_temporary and self.state_folder != Path():
            shutil.rmtree(self.state_folder, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the SDK and MLflow reach the emulator, and nothing else."""
        return dict(self._running.environment)

    @property
    def config(self) -> dict[str, str]:
        """What Azure ML's `config.json` holds; the file of that name is in the state folder."""
        return Settings.of(self.state_folder).config

    @property
    def settings(self) -> Settings:
        """Ids, names and secrets of the workspace."""
        return Settings.of(self.state_folder)

    @property
    def process_id(self) -> int:
        return self._running.process_id

    @property
    def refused_hosts(self) -> list[str]:
        """Hosts that somebody asked for and did not get."""
        return self._control("GET", "status")["refused_hosts"]

    @property
    def unknown_requests(self) -> list[str]:
        """Requests to Azure's hosts that the emulator does not know, by name."""
        return self._control("GET", "status")["unknown_requests"]

    @property
    def faults(self) -> list[dict[str, Any]]:
        """What is still to go wrong, as it was asked for."""
        return self._control("GET", "status")["faults"]

    def fault(
        self,
        operation: str,
        *,
        status: int | None = None,
        code: str | None = None,
        message: str | None = None,
        retry_after: int | None = None,
        delay: float = 0.0,
        cut: bool = False,
        times: int | None = 1,
    ) -> None:
        """Has something go wrong.

        Args:
            operation: by name, as `jobs.get`, or by pattern, as `jobs.*`; the README lists them.
            status: what is answered in place of doing it; without one it is done, after the delay.
            code: Azure's name of the error.
            message: Azure's words.
            retry_after: seconds, for the answer's header of that name.
            delay: seconds for which nothing happens first.
            cut: end the connection without an answer.
            times: how often; None for always.
        """
        fault = {"operation": operation, "status": status, "code": code, "retry_after": retry_after}
        fault |= {"delay": delay, "cut": cut, "times": times} | ({"message": message} if message else {})
        self._control("POST", "faults", fault)

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    def advance(self, seconds: float) -> None:
        """Makes time pass for the service: tokens expire, nodes are given back."""
        self._control("POST", "clock", {"seconds": seconds})

    def set_storage(self, *, reachable: bool = True, upload_speed: float | None = None) -> None:
        """Takes blob storage away, or makes uploads slow; without arguments all is well again.

        Args:
            reachable: whether there are connections to it at all.
            upload_speed: how many bytes a second each new connection takes; None for as many as come.
        """
        self._control("PUT", "storage", {"reachable": reachable, "upload_speed": upload_speed})

    def set_quota(self, family: str, cores: int) -> None:
        """Sets how many cores there may be of a family (`standardNCADSA100v4Family`), or `lowPriorityCores`."""
        self._control("PUT", f"quotas/{family}", {"cores": cores})

    def set_size(self, name: str, *, offered: bool = True, capacity: bool = True) -> None:
        """Says whether a size of machine is offered in the region, and whether the region has any left."""
        self._control("PUT", f"sizes/{name}", {"offered": offered, "capacity": capacity})

    def set_page_size(self, entries: int) -> None:
        """Sets how many entries a page of a list has, so that a few are enough for several pages."""
        self._control("PUT", "page-size", {"entries": entries})

    def evict(self, job: str) -> None:
        """Takes a running job its nodes of low priority: it is queued again, and starts anew."""
        self._control("POST", f"evictions/{job}")

    def reset(self) -> None:
        """Makes everything as it was at the first start."""
        self._control("POST", "reset")

    @property
    def _running(self) -> Connection:
        if not self._connection:
            raise RuntimeError("the emulator is not running: use it in a with statement, or call start()")
        return self._connection

    def _control(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return control(self.state_folder, self._running, method, path, body)


def start_server(folder: Path, location: str, *, with_parent: bool) -> subprocess.Popen:
    """Starts the emulator's process on a state folder."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if is_running(folder):
        raise RuntimeError(f"an emulator is already running on {folder}")
    (folder / CONNECTION_FILE).unlink(missing_ok=True)
    Settings.of(folder, location=location)
    search = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", f"{__package__}.server", str(folder)]
    with (folder / "emulator.log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--with-parent"] if with_parent else command,
            stdin=subprocess.PIPE if with_parent else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": search},
            start_new_session=True,
        )


def wait_until_ready(folder: Path, process: subprocess.Popen) -> Connection:
    """Returns when the emulator answers.

    Raises:
        RuntimeError: it does not.
    """
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and process.poll() is None:
        if connection := Connection.read(folder):
            return connection
        time.sleep(0.02)
    last_lines = (folder / "emulator.log").read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
    raise RuntimeError("the emulator did not start:\n" + "\n".join(last_lines))


def control(
    folder: Path, connection: Connection, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Asks a running emulator for something that Azure does not have.

    Raises:
        RuntimeError: it refuses; the message says why.
    """
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"https://127.0.0.1:{connection.service_port}/{path}",
        content,
        {"Authorization": f"Bearer {Settings.of(folder).control_token}", "Content-Type": "application/json"},
        method=method,
    )
    trust = ssl.create_default_context(cafile=connection.environment["SSL_CERT_FILE"])
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"the emulator answers {error.code}: {error.read().decode()}") from error
