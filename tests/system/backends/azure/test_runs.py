"""Whole runs on the Azure ML service of this machine: the real SDK, real jobs, the same results as here."""

import json
import shutil
import subprocess
import sys
import threading
import time

import pytest

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.errors import JobFailed, RunInterrupted

SETTINGS = {"epochs": 1, "set": ["filters=(4, 8)", "dense=(8,)"], "cache": "memory"}
SECONDS = 600


@pytest.fixture(scope="module")
def data(tmp_path_factory, make_idx):
    return make_idx(tmp_path_factory.mktemp("data") / "digits", 96)


@pytest.fixture(autouse=True)
def _runs(tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_RUNS", str(tmp_path / "runs"))


@pytest.fixture(scope="module", autouse=True)
def _our_wheel_is_built_once(tmp_path_factory):
    """Somebody may edit this package while its tests run. Those of others are made anew: two may have one name."""
    from keras_azure.backends.azure import staging

    kept, make = tmp_path_factory.mktemp("wheel"), staging.make_wheel

    def make_ours_once(package, folder):
        if package.metadata["Name"] != "keras-azure":
            return make(package, folder)
        if not list(kept.iterdir()):
            make(package, kept)
        return shutil.copy(next(kept.iterdir()), folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging, "make_wheel", make_ours_once)
        yield


def model_of(result):
    return (result.run_dir / "model.keras").read_bytes()


def blobs(azure_emulator):
    from azure.storage.blob import BlobServiceClient

    settings = azure_emulator.settings
    service = BlobServiceClient(f"https://{settings.blob_host}", credential=settings.account_key)
    return {
        (container.name, blob.name): blob.etag
        for container in service.list_containers()
        for blob in service.get_container_client(container.name).list_blobs()
    }


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


# So many that it is not over when the first checkpoint is seen in storage, which takes seconds.
LONG = {**SETTINGS, "epochs": 2000, "checkpoint_every": "10steps"}


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("uninterrupted") / "run"
    return keras_azure.run("cnn", data=str(data), output=run_dir, observer=Observer(), **LONG)


def wait_for_a_checkpoint(azure_emulator, job):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if any(job.name in name and "/checkpoints/" in name for _, name in blobs(azure_emulator)):
            return
        time.sleep(0.1)
    pytest.fail(f"The job {job.name} leaves no checkpoint.")


def test_an_evicted_run_ends_as_one_that_was_not(azure_emulator, data, make_listener, uninterrupted):
    job = keras_azure.submit("cnn", data=str(data), backend="azure-nc6(spot=True)", observer=Observer(), **LONG)

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


def test_a_cancelled_run_goes_on_in_a_new_job(azure_emulator, data, tmp_path, make_listener, uninterrupted):
    job = keras_azure.submit(
        "cnn", data=str(data), backend="azure-nc6", output=tmp_path / "run", observer=Observer(), **LONG
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


def test_a_packed_folder_of_pictures_and_a_plugin_of_ones_own(azure_emulator, make_pictures, tmp_path, monkeypatch):
    """The plugin is installed by pip from a folder, and the pictures travel in an archive."""
    site = install_from_folder(tmp_path)
    monkeypatch.syspath_prepend(site)
    pictures = make_pictures(tmp_path / "pictures", 60)
    settings = {"data": str(pictures), "epochs": 1, "observer": Observer()}
    there = keras_azure.run("tiny(units=3)", backend="azure-nc6", output=tmp_path / "there", **settings)
    here = keras_azure.run("tiny(units=3)", output=tmp_path / "here", **settings)
    assert model_of(there) == model_of(here)
    assert any("/pack-00000.tar" in name for _, name in blobs(azure_emulator))
    assert not any(".png" in name and "/data/" in name for _, name in blobs(azure_emulator))


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


def test_a_data_set_of_ones_own_in_one_file(azure_emulator, tiles_installed, make_tiles, tmp_path):
    """The file is uploaded under its name, and the wheel of the package that reads it is on the node."""
    data = make_tiles(tmp_path / "mine.tiles")
    before = blobs(azure_emulator)
    there = keras_azure.run(
        "cnn", data=str(data), backend="azure-nc6", output=tmp_path / "there", observer=Observer(), **SETTINGS
    )
    here = keras_azure.run("cnn", data=str(data), output=tmp_path / "here", observer=Observer(), **SETTINGS)
    arrived = [name for _, name in blobs(azure_emulator).keys() - before.keys() if "/data/" in name]
    assert [name.rpartition("/")[2] for name in arrived] == ["mine.tiles"]
    assert model_of(there) == model_of(here)
    assert there.test_metrics == here.test_metrics
    assert json.loads((tmp_path / "there" / "run.json").read_text())["data"] == f"tiles(path='{data}')"


def test_a_plugin_that_cannot_be_imported_on_the_node_says_why(azure_emulator, data, kaz, tmp_path, monkeypatch):
    """It needs a module of this machine that no package declares."""
    site = install_from_folder(tmp_path, code="import their_helpers\n")
    monkeypatch.syspath_prepend(site)
    (tmp_path / "site" / "their_helpers.py").touch()
    code, _, err = kaz("run", "tiny", "--backend", "azure-nc6", "--data", str(data), "--output", str(tmp_path / "run"))
    assert code == 1
    shown = err.partition("The last lines of its log:")[2]
    assert "No module named 'their_helpers'" in shown
    assert "their-models" in shown
    assert "Traceback" not in err
    assert "azure/ai/ml" not in err
    assert not (tmp_path / "run" / "model.keras").exists()


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


def install_from_folder(tmp_path, code=""):
    """A package with a model, installed into a folder of its own."""
    source, site = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "their-models"\nversion = "1.0"\n'
        '[project.entry-points."keras_azure.models"]\ntiny = "their_models:tiny"\n'
        '[tool.setuptools]\npy-modules = ["their_models"]\n'
    )
    (source / "their_models.py").write_text(
        f"{code}import keras\n\n\n"
        "def tiny(input_shape, num_classes, *, units: int = 2):\n"
        "    layers = [keras.Input(input_shape, name='i'), keras.layers.Rescaling(1 / 255, name='s')]\n"
        "    layers += [keras.layers.Flatten(name='f'), keras.layers.Dense(units, name='d')]\n"
        "    layers += [keras.layers.Dense(num_classes, activation='softmax', name='p')]\n"
        "    return keras.Sequential(layers, name='tiny')\n"
    )
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(source)], check=True)
    return site
