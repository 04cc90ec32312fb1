"""Starting and stopping: what is kept, and that nothing is left."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kaz_azure_emulator import AzureEmulator

CODE = "import sys, time; from kaz_azure_emulator import AzureEmulator\n"
CODE += "azure = AzureEmulator(sys.argv[1]); azure.start(); print('up', flush=True); time.sleep(100)"


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that names the folder, or is a child of one that does."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and any(str(folder) in part for part in process.cmdline()):
                found += [process, *process.children(recursive=True)]
    return found


def wait_until_gone(folder: Path, seconds: float = 10) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def client_of(azure: AzureEmulator):
    from azure.ai.ml import MLClient
    from azure.identity import EnvironmentCredential

    return MLClient.from_config(EnvironmentCredential(), path=azure.state_folder / "config.json")


def submit(client, text: str):
    from azure.ai.ml import command
    from azure.ai.ml.entities import AmlCompute, Environment

    client.compute.begin_create_or_update(AmlCompute(name="cpu", size="Standard_DS3_v2", max_instances=1)).result()
    job = command(command=text, environment=Environment(image="ubuntu:22.04"), compute="cpu")
    return client.jobs.create_or_update(job).name


def wait(client, name: str, *statuses: str) -> None:
    deadline = time.monotonic() + 30
    while client.jobs.get(name).status not in statuses:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def environment(monkeypatch):
    """Puts an emulator's variables into the environment, for this test."""

    def use(azure: AzureEmulator) -> None:
        for name, value in azure.environment.items():
            monkeypatch.setenv(name, value)

    return use


def test_nothing_is_left(tmp_path):
    with AzureEmulator() as azure:
        folder = azure.state_folder
        assert len(processes_of(folder)) >= 3
        ports = [
            connection.laddr
            for process in set(processes_of(folder))
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert {address.ip for address in ports} == {"127.0.0.1"}
    assert not folder.exists()
    assert processes_of(folder) == []
    for address in ports:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", address.port))


def test_it_ends_with_the_process_that_started_it(tmp_path):
    folder = tmp_path / "state"
    parent = subprocess.Popen([sys.executable, "-c", CODE, str(folder)], stdout=subprocess.PIPE)
    assert parent.stdout.readline() == b"up\n"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(folder) == []


def test_a_killed_service_takes_its_children_along_and_marks_jobs_at_the_next_start(tmp_path, environment, folder):
    from azure.ai.ml.entities import Data

    azure = AzureEmulator(tmp_path / "state")
    azure.start()
    environment(azure)
    client = client_of(azure)
    client.data.create_or_update(Data(name="kept", version="1", path=str(folder), type="uri_folder"))
    done, killed = submit(client, "true"), None
    wait(client, done, "Completed")
    killed = submit(client, "echo here; sleep 12345")
    wait(client, killed, "Running")
    time.sleep(1.5)  # until the log's first line is in storage
    os.kill(azure.process_id, signal.SIGKILL)
    assert wait_until_gone(tmp_path / "state") == []
    assert not [process for process in psutil.process_iter(["cmdline"]) if "12345" in (process.info["cmdline"] or [])]
    before = azure.environment
    azure.stop()

    with AzureEmulator(tmp_path / "state") as again:
        assert again.environment == before  # the client goes on as it is
        assert client.jobs.get(done).status == "Completed"
        assert client.jobs.get(killed).status == "Failed"
        client.jobs.download(killed, download_path=tmp_path / "back", all=True)
        assert next((tmp_path / "back").rglob("std_log.txt")).read_text() == "here\n"
        assert client.data.get("kept", version="1").version == "1"
        wait(client, submit(client, "true"), "Completed")


def test_the_command(tmp_path):
    folder = tmp_path / "state"

    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "kaz_azure_emulator", *arguments, "--state-folder", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert run("status").returncode == 1
    started = run("start")
    assert started.returncode == 0, started.stderr
    variables = dict(line.removeprefix("export ").split("=", 1) for line in started.stdout.splitlines())
    assert variables["HTTPS_PROXY"].startswith("http://127.0.0.1:")
    assert run("env").stdout == started.stdout
    assert "already running" in run("start").stderr
    assert '"refused_hosts": []' in run("status").stdout
    assert run("fault", "jobs.get", "--status", "429", "--retry-after", "1").returncode == 0
    assert '"operation": "jobs.get"' in run("status").stdout
    assert run("reset").returncode == 0
    assert '"faults": []' in run("status").stdout
    assert run("stop").returncode == 0
    assert wait_until_gone(folder, seconds=1) == []
    assert (folder / "state.db").exists()
    assert run("stop", "--delete").returncode == 0
    assert not folder.exists()


def test_others_on_this_machine_cannot_read_its_secrets(azure_emulator):
    assert azure_emulator.state_folder.stat().st_mode & 0o077 == 0


def test_importing_it_is_light():
    code = "import sys, kaz_azure_emulator; print(sorted({'azure', 'starlette', 'mlflow', 'typer'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
