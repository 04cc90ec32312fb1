"""The cluster of a job: attached by its name, or created; never changed when it is somebody's already."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keras_azure.backends.azure.service import Service, azure_errors, look_up, quiet
from keras_azure.backends.azure.sizes import Size
from keras_azure.description.events import Observer
from keras_azure.errors import CloudError, NotAvailable, UsageError

_LONGEST_NAME = 24  # of an AmlCompute cluster; letters, digits and hyphens
_POLL_SECONDS = 2.0
_SPOT_QUOTA = ("lowprioritycores", "totallowprioritycores")  # one pool for all families


@dataclass(frozen=True)
class Compute:
    """The machines that a job wants.

    Args:
        nodes: of the job.
        min_nodes, max_nodes: between which the cluster scales; with 0 it costs nothing when it is idle.
        spot: low-priority nodes, cheaper, which may be evicted.
        idle_minutes: after which a node goes.
        cluster: its name; by default one that follows from the size.
        serverless: no cluster at all: Azure ML finds machines for this job.
    """

    size: Size
    nodes: int = 1
    max_nodes: int = 3
    min_nodes: int = 0
    spot: bool = False
    idle_minutes: int = 2
    cluster: str | None = None
    serverless: bool = False

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.max_nodes < 1 or self.min_nodes < 0 or self.idle_minutes < 0:
            raise UsageError("A cluster has 1 node or more, and an idle time of 0 minutes or more.")
        if max(self.min_nodes, self.nodes) > self.max_nodes:
            raise UsageError(
                f"{max(self.min_nodes, self.nodes)} nodes do not fit into a cluster of at most {self.max_nodes}.",
                hint="a larger max_nodes, such as --backend 'azure-nc6(max_nodes=8)'",
            )
        if self.serverless and self.cluster:
            raise UsageError("A serverless job has no cluster: give either serverless=True or a cluster.")

    @property
    def name(self) -> str:
        """Of the cluster."""
        if self.cluster:
            return self.cluster
        short = self.size.backend_name.removeprefix("azure-")
        name = f"kaz-{short}{'-spot' if self.spot else ''}"
        if len(name) <= _LONGEST_NAME:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:4]
        return f"{name[: _LONGEST_NAME - 5]}-{digest}"

    @property
    def tier(self) -> str:
        return "low_priority" if self.spot else "dedicated"


def check_available(service: Service, compute: Compute) -> None:
    """Makes sure that the region has the size and the subscription the quota, before anything is uploaded.

    Raises:
        NotAvailable: it has not.
    """
    check_offered(service, compute)
    check_quota(service, compute)


def check_offered(service: Service, compute: Compute) -> None:
    """
    Raises:
        NotAvailable: the region does not have the size.
    """
    size, region = compute.size, service.description.location
    offered = offered_sizes(service)
    if size.name.lower() not in offered:
        near = sorted(name for name in offered if name.startswith("standard_n"))
        raise NotAvailable(
            f"{size.name} is not offered in {region}.",
            expected=f"one of {', '.join(offered[name] for name in near)}" if near else "",
            hint="kaz sizes --available; or a workspace in another region",
        )


def offered_sizes(service: Service) -> dict[str, str]:
    """The names of the sizes that the workspace's region has, by the same in lower case."""
    with quiet(), azure_errors("The sizes of the region cannot be listed"):
        return {found.name.lower(): found.name for found in service.client.compute.list_sizes()}


def check_quota(service: Service, compute: Compute) -> tuple[int, int] | None:
    """The cores in use and allowed; None where Azure does not name them.

    Raises:
        NotAvailable: they are too few for the job.
    """
    size, region = compute.size, service.description.location
    quota = find_quota(service, compute)
    if quota is None:
        return None
    used, limit = quota
    needed = size.vcpus * max(compute.nodes, compute.min_nodes)
    if used and needed <= limit and not compute.serverless and find_cluster(service, compute.name) is not None:
        return quota  # its own nodes may be those in use, and the job may have them next
    if limit - used < needed:
        kind = "Spot machines" if compute.spot else f"the family {size.family}"
        raise NotAvailable(
            f"The quota for {kind} in {region} is {limit} cores, of which {used} are in use; "
            f"{compute.nodes} x {size.name} needs {needed}.",
            hint=f"ask for more: https://ml.azure.com/quota?wsid={service.workspace.path}; or another --backend",
        )
    return quota


def find_quota(service: Service, compute: Compute) -> tuple[int, int] | None:
    """The cores in use and allowed, of the size's family or of all Spot machines; None where Azure names neither."""
    wanted = _SPOT_QUOTA if compute.spot else (str(compute.size.family).lower(),)
    quotas = list_quotas(service)
    return next((quotas[name] for name in wanted if name in quotas), None)


def list_quotas(service: Service) -> dict[str, tuple[int, int]]:
    """The cores in use and allowed, by the names of families, in lower case and without spaces."""
    quotas: dict[str, tuple[int, int]] = {}
    with quiet(), azure_errors("The quota cannot be listed"):
        for usage in service.client.compute.list_usage():
            name = _field(usage, "name")
            text = name.get("value") if isinstance(name, dict) else getattr(name, "value", name)
            identity = str(_field(usage, "id") or "").rpartition("/")[2]
            cores = int(_field(usage, "current_value", "currentValue") or 0), int(_field(usage, "limit") or 0)
            for each in (identity.lower(), str(text).lower().replace(" ", "")):
                quotas.setdefault(each, cores)
    return quotas


