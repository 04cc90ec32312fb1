"""A service that is killed with work under way: what goes with it, and what there is again at the next start."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from azure.ai.ml import MLClient, command
from azure.ai.ml.entities import (
    AmlCompute,
    CodeConfiguration,
    Data,
    Environment,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
)
from azure.identity import EnvironmentCredential
from azure.storage.blob import BlobClient

from kaz_azure_emulator import AzureEmulator

PLAIN = Environment(image="ubuntu:22.04")
SECONDS = str(10**6 + os.getpid())  # for which no other process sleeps


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def client(killed: AzureEmulator) -> MLClient:
    """One for before and after: it goes on as it is."""
    return MLClient.from_config(EnvironmentCredential(), path=killed.state_folder / "config.json")


@pytest.fixture(scope="module")
def killed(folder, servers_of, wait_until, wait_for_job):
    """An emulator whose service was killed: it had a job `done`, a job `killed` that ran, data, and a deployment."""
    with AzureEmulator(folder / "state") as azure, pytest.MonkeyPatch.context() as patch:
        for name, value in azure.environment.items():
            patch.setenv(name, value)
        client = MLClient.from_config(EnvironmentCredential(), path=azure.state_folder / "config.json")
        client.compute.begin_create_or_update(AmlCompute(name="cpu", size="Standard_DS3_v2", max_instances=2)).result()
        submit(client, "true", name="done")
        submit(client, f"echo here; sleep {SECONDS}", name="killed")
        (folder / "code").mkdir()
        (folder / "code" / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
        client.data.create_or_update(Data(name="kept", version="1", path=str(folder / "code"), type="uri_folder"))
        deploy(client, "kept", str(folder / "code"))
        assert servers_of(azure)
        wait_for_job(client, "done", "Completed")
        wait_until(lambda: log_of(azure, "killed") == "here\n")
        os.kill(azure.process_id, signal.SIGKILL)
        yield azure


@pytest.fixture(scope="module")
def again(killed: AzureEmulator, processes_of, wait_until):
    """The next start."""
    wait_until(lambda: processes_of(killed.state_folder) == [])
    with AzureEmulator(killed.state_folder) as azure:
        yield azure


def submit(client: MLClient, text: str, **more: str) -> str:
    return client.jobs.create_or_update(command(command=text, environment=PLAIN, compute="cpu", **more)).name


def deploy(client: MLClient, name: str, code: str) -> None:
    """Makes an endpoint with a deployment that has all its traffic."""
    created = client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)).result()
    deployment = ManagedOnlineDeployment(
        name="blue",
        endpoint_name=name,
        code_configuration=CodeConfiguration(code=code, scoring_script="score.py"),
        environment=PLAIN,
        instance_type="Standard_DS3_v2",
        instance_count=1,
    )
    client.online_deployments.begin_create_or_update(deployment).result()
    created.traffic = {"blue": 100}
    client.online_endpoints.begin_create_or_update(created).result()


def log_of(azure: AzureEmulator, job: str) -> str | None:
    """What storage has of a job's log; None where it has none."""
    settings = azure.settings
    path = f"ExperimentRun/dcid.{job}/user_logs/std_log.txt"
    with BlobClient(f"https://{settings.blob_host}", "azureml", path, credential=settings.account_key) as blob:
        return blob.download_blob(encoding="utf-8").readall() if blob.exists() else None


def test_a_killed_service_takes_its_children_along(killed, processes_of, servers_of, wait_until):
    wait_until(lambda: processes_of(killed.state_folder) == [])
    assert servers_of(killed) == []
    assert not [process for process in psutil.process_iter(["cmdline"]) if SECONDS in (process.info["cmdline"] or [])]


def test_jobs_and_data_are_there_again_and_what_ran_has_failed(killed, again, client, wait_for_job, tmp_path):
    assert again.environment == killed.environment
    assert client.jobs.get("done").status == "Completed"
    assert client.jobs.get("killed").status == "Failed"
    client.jobs.download("killed", download_path=tmp_path, all=True)
    assert next(tmp_path.rglob("std_log.txt")).read_text() == "here\n"
    assert client.data.get("kept", version="1").version == "1"
    wait_for_job(client, submit(client, "true"), "Completed")


def test_deployments_answer_again_until_a_reset(again, client, post, servers_of, wait_until):
    address, key = client.online_endpoints.get("kept").scoring_uri, client.online_endpoints.get_keys("kept").primary_key
    wait_until(lambda: post(address, key)[0] == 200)
    assert client.online_deployments.get("blue", "kept").provisioning_state == "Succeeded"
    again.reset()
    assert servers_of(again) == []
    assert list(client.online_endpoints.list()) == []
