"""What tests of the service share."""

import contextlib
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path

import psutil
import pytest

from kaz_azure_emulator import AzureEmulator

FINAL = ("Completed", "Failed", "Canceled")
PATIENCE_SECONDS = 300.0  # so that a test that waits for what does not come ends; a busy machine may take a while


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Returns when a condition holds."""

    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{condition} does not come true"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def wait_for_job(wait_until) -> Callable[..., list[str]]:
    """Returns when a job has one of some statuses, by default when it has ended; gives all that were seen."""

    def wait(client, name: str, *statuses: str) -> list[str]:
        wanted, seen = statuses or FINAL, []

        def has_come() -> bool:
            status = client.jobs.get(name).status
            if status not in seen:
                seen.append(status)
            assert status in wanted or status not in FINAL, f"{name} has ended: {seen}"
            return status in wanted

        wait_until(has_come)
        return seen

    return wait


@pytest.fixture(scope="session")
def ask() -> Callable[..., tuple[int, str, Message]]:
    """Sends a request by hand: `status, text, headers = ask(address, body, {"Authorization": ...})`."""

    def send(
        address: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, method: str | None = None
    ) -> tuple[int, str, Message]:
        request = urllib.request.Request(address, body, headers or {}, method=method)
        try:
            # An opener of its own: that of `urlopen` knows the proxy of the emulator that was there first.
            with urllib.request.build_opener().open(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers

    return send


@pytest.fixture(scope="session")
def post(ask) -> Callable[..., tuple[int, str, Message]]:
    """Asks an endpoint: `status, text, headers = post(address, key)`."""

    def send(address: str, key: str | None, body: bytes = b'{"data": [1]}', **headers: str) -> tuple[int, str, Message]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Authorization": f"Bearer {key}"} if key else {}
        return ask(address, body, {"Content-Type": "application/json", **named})

    return send


@pytest.fixture(scope="session")
def processes_of() -> Callable[[Path], list[psutil.Process]]:
    """Every process that names a folder, or is a child of one that does."""

    def find(folder: Path) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and any(str(folder) in part for part in process.cmdline()):
                    found += [process, *process.children(recursive=True)]
        return found

    return find


@pytest.fixture(scope="session")
def servers_of(processes_of) -> Callable[[AzureEmulator], list[psutil.Process]]:
    """The servers of deployments that run below an emulator."""

    def find(azure: AzureEmulator) -> list[psutil.Process]:
        found = []
        for process in processes_of(azure.state_folder):
            with contextlib.suppress(psutil.Error):
                if "scoring_server.py" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    return find


@pytest.fixture(scope="module")
def client(azure_emulator, azure_waits):
    """The real SDK's client, signed in as its documentation says. Where it waits, the emulator's time passes."""
    from azure.ai.ml import MLClient
    from azure.identity import EnvironmentCredential

    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
    return MLClient.from_config(EnvironmentCredential(), path=azure_emulator.state_folder / "config.json")


@pytest.fixture(scope="module")
def cluster(client):
    """The name of a cluster with room for two nodes."""
    from azure.ai.ml.entities import AmlCompute

    created = client.compute.begin_create_or_update(AmlCompute(name="cpu", size="Standard_DS3_v2", max_instances=2))
    return created.result().name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a few files, one of them in a folder of its own."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "one.txt").write_text("one")
    (tmp_path / "data" / "deep" / "two.txt").write_text("two")
    return tmp_path / "data"
