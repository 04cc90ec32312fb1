"""Whole runs on the Azure ML service of this machine: the real SDK, real jobs, the same results as here."""

import json
import subprocess
import sys

import pytest
from fixtures.azure import blobs

import keras_azure
from keras_azure.description.events import Observer

SETTINGS = {"epochs": 1, "set": ["filters=(4, 8)", "dense=(8,)"], "cache": "memory"}
SECONDS = 600


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_idx):
    return make_idx(tmp_path_factory.mktemp("data") / "digits", 96)


def model_of(result):
    return (result.run_dir / "model.keras").read_bytes()


def test_a_run_is_the_one_of_this_machine_and_its_second_submission_sends_nothing(
    azure_emulator, data, tmp_path, make_listener
):
    listener = make_listener()
    there = keras_azure.run(
        "cnn",
        data=str(data),
        backend="azure-nc6",
        register="digits",
        observer=listener,
        output=tmp_path / "there",
        **SETTINGS,
    )
    here = keras_azure.run("cnn", data=str(data), output=tmp_path / "here", observer=Observer(), **SETTINGS)
    assert model_of(there) == model_of(here)
    assert there.test_metrics == here.test_metrics
    assert there.history[0]["loss"] == here.history[0]["loss"]
    assert listener.heard("Azure retired Standard_NC6")
    assert listener.heard("Registered azureml:digits:1")
    assert listener.heard("Epoch")  # the log of the node
    assert json.loads((tmp_path / "there" / "run.json").read_text())["backend"].startswith("azure-nc6")
    for name in ("metrics.json", "history.csv", "plots/learning_curves.png"):
        assert (tmp_path / "there" / name).is_file(), name
    assert "About 0.0" in (report := (tmp_path / "there" / "report.html").read_text(encoding="utf-8"))
    assert "USD an hour" in report  # as the node was told which backend it is of

    import mlflow

    run = mlflow.MlflowClient(there.tracking["uri"]).get_run(there.tracking["run_id"])
    assert run.data.metrics["test_accuracy"] == there.test_accuracy
    assert run.info.status == "FINISHED"

    before = blobs(azure_emulator)
    listener = make_listener()
    job = keras_azure.submit("cnn", data=str(data), backend="azure-nc6", observer=listener, **SETTINGS)
    after = blobs(azure_emulator)
    job.cancel()
    assert listener.heard("The data is in the workspace already")
    new = {name for name in after if before.get(name) != after[name] and job.name not in name[1]}
    assert new == set()
    assert azure_emulator.unknown_requests == []
    assert azure_emulator.refused_hosts == []


@pytest.mark.slow
def test_a_run_on_jax_is_the_one_of_this_machine(azure_emulator, data, tmp_path):
    """Here in a process of its own, as Keras has one engine in each."""
    run = [sys.executable, "-m", "keras_azure", "run", "cnn", "--engine", "jax", "--data", str(data), "--epochs", "1"]
    run += ["--set", "filters=(4, 8)", "--set", "dense=(8,)", "--json"]
    found = {}
    for name, backend in (("there", "azure-nc6"), ("here", "local")):
        done = subprocess.run(
            [*run, "--backend", backend, "--output", str(tmp_path / name)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        found[name] = json.loads(done.stdout)
        assert found[name]["performance"]["engine"] == "jax"
    models = [(tmp_path / name / "model.keras").read_bytes() for name in found]
    assert models[0] == models[1]
    assert found["there"]["test_metrics"] == found["here"]["test_metrics"]


@pytest.mark.slow
def test_links_to_images_are_uploaded_as_what_they_lead_to(azure_emulator, make_pictures, tmp_path):
    """Eight images, of which four are links, as many folders of data are made of: the run is that of this machine."""
    data, elsewhere = make_pictures(tmp_path / "data", 4), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("cats", "dogs"):
        for file in sorted((data / name).iterdir())[:2]:
            file.symlink_to(file.rename(elsewhere / f"{name}-{file.name}"))
    before = blobs(azure_emulator)
    there = keras_azure.run(
        "cnn", data=str(data), backend="azure-nc6", output=tmp_path / "there", observer=Observer(), **SETTINGS
    )
    here = keras_azure.run("cnn", data=str(data), output=tmp_path / "here", observer=Observer(), **SETTINGS)
    arrived = [name for _, name in blobs(azure_emulator).keys() - before.keys() if "/data/" in name]
    assert len(arrived) == 8
    assert model_of(there) == model_of(here)
    assert there.test_metrics == here.test_metrics
    assert there.history[0]["loss"] == here.history[0]["loss"]


@pytest.mark.slow
def test_a_table_travels_with_the_images_that_it_names(azure_emulator, make_pictures, tmp_path):
    """Twelve of sixteen images, in a folder elsewhere: the run is that of this machine."""
    data = make_pictures(tmp_path / "photos", 8)
    names = sorted(path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file())
    rows = [f"{name},{name.split('/')[0]},{number}" for number, name in enumerate(names) if number % 4]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,camera", *rows]))
    settings = {
        "data": str(tmp_path / "labels.csv"),
        "image_folder": str(data),
        "group_column": "camera",
        **SETTINGS,
    }
    before = blobs(azure_emulator)
    there = keras_azure.run("cnn", backend="azure-nc6", output=tmp_path / "there", observer=Observer(), **settings)
    here = keras_azure.run("cnn", output=tmp_path / "here", observer=Observer(), **settings)
    arrived = [name for _, name in blobs(azure_emulator).keys() - before.keys() if "/data/" in name]
    assert len(arrived) == 13
    assert model_of(there) == model_of(here)
    assert there.test_metrics == here.test_metrics


@pytest.mark.slow
def test_a_large_network_is_the_one_of_this_machine(azure_emulator, make_pictures, tmp_path):
    """Most of whose operations have no names of their own."""
    pictures = make_pictures(tmp_path / "pictures", 8)
    settings = {"data": str(pictures), "set": ["weights=none"], "image_size": (32, 32), "epochs": 1, "batch_size": 4}
    settings["optimizer"] = "sgd"  # whose state is not twice the size of the model
    there = keras_azure.run("resnet50", backend="azure-nc6", output=tmp_path / "there", observer=Observer(), **settings)
    here = keras_azure.run("resnet50", output=tmp_path / "here", observer=Observer(), **settings)
    assert there.parameters > 23_000_000
    assert model_of(there) == model_of(here)
    assert there.test_metrics == here.test_metrics
