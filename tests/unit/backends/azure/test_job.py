"""The job that would be submitted, as `--dry-run` shows it: without a login and a network."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from keras_azure.backends.azure import staging
from keras_azure.backends.azure.cluster import Compute
from keras_azure.backends.azure.job import Settings, build_job, command_of, data_mode, read_job_file
from keras_azure.backends.azure.manifest import File, FileSet
from keras_azure.backends.azure.sizes import find_size
from keras_azure.backends.azure.staging import Staged
from keras_azure.backends.azure.wheels import Packages

T4 = find_size("nc4as-t4-v3")
SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture
def packages(monkeypatch):
    """No wheels, which take seconds to build."""
    monkeypatch.setattr(staging, "packages_of", lambda specs, engine, more: Packages((), ("keras==3.13.0", engine)))


@pytest.fixture
def dry_run(kaz, packages, offline, tmp_path):
    def run(*arguments, code=0):
        found, out, err = kaz("run", *arguments, "--dry-run", "--output", str(tmp_path / "dry"), "--json")
        assert found == code, err
        return json.loads(out) if code == 0 else err

    return run


def job_in(folder):
    return yaml.safe_load((folder / "job.yml").read_text())


def test_a_dry_run_needs_no_login_and_no_network(offline, idx_folder, tmp_path, monkeypatch):
    """In a process of its own, with the wheels and all."""
    monkeypatch.setenv("AZURE_CLIENT_SECRET", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    arguments = ["run", "cnn", "--backend", "azure-nc6", "--data", str(idx_folder), "--dry-run", "--output", "dry"]
    done = subprocess.run(
        [sys.executable, "-m", "keras_azure", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "dry/job.yml" in done.stdout
    assert "Azure retired Standard_NC6" in done.stderr
    text = (tmp_path / "dry" / "job.yml").read_text() + (tmp_path / "dry" / "code" / "run.json").read_text()
    for private in (str(tmp_path), os.environ["HOME"], str(Path.cwd()), SECRET):
        assert private not in text
    assert any((tmp_path / "dry" / "code" / "wheels").glob("keras_azure-*.whl"))
    assert read_job_file(tmp_path / "dry" / "job.yml").code


def test_the_job_file_says_what_a_node_does(dry_run, idx_folder, tmp_path):
    facts = dry_run("cnn", "--backend", "azure-nc4as-t4-v3(max_hours=2)", "--data", str(idx_folder), "--epochs", "3")
    job = job_in(tmp_path / "dry")
    assert facts["job_file"] == str(tmp_path / "dry" / "job.yml")
    assert (facts["size"], facts["cluster"]) == ("Standard_NC4as_T4_v3", "kaz-nc4as-t4-v3")
    assert job["code"] == "./code"
    assert job["compute"] == "azureml:kaz-nc4as-t4-v3"
    assert job["experiment_name"] == "keras_azure"
    assert job["limits"]["timeout"] == 7200
    assert job["environment_variables"]["TF_USE_LEGACY_KERAS"] == "0"
    assert job["environment_variables"]["KAZ_NODE_OF"] == "azure-nc4as-t4-v3(max_hours=2)"
    assert job["outputs"]["run"]["mode"] == "rw_mount"
    assert job["inputs"]["data"]["path"].startswith("azureml:kaz-")
    assert job["tags"]["keras_azure"]
    assert "keras==3.13.0" in str(job["environment"]["conda_file"])
    assert "kaz-azure" not in job["command"]
    assert "--config run.json" in job["command"]
    loaded = read_job_file(tmp_path / "dry" / "job.yml")
    assert loaded.command == job["command"]
    assert Path(loaded.code).is_absolute() or Path(loaded.base_path, loaded.code).is_dir()


def test_what_would_be_uploaded_is_told_the_largest_first_and_with_a_warning(dry_run, pictures):
    from PIL import Image

    Image.new("RGB", (900, 900), "red").save(pictures / "cats" / "credentials.png", compress_level=0)
    facts = dry_run("cnn", "--backend", "azure-nc4as-t4-v3", "--data", str(pictures), "--validation-split", "0")
    assert facts["files"] == 8  # seven pictures and run.json
    assert len(facts["largest"]) == 5
    assert facts["largest"][0][0] == "data/cats/credentials.png"
    assert facts["suspicious"] == ["data/cats/credentials.png"]
    assert facts["bytes"] > 2_000_000
    assert facts["usd_per_hour"] is None or facts["usd_per_hour"] > 0


def test_a_person_reads_the_warning_too(kaz, packages, offline, pictures, tmp_path):
    (pictures / "cats" / "0000.png").rename(pictures / "cats" / "my-secrets.png")
    arguments = ("--backend", "azure-nc4as-t4-v3", "--data", str(pictures), "--output", str(tmp_path / "dry"))
    code, out, err = kaz("run", "cnn", *arguments, "--validation-split", "0", "--dry-run")
    assert code == 0
    assert "To upload" in out
    assert "Warning: data/cats/my-secrets.png looks as if it held a secret" in err


def test_a_job_without_a_cluster(dry_run, tmp_path):
    assert dry_run("cnn", "--backend", "azure-nc4as-t4-v3(serverless=True, spot=True)")["cluster"] is None
    job = job_in(tmp_path / "dry")
    assert "compute" not in job
    assert job["resources"]["instance_type"] == "Standard_NC4as_T4_v3"
    assert job["queue_settings"]["job_tier"].lower() == "spot"
    assert read_job_file(tmp_path / "dry" / "job.yml").resources.instance_type == "Standard_NC4as_T4_v3"


def test_a_retired_size_goes_to_its_successor_or_is_refused(dry_run):
    assert dry_run("cnn", "--backend", "azure-nc6")["size"] == "Standard_NC4as_T4_v3"
    refusal = dry_run("cnn", "--backend", "azure-nc6", "--strict-size", code=1)
    assert "Azure retired Standard_NC6" in refusal
    assert "azure-nc4as-t4-v3" in refusal


def test_the_options_are_flags(dry_run, kaz):
    """Wherever they stand, and whatever they are of: texts, numbers, switches."""
    facts = dry_run("--cluster", "7", "--max-nodes=4", "cnn", "--no-strict-size", "--backend=azure", "--size", "nc6")
    assert (facts["cluster"], facts["size"]) == ("7", "Standard_NC4as_T4_v3")
    assert "'data_mode' of the backend 'azure' cannot be 'fast'" in dry_run(
        "cnn", "--backend", "azure", "--data-mode", "fast", code=2
    )
    assert "No such option: --clster" in dry_run("cnn", "--backend", "azure", "--clster", "mine", code=2)
    assert "No such option: --cluster" in dry_run("cnn", "--cluster", "mine", code=2)
    code, out, _ = kaz("run", "--backend", "azure-nc6", "--help")
    assert code == 0
    assert all(
        f"--{option}" in out for option in ("register TEXT", "max-hours NUMBER", "strict-size / --no-strict-size")
    )
    assert "--register" not in kaz("run", "--help")[1]


@pytest.mark.parametrize("options", ["nodes=2", "nodes=0", "data_mode=fast", "spott=True", "max_nodes=many"])
def test_wrong_options_are_refused_before_anything_is_made(dry_run, options, tmp_path):
    assert "Error" in dry_run("cnn", "--backend", f"azure-nc4as-t4-v3({options})", code=2)
    assert not (tmp_path / "dry").exists()


@pytest.mark.parametrize("options", [["--engine", "jax"], []])
def test_a_job_runs_on_the_engine_that_is_asked_for(dry_run, monkeypatch, tmp_path, options):
    if not options:
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    dry_run("cnn", "--backend", "azure-nc4as-t4-v3", *options)
    assert json.loads((tmp_path / "dry" / "code" / "run.json").read_text())["engine"] == "jax"
    packages = job_in(tmp_path / "dry")["environment"]["conda_file"]["dependencies"][-1]
    assert packages["pip"] == ["keras==3.13.0", "jax"]


def test_an_engine_that_no_job_has_is_refused(dry_run, monkeypatch):
    """A node would train on TensorFlow without a word."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    told = dry_run("cnn", "--backend", "azure-nc4as-t4-v3", code=2)
    assert "A job runs on TensorFlow or JAX, and torch is asked for" in told


