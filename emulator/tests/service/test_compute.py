"""Clusters, sizes, and quota."""

import pytest
from azure.ai.ml.entities import AmlCompute
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError


def test_a_cluster_from_its_creation_to_its_end(client, azure_waits):
    with pytest.raises(ResourceNotFoundError) as missing:
        client.compute.get("gpu")
    assert missing.value.error.code == "ResourceNotFound"

    azure_waits.clear()
    wanted = AmlCompute(
        name="gpu",
        size="Standard_NC24ads_A100_v4",
        tier="low_priority",
        min_instances=1,
        max_instances=4,
        idle_time_before_scale_down=300,
    )
    created = client.compute.begin_create_or_update(wanted).result()
    assert created.provisioning_state == "Succeeded"
    assert set(azure_waits) == {1.0}  # the seconds that the service says

    found = client.compute.get("gpu")
    assert found.size == "STANDARD_NC24ADS_A100_V4"  # as the service writes it
    assert (found.tier, found.min_instances, found.max_instances) == ("low_priority", 1, 4)
    assert found.idle_time_before_scale_down == 300
    assert [compute.name for compute in client.compute.list()] == ["gpu"]

    wanted.max_instances = 2
    client.compute.begin_create_or_update(wanted).result()
    assert client.compute.get("gpu").max_instances == 2

    client.compute.begin_delete("gpu").result()
    with pytest.raises(ResourceNotFoundError):
        client.compute.get("gpu")


def test_sizes_and_usage(client):
    sizes = {size.name: size for size in client.compute.list_sizes()}
    assert sizes["Standard_NC24ads_A100_v4"].gpus == 1
    assert "Standard_NC6" not in sizes  # retired
    usages = {usage.name["value"]: usage for usage in client.compute.list_usage()}
    assert "Standard NCADSA100v4 Family Cluster Dedicated vCPUs" in usages
    assert "Total Cluster Low Priority Regional vCPUs" in usages


@pytest.mark.parametrize(
    "changed",
    [{"name": "x"}, {"name": "1gpu"}, {"size": "Standard_NC6"}, {"min_instances": 3, "max_instances": 2}],
)
def test_what_azure_refuses(client, changed):
    with pytest.raises(HttpResponseError) as refusal:
        client.compute.begin_create_or_update(
            AmlCompute(**{"name": "gpu", "size": "Standard_DS3_v2", "max_instances": 1, **changed})
        ).result()
    assert refusal.value.status_code == 400


def test_a_size_that_is_not_offered(client, azure_emulator):
    azure_emulator.set_size("Standard_NC40ads_H100_v5", offered=False)
    assert "Standard_NC40ads_H100_v5" not in {size.name for size in client.compute.list_sizes()}
    with pytest.raises(HttpResponseError, match="not supported"):
        client.compute.begin_create_or_update(AmlCompute(name="h100", size="Standard_NC40ads_H100_v5")).result()


def test_nodes_that_quota_forbids(client, azure_emulator):
    azure_emulator.set_quota("standardNCadsH100v5Family", 0)
    wanted = AmlCompute(name="none", size="Standard_NC80adis_H100_v5", min_instances=1, max_instances=1)
    with pytest.raises(HttpResponseError, match="exceeding quota limits"):
        client.compute.begin_create_or_update(wanted).result()
    assert client.compute.get("none").provisioning_state == "Failed"