def availability(service: Service, sizes: Iterable[Size]) -> dict[str, dict[str, Any]]:
    """For each size, by its name, whether the region has it (`offered`), and the cores of its family (`cores_used`,
    `cores_allowed`), None where Azure does not name them.

    Raises:
        CloudError: Azure does not say.
    """
    offered, quotas = offered_sizes(service), list_quotas(service)
    found = {}
    for size in sizes:
        used, allowed = quotas.get(str(size.family).lower(), (None, None))
        found[size.name] = {
            "offered": size.name.lower() in offered,
            "cores_used": used,
            "cores_allowed": allowed,
        }
    return found


def ensure_cluster(service: Service, compute: Compute, observer: Observer) -> str:
    """The name of the cluster, which is there when this returns.

    Raises:
        UsageError: there is one of this name with other machines.
        CloudError: it cannot be made.
    """
    found = find_cluster(service, compute.name)
    if found is None:
        return _create(service, compute, observer)
    for text in check_cluster(found, compute):
        observer.message(f"The cluster {compute.name} is used as it is: {text}")
    return compute.name


def check_cluster(found: Any, compute: Compute) -> list[str]:
    """What a cluster that is there has otherwise than asked for, where the job can do with it.

    Raises:
        UsageError: it has other machines.
        CloudError: it could not be made.
    """
    differences = list(_differences(found, compute))
    serious = [text for text, matters in differences if matters]
    if serious:
        raise UsageError(
            f"There is a cluster {compute.name} already, and it is not changed: {'; '.join(serious)}.",
            hint="another cluster='...' in --backend, or a --backend of its size",
        )
    state = str(getattr(found, "provisioning_state", "")).lower()
    if state == "failed":
        errors = getattr(found, "provisioning_errors", None)
        raise CloudError(
            f"The cluster {compute.name} could not be made before{f': {errors}' if errors else ''}.",
            hint=f"az ml compute delete --name {compute.name}; kaz doctor",
        )
    return [text for text, _ in differences]


def find_cluster(service: Service, name: str) -> Any | None:
    return look_up(f"The cluster {name} cannot be looked up", lambda: service.client.compute.get(name))


def _create(service: Service, compute: Compute, observer: Observer) -> str:
    from azure.ai.ml.entities import AmlCompute

    observer.message(
        f"Creating the cluster {compute.name}: {compute.min_nodes} to {compute.max_nodes} x {compute.size.name}"
        f"{', Spot' if compute.spot else ''}, idle nodes go after {compute.idle_minutes} minutes"
    )
    wanted = AmlCompute(
        name=compute.name,
        size=compute.size.name,
        min_instances=compute.min_nodes,
        max_instances=compute.max_nodes,
        idle_time_before_scale_down=compute.idle_minutes * 60,
        tier=compute.tier,
        tags={"keras_azure": "cluster"},
    )
    with quiet(), azure_errors(f"The cluster {compute.name} cannot be created"):
        operation = service.client.compute.begin_create_or_update(wanted)
    started = time.monotonic()
    while not operation.done():
        observer.advance(f"Creating the cluster, {time.monotonic() - started:.0f} s", 0, 1)
        operation.wait(_POLL_SECONDS)
    with quiet(), azure_errors(f"The cluster {compute.name} cannot be created"):
        made = operation.result()
    if str(getattr(made, "provisioning_state", "")).lower() == "failed":
        raise CloudError(f"The cluster {compute.name} cannot be created.", hint="kaz doctor")
    observer.advance("Creating the cluster", 1, 1)
    return compute.name


def _differences(found: Any, compute: Compute) -> Iterable[tuple[str, bool]]:
    """What an existing cluster has otherwise, and whether the job cannot do with it."""
    if str(found.type).lower() != "amlcompute":
        yield f"it is of the type {found.type}", True
        return
    if found.size.lower() != compute.size.name.lower():
        yield f"it has {found.size}, and {compute.size.name} is asked for", True
    if (found.tier or "dedicated").lower().replace("lowpriority", "low_priority") != compute.tier:
        yield f"its machines are {found.tier}, and {compute.tier} is asked for", True
    most = int(found.max_instances or 0)
    if most != compute.max_nodes:
        yield f"it has at most {most} nodes, and {compute.max_nodes} are asked for", most < compute.nodes
    if int(found.min_instances or 0) != compute.min_nodes:
        yield f"it keeps {found.min_instances} nodes, and {compute.min_nodes} are asked for", False
    idle = int(found.idle_time_before_scale_down or 0)
    if idle != compute.idle_minutes * 60:
        yield f"its nodes go after {idle / 60:g} idle minutes, and {compute.idle_minutes} are asked for", False


def _field(found: object, *names: str) -> Any:
    """An attribute under any of its names: azure-ai-ml 1.35 keeps some under those of the wire."""
    for name in names:
        value = getattr(found, name, None)
        if value is None:
            value = getattr(found, "__dict__", {}).get(name)
        if value is not None:
            return value
    return None