def test_a_dry_run_on_this_machine_makes_no_sense(dry_run):
    assert "The backend local submits nothing." in dry_run("cnn", code=2)


def staged(tmp_path, *, size=1e6, is_packed=False, asset=None, data=True, weights=None, arguments=()):
    files = FileSet((File("a", Path("a"), int(size)),), "d" * 64, is_packed) if data else None
    model = FileSet((File(weights, Path(weights), 1),), "e" * 64, False) if weights else None
    (tmp_path / "code").mkdir(exist_ok=True)
    return Staged(tmp_path / "code", (), files, model, asset, arguments)


@pytest.mark.parametrize(
    ("facts", "epochs", "mode"),
    [
        ({}, 5, "download"),
        ({}, 1, "ro_mount"),
        ({"is_packed": True}, 5, "ro_mount"),
        ({"size": 60e9}, 5, "ro_mount"),
        ({"data": False, "asset": "azureml:mnist:1"}, 5, "ro_mount"),
    ],
)
def test_how_data_comes_to_a_node(tmp_path, facts, epochs, mode):
    assert data_mode(staged(tmp_path, **facts), "auto", epochs) == mode
    assert data_mode(staged(tmp_path, **facts), "mount", epochs) == "ro_mount"
    assert data_mode(staged(tmp_path, **facts), "download", epochs) == "download"


