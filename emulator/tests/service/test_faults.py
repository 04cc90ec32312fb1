"""Whatever can go wrong, on demand."""

import contextlib
import threading
from collections.abc import Callable, Iterator

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


@contextlib.contextmanager
def begun(action: Callable[[], object]) -> Iterator[threading.Thread]:
    """Has an action go on in a thread during the block, and ends with it."""
    thread = threading.Thread(target=action)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_the_sdk_tries_again_when_it_is_told_to(client, azure_emulator, azure_waits):
    azure_emulator.fault("workspaces.get", status=429, retry_after=7, times=2)
    azure_waits.clear()
    assert client.workspaces.get().location == "westus2"
    assert azure_waits == [7, 7]


def test_an_error_of_ones_choice(client, azure_emulator):
    azure_emulator.fault("compute.*", status=403, code="AuthorizationFailed", message="No role here.")
    with pytest.raises(HttpResponseError, match="No role here") as refusal:
        client.compute.get("cpu")
    assert (refusal.value.status_code, refusal.value.error.code) == (403, "AuthorizationFailed")


def test_slow_answers(client, azure_emulator, wait_until):
    azure_emulator.fault("workspaces.get", delay=600)
    answers = []
    with begun(lambda: answers.append(client.workspaces.get().location)) as slow:
        try:
            wait_until(lambda: not azure_emulator.faults)  # its request has come
            assert client.datastores.get_default().name == "workspaceblobstore"  # others are not held up
            azure_emulator.advance(500)
            slow.join(0.2)
            assert answers == []  # only ten minutes bring it
        finally:
            azure_emulator.advance(100)
    assert answers == ["westus2"]
    azure_emulator.advance(-600)


def test_cut_connections(client, azure_emulator, ask):
    azure_emulator.fault("workspaces.get", cut=True)
    client.workspaces.get()  # the SDK tries once more
    azure_emulator.fault("cloud.endpoints", cut=True)
    address = "https://management.azure.com/metadata/endpoints?api-version=2019-05-01"
    with pytest.raises(OSError):
        ask(address)
    assert ask(address)[0] == 200


def test_tokens_expire_when_time_passes(client, azure_emulator):
    client.workspaces.get()
    azure_emulator.advance(2 * 3600)
    with pytest.raises(AzureError, match="expired"):
        client.workspaces.get()
    azure_emulator.advance(-2 * 3600)


def test_idle_nodes_are_given_back_when_time_passes(client, cluster, azure_emulator, wait_for_job):
    job = client.jobs.create_or_update(say("true"))
    wait_for_job(client, job.name, "Completed")

    def nodes():
        return client.compute._operation.get(
            client.resource_group_name, client.workspace_name, cluster
        ).properties.properties.node_state_counts.idle_node_count

    assert nodes() == 1
    azure_emulator.advance(200)
    assert nodes() == 0


def test_storage_away(client, azure_emulator, folder):
    azure_emulator.set_storage(reachable=False)
    from azure.storage.blob import BlobServiceClient

    settings = azure_emulator.settings
    storage = BlobServiceClient(f"https://{settings.blob_host}", credential=settings.account_key, retry_total=0)
    with pytest.raises(AzureError):
        storage.get_account_information()
    azure_emulator.set_storage(reachable=True)
    storage.get_account_information()
    client.data.create_or_update(Data(name="again", path=str(folder), type="uri_folder"))


def test_slow_storage(azure_emulator):
    from azure.storage.blob import BlobServiceClient

    settings = azure_emulator.settings

    def ask(**limits: float) -> None:
        address = f"https://{settings.blob_host}"
        with BlobServiceClient(address, credential=settings.account_key, retry_total=0, **limits) as storage:
            storage.get_account_information()

    azure_emulator.set_storage(upload_speed=1)
    with pytest.raises(AzureError):
        ask(connection_timeout=0.5)  # in which a client cannot even say hello
    azure_emulator.set_storage()
    ask()


def test_a_failing_image_build(client, cluster, azure_emulator, wait_for_job):
    azure_emulator.fault("jobs.build_image", message="Image build failed.")
    job = client.jobs.create_or_update(say("true"))
    wait_for_job(client, job.name, "Failed")


def test_missing_quota_and_capacity_keep_jobs_waiting(client, cluster, azure_emulator, wait_for_job, wait_until):
    def errors() -> list[str]:
        found = client.compute._operation.get(client.resource_group_name, client.workspace_name, cluster)
        return [each.error.code for each in found.properties.properties.errors or []]

    azure_emulator.set_quota("standardDSv2Family", 0)
    job = client.jobs.create_or_update(say("true"))
    wait_until(lambda: errors() == ["ClusterCoreQuotaReached"])
    assert client.jobs.get(job.name).status == "Queued"
    azure_emulator.set_quota("standardDSv2Family", 100)
    wait_for_job(client, job.name, "Completed")
    azure_emulator.set_size("Standard_DS3_v2", capacity=False)
    job = client.jobs.create_or_update(say("true"))
    wait_until(lambda: errors() == ["AllocationFailed"])
    assert client.jobs.get(job.name).status == "Queued"
    azure_emulator.set_size("Standard_DS3_v2")
    wait_for_job(client, job.name, "Completed")


def test_a_spot_node_is_evicted_and_the_job_starts_anew(client, azure_emulator, wait_for_job):
    client.compute.begin_create_or_update(
        AmlCompute(name="spot", size="Standard_DS3_v2", tier="low_priority", max_instances=1)
    ).result()
    job = client.jobs.create_or_update(say("echo begun; sleep 1000", compute="spot"))
    wait_for_job(client, job.name, "Running")
    azure_emulator.set_size("Standard_DS3_v2", capacity=False)
    azure_emulator.evict(job.name)
    wait_for_job(client, job.name, "Queued")
    azure_emulator.set_size("Standard_DS3_v2")
    wait_for_job(client, job.name, "Running")
    client.jobs.begin_cancel(job.name).result()
    assert client.jobs.get(job.name).status == "Canceled"
