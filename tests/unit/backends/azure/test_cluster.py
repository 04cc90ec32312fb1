"""The machines that a job asks for, before anything is asked of Azure."""

import re
from types import SimpleNamespace

import pytest

from keras_azure.backends.azure.cluster import Compute, check_available, ensure_cluster
from keras_azure.backends.azure.sizes import SIZES, find_size
from keras_azure.description.events import Observer
from keras_azure.errors import CloudError, NotAvailable, UsageError

T4 = find_size("nc4as-t4-v3")


@pytest.mark.parametrize("spot", [False, True])
def test_names_fit_azure_and_no_two_sizes_share_one(spot):
    names = [Compute(size, spot=spot).name for size in SIZES]
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{1,22}[a-z0-9]", name) for name in names)
    assert len(set(names)) == len(SIZES)


def test_spot_machines_have_a_cluster_of_their_own():
    assert (Compute(T4).name, Compute(T4, spot=True).name) == ("kaz-nc4as-t4-v3", "kaz-nc4as-t4-v3-spot")
    assert (Compute(T4).tier, Compute(T4, spot=True).tier) == ("dedicated", "low_priority")
    assert Compute(T4, cluster="mine", spot=True).name == "mine"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"nodes": 0}, "1 node or more"),
        ({"max_nodes": 0}, "1 node or more"),
        ({"min_nodes": -1}, "1 node or more"),
        ({"idle_minutes": -1}, "0 minutes or more"),
        ({"nodes": 4}, "4 nodes do not fit"),
        ({"min_nodes": 4}, "4 nodes do not fit"),
        ({"serverless": True, "cluster": "mine"}, "serverless"),
    ],
)
def test_options_that_make_no_sense(options, problem):
    with pytest.raises(UsageError, match=problem):
        Compute(T4, **options)


def service_with(found=None, *, sizes=(T4.name,), used=0, limit=1000, family=T4.family):
    """A service that has one cluster or none."""
    from azure.core.exceptions import ResourceNotFoundError

    def get(name):
        if found is None:
            error = ResourceNotFoundError("none")
            error.status_code = 404
            raise error
        return found

    usage = SimpleNamespace(name=family, id=None, current_value=used, limit=limit)
    compute = SimpleNamespace(
        get=get,
        list_sizes=lambda: [SimpleNamespace(name=name) for name in sizes],
        list_usage=lambda: [usage],
    )
    return SimpleNamespace(
        client=SimpleNamespace(compute=compute),
        description=SimpleNamespace(location="westus2"),
        workspace=SimpleNamespace(path="/subscriptions/x"),
    )


def cluster(**changes):
    facts = {
        "type": "amlcompute",
        "size": T4.name.upper(),
        "tier": "dedicated",
        "max_instances": 3,
        "min_instances": 0,
        "idle_time_before_scale_down": 120,
        "provisioning_state": "Succeeded",
    }
    return SimpleNamespace(**{**facts, **changes})


def test_a_cluster_that_is_as_wanted_is_used_without_a_word(make_listener):
    listener = make_listener()
    assert ensure_cluster(service_with(cluster()), Compute(T4), listener) == "kaz-nc4as-t4-v3"
    assert listener.messages == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"max_instances": 8}, "at most 8 nodes, and 3 are asked for"),
        ({"min_instances": 1}, "keeps 1 nodes, and 0 are asked for"),
        ({"idle_time_before_scale_down": 1800}, "30 idle minutes, and 2 are asked for"),
    ],
)
def test_a_cluster_that_scales_otherwise_is_used_as_it_is(changes, difference, make_listener):
    listener = make_listener()
    ensure_cluster(service_with(cluster(**changes)), Compute(T4), listener)
    assert "is used as it is" in listener.messages[0]
    assert difference in listener.messages[0]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"size": "STANDARD_NC6"}, "it has STANDARD_NC6, and Standard_NC4as_T4_v3 is asked for"),
        ({"tier": "LowPriority"}, "its machines are LowPriority, and dedicated is asked for"),
        ({"type": "computeinstance"}, "of the type computeinstance"),
    ],
)
def test_somebodys_other_cluster_is_refused_with_the_difference(changes, difference):
    with pytest.raises(UsageError, match="is not changed") as refusal:
        ensure_cluster(service_with(cluster(**changes)), Compute(T4), Observer())
    assert difference in str(refusal.value)
    assert "another cluster=" in str(refusal.value)


def test_a_cluster_that_failed_says_how_to_get_rid_of_it():
    with pytest.raises(CloudError, match="could not be made before") as refusal:
        ensure_cluster(service_with(cluster(provisioning_state="Failed")), Compute(T4), Observer())
    assert "az ml compute delete" in str(refusal.value)


def test_a_size_that_the_region_lacks_names_those_it_has():
    with pytest.raises(NotAvailable, match="is not offered in westus2") as refusal:
        check_available(service_with(sizes=["Standard_NC24ads_A100_v4", "Standard_D2"]), Compute(T4))
    assert "Standard_NC24ads_A100_v4" in str(refusal.value)
    assert "Standard_D2" not in str(refusal.value)


def test_missing_quota_is_told_in_cores():
    with pytest.raises(NotAvailable, match="is 3 cores, of which 0 are in use; 1 x Standard_NC4as_T4_v3 needs 4"):
        check_available(service_with(limit=3), Compute(T4))
    with pytest.raises(NotAvailable, match="of which 6 are in use"):
        check_available(service_with(limit=8, used=6), Compute(T4))
    check_available(service_with(limit=4), Compute(T4))


def test_cores_in_use_by_the_cluster_itself_are_no_reason_to_refuse():
    check_available(service_with(cluster(), limit=4, used=4), Compute(T4))


def test_spot_machines_have_one_quota_for_all_families():
    with pytest.raises(NotAvailable, match="quota for Spot machines"):
        check_available(service_with(family="LowPriorityCores", limit=3), Compute(T4, spot=True))
    check_available(service_with(limit=0), Compute(T4, spot=True))  # which Azure does not name
