"""Several processes on several nodes: what each is told, and that they find each other."""

import json
import os
import textwrap

import psutil
import pytest

from kaz_azure_emulator.execution import JobDescription
from kaz_azure_emulator.execution.nodes import find_free_ports, num_ports, plan_processes

TALK = """
    import os, socket, time
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    if rank == 0:
        with socket.create_server(address) as server:
            said = []
            for _ in range(world - 1):
                connection, _ = server.accept()
                said.append(connection.makefile().readline().strip())
        print("heard", sorted(said))
    else:
        while True:
            try:
                connection = socket.create_connection(address, timeout=5)
                break
            except OSError:
                time.sleep(0.05)
        connection.sendall(f"{rank} on node {os.environ['NODE_RANK']}\\n".encode())
        print("sent")
    os.makedirs("outputs")
    open("outputs/last.txt", "w").write(str(rank))
    open(f"outputs/{rank}.txt", "w").write(os.getcwd())
"""


def plan(node_count: int, **distribution):
    given = {"distribution": distribution or None, "node_count": node_count}
    urls = {"default_output_url": "http://127.0.0.1/a/c", "logs_url": "http://127.0.0.1/a/c"}
    job = JobDescription("job", "true", None, {}, {}, {}, **urls, **given)
    ports = list(range(5000, 5000 + num_ports(job)))
    return plan_processes(job, ports)


def test_two_nodes_of_a_pytorch_job_talk_to_each_other(storage, run):
    outcome = run(
        "python talk.py",
        code={"talk.py": textwrap.dedent(TALK)},
        distribution={"distributionType": "PyTorch", "processCountPerInstance": 1},
        node_count=2,
    )
    assert outcome.status == "Completed", outcome
    assert storage.text("dcid.job/user_logs/std_log_process_00.txt") == "heard ['1 on node 1']\n"
    assert storage.text("dcid.job/user_logs/std_log_process_01.txt") == "sent\n"
    assert storage.text("dcid.job/outputs/last.txt") == "0"
    assert storage.text("dcid.job/outputs/0.txt") != storage.text("dcid.job/outputs/1.txt")


def test_the_first_process_that_fails_ends_the_others(storage, run):
    seconds = str(10**7 + os.getpid())  # for which no other process sleeps
    outcome = run(
        "if [ $RANK = 1 ]; then until [ -e ready ]; do sleep 0.05; done; echo broken; exit 5; fi; "
        f'trap "echo asked; exit 0" TERM; touch ready; sleep {seconds} & wait',
        distribution={"distributionType": "PyTorch", "processCountPerInstance": 2},
        node_count=1,
    )
    assert (outcome.status, outcome.exit_code) == ("Failed", 5)
    assert "std_log_process_01.txt" in outcome.error["message"]
    assert outcome.error["message"].endswith("broken")
    assert storage.text("dcid.job/user_logs/std_log_process_00.txt") == "asked\n"
    assert not [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", seconds]]


def test_what_pytorch_is_told():
    plans = plan(2, distributionType="PyTorch", processCountPerInstance=2)
    names = ("RANK", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "AZUREML_CR_NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
    assert [tuple(each.variables[name] for name in names) for each in plans] == [
        ("0", "0", "0", "4", "0", "127.0.0.1", "5000"),
        ("1", "0", "1", "4", "0", "127.0.0.1", "5000"),
        ("2", "1", "0", "4", "1", "127.0.0.1", "5000"),
        ("3", "1", "1", "4", "1", "127.0.0.1", "5000"),
    ]
    assert [each.node for each in plans] == [0, 0, 1, 1]
    assert plans[3].log == "std_log_process_03.txt"


def test_what_mpi_is_told():
    plans = plan(2, distributionType="Mpi", processCountPerInstance=2)
    names = ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")
    told = [tuple(each.variables[f"OMPI_COMM_WORLD_{name}"] for name in names) for each in plans]
    assert told == [("0", "4", "0", "2"), ("1", "4", "1", "2"), ("2", "4", "0", "2"), ("3", "4", "1", "2")]
    assert {each.variables["AZ_BATCH_MASTER_NODE"] for each in plans} == {"127.0.0.1:5000"}
    assert plans[0].variables["AZ_BATCH_HOST_LIST"] == "127.0.0.1,127.0.0.1"


def test_what_tensorflow_is_told():
    plans = plan(2, distributionType="TensorFlow", workerCount=2, parameterServerCount=1)
    told = [json.loads(each.variables["TF_CONFIG"]) for each in plans]
    cluster = {"worker": ["127.0.0.1:5000", "127.0.0.1:5001"], "ps": ["127.0.0.1:5002"]}
    assert [each["cluster"] for each in told] == [cluster] * 3
    assert [each["task"] for each in told] == [
        {"type": "worker", "index": 0},
        {"type": "worker", "index": 1},
        {"type": "ps", "index": 0},
    ]
    assert [each.log for each in plans] == [
        "std_log_process_00.txt",
        "std_log_process_01.txt",
        "std_log_process_00_ps.txt",
    ]


def test_parameter_servers_end_with_the_last_worker(storage, run):
    outcome = run(
        "case $AZUREML_PROCESS_NAME in "
        "ps_0) trap 'echo served; exit 1' TERM; touch ready; sleep 305 & wait;; "
        "worker_0) until [ -e ready ]; do sleep 0.05; done; echo worked;; "  # which is on the same node
        "*) echo worked;; esac",
        distribution={"distributionType": "TensorFlow", "workerCount": 2, "parameterServerCount": 1},
        node_count=2,
    )
    assert (outcome.status, outcome.exit_code) == ("Completed", 0)
    logs = [f"dcid.job/user_logs/std_log_process_{name}.txt" for name in ("00", "01", "00_ps")]
    assert [storage.text(log) for log in logs] == ["worked\n", "worked\n", "served\n"]


def test_without_parameter_servers_their_entry_is_empty():
    (worker,) = plan(1, distributionType="TensorFlow", workerCount=1)
    assert json.loads(worker.variables["TF_CONFIG"])["cluster"] == {"worker": ["127.0.0.1:5000"], "ps": []}
    assert worker.log == "std_log.txt"


@pytest.mark.parametrize("count", [1, 5])
def test_free_ports_are_different_ones(count):
    assert len(set(find_free_ports(count))) == count
