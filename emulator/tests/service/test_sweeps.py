"""Sweep jobs, with trials that log their metric as MLflow does."""

from azure.ai.ml import command
from azure.ai.ml.entities import Environment
from azure.ai.ml.sweep import Choice, Uniform

LOG_THE_RATE = """
import json, os, sys, time, urllib.request
address = os.environ["MLFLOW_TRACKING_URI"].rstrip("?").replace("azureml://", "https://").replace("/v1.0/", "/v2.0/")
body = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": "loss", "value": float(sys.argv[1])}
body["timestamp"] = int(time.time() * 1000)
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
request = urllib.request.Request(address + "/api/2.0/mlflow/runs/log-metric", json.dumps(body).encode(), headers)
print(urllib.request.build_opener().open(request).status)
"""


def sweep(client, cluster, folder, algorithm, **space):
    (folder / "train.py").write_text(LOG_THE_RATE)
    trial = command(
        code=str(folder),
        command="python train.py ${{inputs.rate}}",
        inputs={"rate": 0.0},
        environment=Environment(image="ubuntu:22.04"),
        compute=cluster,
    )
    job = trial(**space).sweep(primary_metric="loss", goal="minimize", sampling_algorithm=algorithm)
    job.set_limits(max_total_trials=3, max_concurrent_trials=2)
    job.experiment_name = "sweeps"
    return client.jobs.create_or_update(job)


def test_a_grid(client, cluster, tmp_path, wait_for_job):
    job = sweep(client, cluster, tmp_path, "grid", rate=Choice([0.3, 0.1, 0.2]))
    wait_for_job(client, job.name)
    done = client.jobs.get(job.name)
    assert done.status == "Completed"
    assert done.properties["best_child_run_id"] == f"{job.name}_1"
    children = list(client.jobs.list(parent_job_name=job.name))
    assert {child.name for child in children} == {f"{job.name}_{number}" for number in range(3)}


def test_at_random_until_it_is_cancelled(client, cluster, tmp_path):
    job = sweep(client, cluster, tmp_path, "random", rate=Uniform(0.0, 1.0))
    client.jobs.begin_cancel(job.name).result()
    assert client.jobs.get(job.name).status == "Canceled"
