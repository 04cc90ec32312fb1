"""Runs on the Azure ML service of this machine that are evicted, cancelled, or no longer followed."""

import json
import subprocess
import sys
import threading
import time

import pytest
from fixtures.azure import blobs

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import JobFailed, RunInterrupted

pytestmark = pytest.mark.slow

SETTINGS = {"epochs": 1, "set": ["filters=(4, 8)", "dense=(8,)"], "cache": "memory"}
SIX_EPOCHS = {**SETTINGS, "epochs": 6, "batch_size": 16, "checkpoint_every": "2steps"}
# In the middle of it, until it is asked to stop: so it is not over when its first checkpoint is seen in storage.
HELD = {**SIX_EPOCHS, "callbacks": ["hold"]}
SECONDS = 240


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_idx):
    return make_idx(tmp_path_factory.mktemp("data") / "digits", 96)


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("uninterrupted") / "run"
    return keras_azure.run("cnn", data=str(data), output=run_dir, observer=Observer(), **SIX_EPOCHS)


def model_of(result):
    return (result.run_dir / "model.keras").read_bytes()


def wait_for_a_checkpoint(azure_emulator, job):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if any(job.name in name and "/checkpoints/" in name for _, name in blobs(azure_emulator)):
            return
        time.sleep(0.1)
    pytest.fail(f"The job {job.name} leaves no checkpoint.")


def test_an_evicted_run_ends_as_one_that_was_not(azure_emulator, data, make_listener, their_site, uninterrupted):
    job = keras_azure.submit("cnn", data=str(data), backend="azure-nc6(spot=True)", observer=Observer(), **HELD)

    def evict():
        wait_for_a_checkpoint(azure_emulator, job)
        evicted.append(job.status())
        azure_emulator.evict(job.name)

    evicted = []
    thread = threading.Thread(target=evict)
    thread.start()
    listener = make_listener()
    there = job.result(listener)
    thread.join()
    assert evicted == ["Running"]
    assert listener.heard("Going on with the run"), listener.messages
    assert model_of(there) == model_of(uninterrupted)
    assert [row["loss"] for row in there.history] == [row["loss"] for row in uninterrupted.history]


def test_a_cancelled_run_goes_on_in_a_new_job(azure_emulator, data, tmp_path, make_listener, their_site, uninterrupted):
    job = keras_azure.submit(
        "cnn", data=str(data), backend="azure-nc6", output=tmp_path / "run", observer=Observer(), **HELD
    )
    wait_for_a_checkpoint(azure_emulator, job)
    job.cancel()
    with pytest.raises(JobFailed, match="was cancelled"):
        job.result(Observer())
    listener = make_listener()
    there = keras_azure.resume(tmp_path / "run", observer=listener)
    assert listener.heard(f"{job.name}-2 goes on")
    assert listener.heard("Going on with the run"), listener.messages
    assert model_of(there) == model_of(uninterrupted)
    assert [row["loss"] for row in there.history] == [row["loss"] for row in uninterrupted.history]

    import mlflow

    record = mlflow.MlflowClient(there.tracking["uri"]).get_metric_history(f"{job.name}-2", "loss")
    assert [(metric.step, metric.value) for metric in sorted(record, key=lambda metric: metric.step)] == [
        (row["epoch"], row["loss"]) for row in uninterrupted.history
    ]


def test_ctrl_c_leaves_the_job_alone_and_it_is_found_again(azure_emulator, data, tmp_path, monkeypatch):
    from keras_azure.backends.azure import following

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(following.Follower, "read_logs", stopped)
        with pytest.raises(RunInterrupted, match="which goes on") as interruption:
            keras_azure.run(
                "cnn", data=str(data), backend="azure-nc6", output=tmp_path / "run", observer=Observer(), **SETTINGS
            )
    assert interruption.value.exit_code == 130
    assert "kaz jobs wait" in str(interruption.value)
    description = json.loads((tmp_path / "run" / "job.json").read_text())
    elsewhere = tmp_path / "elsewhere"
    code = (
        "import json, sys, keras_azure\n"
        "job = keras_azure.job(json.loads(sys.argv[1]))\n"
        "print(job.result().test_accuracy)\n"
    )
    text = json.dumps({**description, "run_dir": str(elsewhere)})
    done = subprocess.run([sys.executable, "-c", code, text], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "run.json").is_file()
    resumed = keras_azure.resume(tmp_path / "run", observer=Observer())
    assert model_of(resumed) == (elsewhere / "model.keras").read_bytes()
    assert f"{resumed.test_accuracy}" == done.stdout.strip().splitlines()[-1]
