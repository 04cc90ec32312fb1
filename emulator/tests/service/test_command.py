"""The command, for an emulator that is running: what is to go wrong. Starting and stopping are in `test_lifetime`."""

import contextlib
import datetime
import json
import socket
import subprocess
import sys
import time

import pytest
from azure.ai.ml import command
from azure.ai.ml.entities import AmlCompute, Environment

from kaz_azure_emulator.state import State


@pytest.fixture(scope="module")
def run(azure_emulator):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        where = ("--state-folder", str(azure_emulator.state_folder))
        line = [sys.executable, "-m", "kaz_azure_emulator", *arguments, *where]
        return subprocess.run(line, capture_output=True, text=True)

    return run


@pytest.mark.parametrize(("text", "hours"), [("7200", 2), ("2h", 2), ("30m", 0.5), ("1d", 24)])
def test_time_passes(run, azure_emulator, text, hours):
    def ahead() -> float:
        with contextlib.closing(State(azure_emulator.state_folder / "state.db")) as state:
            return (state.get("clock", "ahead") or {"seconds": 0})["seconds"]

    before = ahead()
    assert run("advance", text).returncode == 0
    assert ahead() - before == hours * 3600
    asked, told = time.time(), datetime.datetime.fromisoformat(json.loads(run("status").stdout)["time"])
    assert asked + ahead() - 1 < told.timestamp() < time.time() + ahead() + 1
    azure_emulator.advance(-hours * 3600)


def test_what_is_no_time(run):
    refused = run("advance", "soon")
    assert refused.returncode == 2
    assert "no time such as" in refused.stderr


def test_quota(run, client):
    assert run("quota", "standardDSv2Family", "8").returncode == 0
    limits = {usage.name["value"]: usage.limit for usage in client.compute.list_usage()}
    assert limits["Standard DSv2 Family Cluster Dedicated vCPUs"] == 8
    assert run("quota", "standardDSv2Family", "-1").returncode == 2


def test_sizes(run, client):
    def offered():
        return "Standard_NC24ads_A100_v4" in {size.name for size in client.compute.list_sizes()}

    assert run("size", "Standard_NC24ads_A100_v4", "--retired").returncode == 0
    assert not offered()
    assert run("size", "Standard_NC24ads_A100_v4").returncode == 0
    assert offered()


def test_capacity_and_eviction(run, client, wait_for_job):
    spot = AmlCompute(name="spot", size="Standard_DS4_v2", tier="low_priority", max_instances=1)
    client.compute.begin_create_or_update(spot).result()
    job = client.jobs.create_or_update(
        command(command="sleep 1000", environment=Environment(image="ubuntu:22.04"), compute="spot")
    )
    wait_for_job(client, job.name, "Running")
    assert run("size", "Standard_DS4_v2", "--no-capacity").returncode == 0
    assert run("evict", job.name).returncode == 0
    wait_for_job(client, job.name, "Queued")
    refused = run("evict", job.name)
    assert refused.returncode == 1
    assert "no nodes of low priority" in refused.stderr
    assert "Traceback" not in refused.stderr
    client.jobs.begin_cancel(job.name).result()


def test_storage(run, azure_emulator):
    def is_there():
        _, _, port = azure_emulator.environment["HTTPS_PROXY"].rpartition(":")
        with socket.create_connection(("127.0.0.1", int(port)), timeout=10) as proxy:
            proxy.sendall(f"CONNECT {azure_emulator.settings.blob_host}:443 HTTP/1.1\r\n\r\n".encode())
            return b" 200 " in proxy.recv(1000)

    assert is_there()
    assert run("storage", "--away").returncode == 0
    assert not is_there()
    assert run("storage", "--back").returncode == 0
    assert is_there()
    assert run("storage", "--upload-speed", "0").returncode == 2
    assert run("storage", "--upload-speed", "100000").returncode == 0
    assert run("storage").returncode == 0
