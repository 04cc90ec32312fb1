"""Whatever can go wrong, on demand."""

import time
import urllib.request

import pytest
from azure.ai.ml import command
from azure.ai.ml.entities import AmlCompute, Data, Environment
from azure.core.exceptions import AzureError, HttpResponseError


@pytest.fixture(autouse=True)
def _healed(azure_emulator):
    yield
    azure_emulator.clear_faults()
    azure_emulator.set_storage(reachable=True)


def say(text: str, **options):
    return command(command=text, environment=Environment(image="ubuntu:22.04"), **{"compute": "cpu", **options})


def wait(client, name, *statuses, seconds=30):
    deadline = time.monotonic() + seconds
    while (status := client.jobs.get(name).status) not in statuses:
        assert time.monotonic() < deadline, f"{name} stays {status}"
        time.sleep(0.1)


def test_the_sdk_tries_again_when_it_is_told_to(client, azure_emulator):
    azure_emulator.fault("workspaces.get", status=429, retry_after=1, times=2)
    start = time.monotonic()
    assert client.workspaces.get().location == "westus2"
    assert time.monotonic() - start >= 2


def test_an_error_of_ones_choice(client, azure_emulator):
    azure_emulator.fault("compute.*", status=403, code="AuthorizationFailed", message="No role here.")
    with pytest.raises(HttpResponseError, match="No role here") as refusal:
        client.compute.get("cpu")
    assert (refusal.value.status_code, refusal.value.error.code) == (403, "AuthorizationFailed")


def test_slow_answers(client, azure_emulator):
    azure_emulator.fault("workspaces.get", delay=1.5)
    start = time.monotonic()
    client.workspaces.get()
    assert time.monotonic() - start >= 1.5


def test_cut_connections(client, azure_emulator):
    azure_emulator.fault("workspaces.get", cut=True)
    client.workspaces.get()  # the SDK tries once more
    azure_emulator.fault("cloud.endpoints", cut=True)
    address = "https://management.azure.com/metadata/endpoints?api-version=2019-05-01"
    with pytest.raises(OSError):
        urllib.request.build_opener().open(address)
    assert urllib.request.build_opener().open(address).status == 200


def test_tokens_expire_when_time_passes(client, azure_emulator):
    client.workspaces.get()
    azure_emulator.advance(2 * 3600)
    with pytest.raises(AzureError, match="expired"):
        client.workspaces.get()
    azure_emulator.advance(-2 * 3600)


def test_idle_nodes_are_given_back_when_time_passes(client, cluster, azure_emulator):
    from azure.identity import EnvironmentCredential

    job = client.jobs.create_or_update(say("true"))
    wait(client, job.name, "Completed")

    def nodes():
        return client.compute._operation.get(
            client.resource_group_name, client.workspace_name, cluster
        ).properties.properties.node_state_counts.idle_node_count

    assert nodes() == 1
    azure_emulator.advance(200)
    assert nodes() == 0
    assert EnvironmentCredential()


def test_storage_away(client, azure_emulator, folder):
    azure_emulator.set_storage(reachable=False)
    from azure.storage.blob import BlobServiceClient

    settings = azure_emulator.settings
    storage = BlobServiceClient(
        f"https://{settings.blob_host}", credential=settings.account_key, retry_total=0, connection_timeout=5
    )
    with pytest.raises(AzureError):
        storage.get_account_information()
    azure_emulator.set_storage(reachable=True)
    storage.get_account_information()
    client.data.create_or_update(Data(name="again", path=str(folder), type="uri_folder"))


def test_slow_storage(azure_emulator, folder):
    from azure.storage.blob import BlobServiceClient

    settings = azure_emulator.settings
    azure_emulator.set_storage(upload_speed=100_000)
    storage = BlobServiceClient(
        f"https://{settings.blob_host}", credential=settings.account_key, max_single_put_size=1, max_block_size=50_000
    )
    container = storage.create_container("slow")
    times = []
    container.upload_blob("blob", b"x" * 200_000, progress_hook=lambda done, total: times.append(time.monotonic()))
    assert len(times) == 4
    assert times[-1] - times[0] > 1  # a little less than the 1.5 s of three blocks: what is on its way is buffered
    azure_emulator.set_storage()
    container.delete_container()


def test_a_failing_image_build(client, cluster, azure_emulator):
    azure_emulator.fault("jobs.build_image", message="Image build failed.")
    job = client.jobs.create_or_update(say("true"))
    wait(client, job.name, "Failed")


def test_missing_quota_and_capacity_keep_jobs_waiting(client, cluster, azure_emulator):
    azure_emulator.set_quota("standardDSv2Family", 0)
    job = client.jobs.create_or_update(say("true"))
    time.sleep(1)
    wait(client, job.name, "Queued")
    azure_emulator.set_quota("standardDSv2Family", 100)
    wait(client, job.name, "Completed")
    azure_emulator.set_size("Standard_DS3_v2", capacity=False)
    job = client.jobs.create_or_update(say("true"))
    time.sleep(1)
    wait(client, job.name, "Queued")
    azure_emulator.set_size("Standard_DS3_v2")
    wait(client, job.name, "Completed")


def test_a_spot_node_is_evicted_and_the_job_starts_anew(client, azure_emulator):
    client.compute.begin_create_or_update(
        AmlCompute(name="spot", size="Standard_DS3_v2", tier="low_priority", max_instances=1)
    ).result()
    job = client.jobs.create_or_update(say("echo begun; sleep 100", compute="spot"))
    wait(client, job.name, "Running")
    azure_emulator.set_size("Standard_DS3_v2", capacity=False)
    azure_emulator.evict(job.name)
    wait(client, job.name, "Queued")
    azure_emulator.set_size("Standard_DS3_v2")
    wait(client, job.name, "Running")
    client.jobs.begin_cancel(job.name).result()
    assert client.jobs.get(job.name).status == "Canceled"
