"""Jobs run against the real Azurite, with a cache of environments that the tests of a session share."""

import contextlib
import socket
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("azure.storage.blob")

from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from kaz_azure_emulator.azurite import blob_service_command
from kaz_azure_emulator.execution import JobDescription, JobOutcome, run_job

ACCOUNT = "devstoreaccount1"
# The key that every Azurite has for this account, given in its documentation.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Storage:
    """A container, and SAS addresses of what is in it."""

    account_url: str
    container: str

    @property
    def client(self) -> ContainerClient:
        return ContainerClient(self.account_url, self.container, credential=KEY)

    def url(self, prefix: str = "") -> str:
        signature = generate_container_sas(
            ACCOUNT,
            self.container,
            account_key=KEY,
            permission=ContainerSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{self.account_url}/{'/'.join(filter(None, (self.container, prefix)))}?{signature}"

    def put(self, **contents: str | bytes) -> None:
        for name, content in contents.items():
            self.client.upload_blob(name, content, overwrite=True)

    def text(self, name: str) -> str:
        return self.client.download_blob(name).readall().decode()

    def names(self, prefix: str = "") -> list[str]:
        return sorted(self.client.list_blob_names(name_starts_with=prefix))

    def wait_for(self, name: str, text: str) -> None:
        for _ in range(300):
            with contextlib.suppress(Exception):
                if text in self.text(name):
                    return
            time.sleep(0.1)
        raise AssertionError(f"{text!r} did not come to {name}; there are {self.names()}")


@dataclass
class Job:
    """A job that may still run."""

    thread: threading.Thread
    canceled: threading.Event
    statuses: list[str] = field(default_factory=list)
    outcomes: list[JobOutcome] = field(default_factory=list)

    def outcome(self) -> JobOutcome:
        self.thread.join(120)
        assert not self.thread.is_alive(), self.statuses
        return self.outcomes[0]


@pytest.fixture(scope="session")
def account_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("azurite")
    options = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--location", str(folder)]
    command = [*blob_service_command(), *options, "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    # Azurite ends when its input does: as soon as this process does.
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            assert process.poll() is None, (folder / "log.txt").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


@pytest.fixture
def storage(account_url: str, request: pytest.FixtureRequest) -> Storage:
    made = Storage(account_url, f"test-{abs(hash(request.node.nodeid))}")
    made.client.create_container()
    return made


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory, account_url: str) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(autouse=True)
def cache(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bare Python is built once for all tests; Azurite, which is kept in the user's cache, is found before."""
    if "storage" in request.fixturenames:
        monkeypatch.setenv("KAZ_AZURE_EMULATOR_CACHE", str(request.getfixturevalue("shared_cache")))


@pytest.fixture
def describe(storage: Storage) -> Callable[..., JobDescription]:
    """A description with what is given, and the rest as for a job without anything; `code` is its files."""

    def make(command: str, *, code: dict[str, str | bytes] | None = None, **given) -> JobDescription:
        storage.put(**{f"code/{name}": content for name, content in (code or {}).items()})
        values = {
            "name": "job",
            "code_url": storage.url("code") if code else None,
            "environment": {},
            "inputs": {},
            "outputs": {},
            "default_output_url": storage.url("dcid.job/outputs"),
            "logs_url": storage.url("dcid.job"),
        }
        return JobDescription(command=command, **(values | given))

    return make


@pytest.fixture
def start(describe: Callable[..., JobDescription], tmp_path: Path) -> Iterator[Callable[..., Job]]:
    jobs = []

    def begin(command: str, **given) -> Job:
        description = describe(command, **given)
        job = Job(thread=None, canceled=threading.Event())

        def work() -> None:
            job.outcomes.append(run_job(description, tmp_path / "job", job.statuses.append, job.canceled))

        job.thread = threading.Thread(target=work)
        job.thread.start()
        jobs.append(job)
        return job

    yield begin
    for job in jobs:
        job.canceled.set()
        job.thread.join(60)


@pytest.fixture
def run(start: Callable[..., Job]) -> Callable[..., JobOutcome]:
    return lambda command, **given: start(command, **given).outcome()


@pytest.fixture
def make_wheel(tmp_path: Path) -> Callable[[str, str], bytes]:
    """A wheel of one module."""

    def make(name: str, source: str) -> bytes:
        file = tmp_path / f"{name}-1.0-py3-none-any.whl"
        information = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{name}.py", source)
            archive.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            archive.writestr(
                f"{information}/WHEEL",
                "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            archive.writestr(f"{information}/entry_points.txt", f"[console_scripts]\n{name}-say = {name}:say\n")
            archive.writestr(
                f"{information}/RECORD",
                "".join(
                    f"{part},,\n"
                    for part in [
                        f"{name}.py",
                        f"{information}/METADATA",
                        f"{information}/WHEEL",
                        f"{information}/entry_points.txt",
                        f"{information}/RECORD",
                    ]
                ),
            )
        return file.read_bytes()

    return make
