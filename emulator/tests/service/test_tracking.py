"""MLflow, by the workspace's tracking address: from a client, and from inside a job."""

from pathlib import Path

import mlflow
import pytest
from azure.ai.ml import command
from azure.ai.ml.entities import Environment
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

# What a job does to log without any package: the route that MLflow itself takes.
LOG_A_METRIC = """
import json, os, time, urllib.request
address = os.environ["MLFLOW_TRACKING_URI"].rstrip("?").replace("azureml://", "https://").replace("/v1.0/", "/v2.0/")
body = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": "loss", "value": 0.5, "timestamp": int(time.time() * 1000)}
headers = {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"}
request = urllib.request.Request(address + "/api/2.0/mlflow/runs/log-metric", json.dumps(body).encode(), headers)
print(urllib.request.build_opener().open(request).status)
"""


@pytest.fixture(scope="module")
def tracking(client, azure_emulator):
    uri = client.workspaces.get().mlflow_tracking_uri
    # The SDK writes v2.0 in place of the service's v1.0 where MLflow is installed.
    assert uri.replace("/v2.0/", "/v1.0/") == azure_emulator.settings.tracking_uri
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)


def test_a_run_from_a_client(tracking, tmp_path):
    mlflow.set_experiment("by-hand")
    with mlflow.start_run() as run:
        mlflow.log_param("rate", 0.1)
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step)
        mlflow.log_metrics({"accuracy": 0.9}, step=2)
        mlflow.set_tag("kind", "trial")
        (tmp_path / "notes.txt").write_text("notes")
        mlflow.log_artifact(str(tmp_path / "notes.txt"), "texts")
        mlflow.log_text("hello", "hello.txt")
    found = tracking.get_run(run.info.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params == {"rate": "0.1"}
    assert found.data.metrics["accuracy"] == 0.9
    assert [entry.value for entry in tracking.get_metric_history(run.info.run_id, "loss")] == [1.0, 0.5, 1 / 3]
    assert found.info.artifact_uri.startswith("azureml://")
    assert {each.path for each in tracking.list_artifacts(run.info.run_id)} == {"texts", "hello.txt"}
    downloaded = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="texts/notes.txt")
    assert Path(downloaded).read_text() == "notes"
    experiment = mlflow.get_experiment_by_name("by-hand")
    assert [each.info.run_id for each in tracking.search_runs([experiment.experiment_id])] == [run.info.run_id]


def test_values_logged_without_waiting(tracking):
    with mlflow.start_run() as run:
        mlflow.log_metrics({"late": 1.0}, synchronous=False).wait()
    assert tracking.get_run(run.info.run_id).data.metrics["late"] == 1.0


def test_a_job_is_a_run_of_its_name(client, cluster, tracking, tmp_path, wait_for_job):
    (tmp_path / "log.py").write_text(LOG_A_METRIC)
    job = client.jobs.create_or_update(
        command(
            command="python log.py",
            code=str(tmp_path),
            environment=Environment(image="ubuntu:22.04"),
            compute=cluster,
            experiment_name="as-a-job",
        )
    )
    wait_for_job(client, job.name, "Completed")
    run = tracking.get_run(job.name)
    assert run.info.run_id == job.name
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"loss": 0.5}
    experiment = mlflow.get_experiment_by_name("as-a-job")
    (found,) = tracking.search_runs([experiment.experiment_id], f"attributes.run_id = '{job.name}'")
    assert found.info.run_id == job.name
    client.jobs.update(job.name, tags={"best": "yes"})
    assert tracking.get_run(job.name).data.tags["best"] == "yes"


def test_logged_models_are_not_known_to_azure(tracking):
    """azure-sdk-for-python issue 44896: newer MLflow asks for what Azure ML does not have."""
    experiment = tracking.create_experiment("models")
    with pytest.raises(MlflowException, match="logged-models/search was not found"):
        tracking.search_logged_models([experiment])


def test_after_a_reset_names_are_free_again(tracking, azure_emulator):
    mlflow.set_experiment("again")
    with mlflow.start_run():
        mlflow.log_metric("loss", 1.0)
    azure_emulator.reset()
    assert mlflow.get_experiment_by_name("again") is None
    assert tracking.search_runs([tracking.create_experiment("again")]) == []


def test_without_a_token_nothing_is_told(azure_emulator, ask):
    settings = azure_emulator.settings
    address = f"https://{settings.api_host}/mlflow/v2.0{settings.workspace_path}/api/2.0/mlflow/experiments/search"
    assert ask(address, b"{}", {"Content-Type": "application/json"})[0] == 401