def test_the_command_lays_everything_where_run_json_has_it(tmp_path):
    command = command_of(staged(tmp_path, weights="weights.keras", arguments=("--skip-unreadable",)), 7)
    assert 'ln -sfn "${{inputs.data}}" data' in command
    assert 'ln -sfn "${{inputs.weights}}/weights.keras" weights.keras' in command
    assert 'attempts "${{outputs.run}}" 7' in command
    assert "run --config run.json --skip-unreadable" in command
    assert "pip install" not in command
    assert "tar -xf" in command_of(staged(tmp_path, is_packed=True), 7)
    (tmp_path / "code" / "wheels").mkdir()
    (tmp_path / "code" / "wheels" / "x.whl").write_bytes(b"")
    assert "--no-deps --no-index wheels/*.whl" in command_of(staged(tmp_path, data=False), 7)


@pytest.mark.parametrize("before", [[], ["run.json"], ["run.json", "metrics.json"]])
def test_a_node_goes_on_where_a_lost_one_was(tmp_path, before):
    """The command in bash, with something that only tells how it was called in place of Python."""
    run = tmp_path / "run folder"
    run.mkdir()
    for name in before:
        (run / name).write_text("{}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    command = command_of(staged(tmp_path, data=False), 7).replace("${{outputs.run}}", str(run))
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={"PATH": path}, cwd=tmp_path)
    assert done.returncode == 0
    calls = done.stdout.splitlines()
    assert "attempts" in calls[0]
    assert ("--resume" in done.stdout) == (before == ["run.json"])
    assert len(calls) == (1 if "metrics.json" in before else 2)


def test_a_job_of_several_nodes_is_ready_for_them(tmp_path):
    settings = {"name": "n", "display_name": "d", "epochs": 1, "backend": "azure-t4", "output": "azureml://x"}
    job = build_job(staged(tmp_path, data=False), Compute(T4, nodes=2), Settings(), **settings)
    assert job.resources.instance_count == 2
    assert job.distribution.worker_count == 2
    assert job.limits is None
