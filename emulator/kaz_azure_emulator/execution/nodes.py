"""The nodes of a job: which processes run on each, what they are told, and how they end together.

Every node has a folder of its own with the code. All are at 127.0.0.1, on ports that are free, so that several jobs can
run at once; on Azure it is 6105 for all.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kaz_azure_emulator.execution.description import JobDescription
from kaz_azure_emulator.execution.processes import GuardedProcess

ADDRESS = "127.0.0.1"
GRACE_SECONDS = 10.0  # from SIGTERM to SIGKILL
_POLL_SECONDS = 0.05
# All that a job takes over from the emulator's own environment: the machine, and the way to other machines.
_PASSED_ON = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
)


@dataclass(frozen=True)
class ProcessPlan:
    """One process.

    Args:
        node: on which node, from 0 on.
        log: its log's name below `user_logs`.
        variables: what tells it its place among the others.
        serves: it runs for as long as the others do, and is ended with the last of them.
    """

    node: int
    log: str
    variables: Mapping[str, str]
    serves: bool = False


@dataclass(frozen=True)
class End:
    """How the processes of a job ended: by themselves, the first with a code other than 0, or because they had to."""

    reason: Literal["completed", "failed", "canceled", "timeout"]
    exit_code: int | None = None
    log: str = ""


def plan_processes(description: JobDescription, ports: Sequence[int]) -> list[ProcessPlan]:
    """Which processes a job has.

    Args:
        description: the job.
        ports: free ones, `num_ports` of them.
    """
    kind = (description.distribution or {}).get("distributionType")
    if kind == "TensorFlow":
        return _tensorflow(description, ports)
    per_node = description.distribution_count("processCountPerInstance") if kind else 1
    world = description.node_count * per_node
    plans = []
    for rank in range(world):
        node, local_rank = divmod(rank, per_node)
        variables = _shared(description, node, ports[0]) | {"AZUREML_PROCESS_NAME": f"rank_{rank}"}
        if kind == "PyTorch":
            variables |= {
                "MASTER_ADDR": ADDRESS,
                "MASTER_PORT": str(ports[0]),
                "WORLD_SIZE": str(world),
                "RANK": str(rank),
                "LOCAL_RANK": str(local_rank),
                "NODE_RANK": str(node),
            }
        elif kind == "Mpi":
            variables |= {
                "OMPI_COMM_WORLD_SIZE": str(world),
                "OMPI_COMM_WORLD_RANK": str(rank),
                "OMPI_COMM_WORLD_LOCAL_SIZE": str(per_node),
                "OMPI_COMM_WORLD_LOCAL_RANK": str(local_rank),
                # Open MPI's name for the rank among a node's processes; it is not the number of the node.
                "OMPI_COMM_WORLD_NODE_RANK": str(local_rank),
            }
        plans.append(ProcessPlan(node, _log_name(rank, world), variables))
    return plans


def num_ports(description: JobDescription) -> int:
    if (description.distribution or {}).get("distributionType") == "TensorFlow":
        return description.node_count + description.distribution_count("parameterServerCount")
    return 1


def find_free_ports(count: int) -> list[int]:
    """Ports that nobody listens on. Another program can be quicker, as with every port that is not held."""
    sockets = [socket.create_server((ADDRESS, 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def base_variables(programs: Path, node: Path, given: Mapping[str, str]) -> dict[str, str]:
    """What every process of a node finds in its environment.

    Args:
        programs: the virtual environment's folder of programs.
        node: the node's folder; its `home` and `tmp` are made here.
        given: what the job has set. It comes last.
    """
    for name in ("home", "tmp"):
        (node / name).mkdir(parents=True, exist_ok=True)
    # A proxy that is given replaces this machine's in both spellings: most programs read the small one first.
    passed_on = {
        name: os.environ[name] for name in _PASSED_ON if name in os.environ and not {name, name.upper()} & given.keys()
    }
    own = {
        "PATH": os.pathsep.join([str(programs), passed_on.get("PATH", os.defpath)]),
        "VIRTUAL_ENV": str(programs.parent),
        "HOME": str(node / "home"),
        "TMPDIR": str(node / "tmp"),
    }
    return passed_on | own | given


def run_processes(
    command: str,
    plans: Sequence[ProcessPlan],
    variables: Sequence[Mapping[str, str]],
    folders: Sequence[Path],
    logs: Path,
    timeout_seconds: float | None,
    canceled: threading.Event,
) -> End:
    """Runs the processes until all have ended: by themselves, or because one failed, time is up or the job is canceled.

    Args:
        command: what bash runs for each.
        plans: the processes.
        variables: each node's environment.
        folders: each node's folder with the code.
        logs: the folder for logs.
        timeout_seconds: how long they may run.
        canceled: ends them.
    """
    deadline = time.monotonic() + timeout_seconds if timeout_seconds is not None else float("inf")
    running: dict[GuardedProcess, ProcessPlan] = {}
    end = None
    try:
        for plan in plans:
            process = GuardedProcess(
                ["/bin/bash", "-c", command],
                folder=folders[plan.node],
                environment=variables[plan.node] | plan.variables,
                output=logs / plan.log,
                grace_seconds=GRACE_SECONDS,
                heeds_permissions=True,
            )
            running[process] = plan
        while running:
            for process, plan in list(running.items()):
                exit_code = process.poll()
                if exit_code is None:
                    continue
                process.close()
                del running[process]
                if exit_code and end is None:
                    end = End("failed", exit_code, plan.log)
                    _stop(running)
            if end is None and running and all(plan.serves for plan in running.values()):
                end = End("completed", 0)
                _stop(running)
            if end is None and (canceled.is_set() or time.monotonic() >= deadline):
                end = End("canceled" if canceled.is_set() else "timeout")
                _stop(running)
            time.sleep(_POLL_SECONDS)
    finally:
        for process in running:
            process.close()
    return end or End("completed", 0)


def _stop(running: Mapping[GuardedProcess, ProcessPlan]) -> None:
    for process in running:
        process.stop()


def _shared(description: JobDescription, node: int, port: int) -> dict[str, str]:
    return {
        "AZUREML_CR_NODE_RANK": str(node),
        "AZUREML_NODE_COUNT": str(description.node_count),
        "AZ_BATCH_HOST_LIST": ",".join([ADDRESS] * description.node_count),
        "AZ_BATCH_MASTER_NODE": f"{ADDRESS}:{port}",
        "AZ_BATCHAI_JOB_MASTER_NODE_IP": ADDRESS,
    }


def _tensorflow(description: JobDescription, ports: Sequence[int]) -> list[ProcessPlan]:
    addresses = [f"{ADDRESS}:{port}" for port in ports]
    # Without parameter servers the entry is there and empty, which programs on Azure have to cope with.
    cluster = {"worker": addresses[: description.node_count], "ps": addresses[description.node_count :]}
    plans = []
    for kind, members in cluster.items():
        for index in range(len(members)):
            node = index % description.node_count
            task = {"cluster": cluster, "task": {"type": kind, "index": index}, "environment": "cloud"}
            variables = _shared(description, node, ports[0]) | {
                "TF_CONFIG": json.dumps(task),
                "AZUREML_PROCESS_NAME": f"{kind}_{index}",
            }
            log = _log_name(index, len(addresses), "_ps" if kind == "ps" else "")
            plans.append(ProcessPlan(node, log, variables, serves=kind == "ps"))
    return plans


def _log_name(number: int, count: int, suffix: str = "") -> str:
    return "std_log.txt" if count == 1 else f"std_log_process_{number:02d}{suffix}.txt"
