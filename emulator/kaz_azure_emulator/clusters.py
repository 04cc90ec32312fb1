"""The nodes of clusters: who has them, how many there are, and what stands against more of them.

How many nodes a cluster has follows from when it was last used: nothing has to happen while time passes.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kaz_azure_emulator.clock import Clock
from kaz_azure_emulator.durations import seconds_of
from kaz_azure_emulator.sizes import SIZES, Size, size_of
from kaz_azure_emulator.state import State

LOW_PRIORITY = "Total Cluster Low Priority Regional vCPUs"
DEFAULT_CORES = 1_000  # of each family, and of low priority: whoever wants a quota to be met sets one
_LOW_PRIORITY_TIERS = ("LowPriority", "Spot")
SERVERLESS_SIZE = "Standard_DS3_v2"


@dataclass(frozen=True)
class Lease:
    """The nodes that a job has."""

    cluster: str | None  # None for serverless
    nodes: int
    size: Size
    low_priority: bool

    @property
    def cores(self) -> int:
        return self.nodes * self.size.cpus


class Clusters:
    """AmlCompute clusters and serverless nodes. Any thread may call."""

    def __init__(self, state: State, clock: Clock):
        self._state = state
        self._clock = clock
        self._lock = threading.RLock()
        self._leases: dict[str, Lease] = {}  # by job

    def acquire(self, job: str, cluster: str | None, nodes: int, size_name: str | None, tier: str | None) -> bool:
        """Gives a job its nodes, if there can be so many now. A cluster that cannot says why in its `errors`."""
        with self._lock:
            if cluster is None:
                size = size_of(size_name or SERVERLESS_SIZE) or size_of(SERVERLESS_SIZE)
                lease = Lease(None, nodes, size, tier in _LOW_PRIORITY_TIERS)
            else:
                there = self._state.get("computes", cluster)
                if not there or self._clock.now() < there["ready_at"]:
                    return False
                properties = there["properties"]
                size = size_of(properties["vmSize"]) or size_of(SERVERLESS_SIZE)
                lease = Lease(cluster, nodes, size, properties.get("vmPriority") in _LOW_PRIORITY_TIERS)
                if self.busy(cluster) + nodes > properties["scaleSettings"]["maxNodeCount"]:
                    return False
            error = self.problem(lease)
            if cluster is not None:
                self._note(cluster, error, self.busy(cluster) + (0 if error else nodes))
            if error is None:
                self._leases[job] = lease
            return error is None

    def release(self, job: str) -> None:
        """Takes a job's nodes back; they stay for as long as the cluster keeps idle nodes."""
        with self._lock:
            lease = self._leases.pop(job, None)
            if lease and lease.cluster and self._state.get("computes", lease.cluster):
                self._note(lease.cluster, None, self.busy(lease.cluster) + lease.nodes)

    def is_low_priority(self, job: str) -> bool:
        with self._lock:
            return job in self._leases and self._leases[job].low_priority

    def busy(self, cluster: str) -> int:
        """How many nodes of a cluster have a job."""
        with self._lock:
            return sum(lease.nodes for lease in self._leases.values() if lease.cluster == cluster)

    def counts(self, cluster: str, document: dict[str, Any]) -> dict[str, int]:
        """The cluster's nodes by state, as Azure counts them."""
        scale = document["properties"]["scaleSettings"]
        idle_seconds = seconds_of(scale.get("nodeIdleTimeBeforeScaleDown") or "PT120S")
        busy = self.busy(cluster)
        kept = document.get("nodes", 0) if self._clock.now() < document.get("last_used", 0) + idle_seconds else 0
        nodes = max(scale.get("minNodeCount", 0), busy, min(kept, scale["maxNodeCount"]))
        return {
            "idleNodeCount": nodes - busy,
            "runningNodeCount": busy,
            "preparingNodeCount": 0,
            "unusableNodeCount": 0,
            "leavingNodeCount": 0,
            "preemptedNodeCount": 0,
        }

    def quota(self, name: str) -> int:
        """How many cores there may be of a family (`standardDSv2Family`), or in all of low priority."""
        kept = self._state.get("quotas", name)
        return DEFAULT_CORES if kept is None else kept["cores"]

    def usages(self) -> Iterable[tuple[str, str, int, int]]:
        """Of each quota: its name, its title, and the cores in use and allowed."""
        with self._lock:
            for family in dict.fromkeys(size.family for size in SIZES):
                size = next(size for size in SIZES if size.family == family)
                title = f"{size.family_title} Cluster Dedicated vCPUs"
                yield family, title, self._cores(family), self.quota(family)
            yield "lowPriorityCores", LOW_PRIORITY, self._cores(None), self.quota("lowPriorityCores")

    def problem(self, lease: Lease) -> dict[str, str] | None:
        """What stands against more nodes: missing quota or missing capacity."""
        name = "lowPriorityCores" if lease.low_priority else lease.size.family
        allowed, used = self.quota(name), self._cores(None if lease.low_priority else name)
        if used + lease.cores > allowed:
            return {
                "code": "ClusterCoreQuotaReached",
                "message": "Operation results in exceeding quota limits of Core. "
                f"Maximum allowed: {allowed}, Current in use: {used}, Additional requested: {lease.cores}. "
                "Please read more about quota increase at http://aka.ms/corequotaincrease.",
            }
        if not (self._state.get("sizes", lease.size.name.lower()) or {}).get("capacity", True):
            return {
                "code": "AllocationFailed",
                "message": f"Allocation failed. We do not have sufficient capacity for the requested VM size "
                f"{lease.size.name.upper()} in this region.",
            }
        return None

    def _cores(self, family: str | None) -> int:
        """In use: of a family by dedicated nodes, or by all nodes of low priority."""
        if family is None:
            return sum(lease.cores for lease in self._leases.values() if lease.low_priority)
        mine = (lease for lease in self._leases.values() if not lease.low_priority and lease.size.family == family)
        return sum(lease.cores for lease in mine)

    def _note(self, cluster: str, error: dict[str, str] | None, nodes: int) -> None:
        def change(document: dict[str, Any]) -> None:
            document["errors"] = [{"error": error}] if error else []
            document["nodes"], document["last_used"] = nodes, self._clock.now()

        self._state.update("computes", cluster, change)
