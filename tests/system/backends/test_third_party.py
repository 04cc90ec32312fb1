"""A backend of somebody else, with jobs of its own, goes all the ways that first-party ones go.

Its package is built and installed as any is (tests/fixtures/kaz_barn). A child process stands for the cloud.
"""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import keras_azure
from keras_azure.errors import ConfigError, TooExpensive, UnknownName, UsageError
from keras_azure.registry.registry import BACKENDS, Entry

REPOSITORY = Path(__file__).parents[3]
TINY = {"set": ["filters=(4,)", "dense=(8,)"], "tracking": False}
TINY_FLAGS = ("--set", "filters=(4,)", "--set", "dense=(8,)", "--no-tracking")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder that the package is installed in, from its wheel."""
    folder = tmp_path_factory.mktemp("barn")
    pip = [sys.executable, "-m", "pip"]
    source = shutil.copytree(REPOSITORY / "tests" / "fixtures" / "kaz_barn", folder / "source")
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(build, check=True)
    [wheel] = folder.glob("kaz_barn-1.0-*.whl")
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(install, check=True)
    return folder / "site"


@pytest.fixture(autouse=True, scope="module")
def barn(site, tmp_path_factory):
    """The package is installed here, and in the processes that are started from here; its jobs are in this folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        patch.setenv("PYTHONPATH", str(site))
        patch.setenv("KAZ_BARN", str(tmp_path_factory.mktemp("jobs")))
        patch.setenv("KAZ_RUNS", str(tmp_path_factory.mktemp("runs")))
        for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_DEFAULTS_GROUP", "AZURE_DEFAULTS_WORKSPACE", "KAZ_WORKSPACE"):
            patch.delenv(name, raising=False)
        patch.chdir(tmp_path_factory.mktemp("work"))
        importlib.invalidate_caches()
        yield Path(os.environ["KAZ_BARN"])
    sys.modules.pop("kaz_barn", None)


@pytest.fixture(scope="module")
def job(barn, tmp_path_factory) -> dict:
    """A job that was submitted from the command line, with the backend's own flag."""
    out = tmp_path_factory.mktemp("out") / "run"
    command = [sys.executable, "-m", "keras_azure", "run", "--owner", "ada", "cnn", "--backend", "barn-large"]
    done = subprocess.run(
        [*command, "--detach", "--json", "--epochs", "2", "--output", str(out), *TINY_FLAGS],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "of ada" in done.stderr
    assert "Estimated: " in done.stderr
    return json.loads(done.stdout)


def test_it_is_found_as_any_plugin_is(kaz):
    assert Entry("barn", "kaz-barn", "kaz_barn:barn [family]") in BACKENDS.entries()
    code, out, _ = kaz("show", "barn-large")
    assert code == 0
    assert "Machine: Barn of large size, Cow" in out
    code, _, err = kaz("run", "cnn", "--backend", "barn-larg")
    assert code == 2
    assert "There is no barn called 'larg'. Did you mean 'large'?" in err
    assert kaz("check", "barn")[0] == 0


def test_not_a_line_of_ours_names_it():
    sources = [*(REPOSITORY / "keras_azure").rglob("*.py"), *(REPOSITORY / "keras_azure").rglob("*.toml")]
    assert len(sources) > 100
    assert [path for path in sources if re.search(r"(?i)\bbarn|\bstall\b", path.read_text(encoding="utf-8"))] == []


def test_a_job_goes_on_by_itself_and_is_opened_again_elsewhere(job):
    assert job["backend"] == "barn"
    code = (
        "import json, sys, keras_azure\n"
        "result = keras_azure.job(json.loads(sys.argv[1])).result()\n"
        "print(json.dumps(result.to_json()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(job)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["epochs"] == 2
    config = json.loads(Path(job["run_dir"], "run.json").read_text())
    assert config["backend"] == "barn-large(owner='ada')"  # as it was written, with what was given beside
    # Descriptions that name no backend are offered to each: those of Azure's jobs were so before.
    unnamed = {name: value for name, value in job.items() if name != "backend"}
    assert keras_azure.job(unnamed).status() == "Completed"
    azure = {"name": "a", "workspace": "1/2/3", "run_dir": "there"}
    assert type(keras_azure.job({**azure, "backend": "azure"})).__module__ == "keras_azure.backends.azure.handle"
    assert type(keras_azure.job(azure)) is type(keras_azure.job({**azure, "backend": "azure"}))
    with pytest.raises(ConfigError, match="This describes no job"):
        keras_azure.job({"neither": 1})
    with pytest.raises(ConfigError, match="the backend stall opens none"):
        keras_azure.job({**job, "backend": "stall"})


def test_its_jobs_are_listed_followed_and_fetched(kaz, job, tmp_path):
    name = job["name"]
    code, out, err = kaz("jobs", "list", "--backend", "barn")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["name", "state", "started"]
    assert name in out
    # All backends: that nobody is signed in to another one is said, and hides nothing.
    code, out, err = kaz("jobs", "list", "--json")
    assert code == 0
    assert name in [each["name"] for each in json.loads(out) if each["backend"] == "barn"]
    assert "The jobs of the backend azure are left out: No Azure ML workspace is named" in err
    assert kaz("jobs", "wait", name)[0] == 0
    code, out, _ = kaz("jobs", "logs", "-f", name)
    assert code == 0
    assert "Test accuracy" in out
    code, out, _ = kaz("jobs", "show", name)
    assert code == 0
    assert re.search(r"State +Completed\n", out)
    assert re.search(r"owner +ada\n", out)
    code, out, _ = kaz("jobs", "download", name, "metrics.json", "--output", str(tmp_path / "there"))
    assert (code, out) == (0, f"{tmp_path / 'there' / 'metrics.json'}\n")
    code, out, _ = kaz("jobs", "cancel", name)
    assert (code, out) == (0, f"The job {name} had ended already: Completed\n")


def test_a_job_that_nobody_has(kaz):
    code, out, err = kaz("jobs", "show", "nothing")
    assert (code, out) == (2, "")
    assert "No job called nothing is found." in err
    assert "barn: There is no nothing in the barn." in err
    assert "azure: No Azure ML workspace is named" in err
    code, _, err = kaz("jobs", "show", "nothing", "--backend", "barn")
    assert code == 2
    assert err.startswith("Error: There is no nothing in the barn.")


def test_a_run_that_was_cancelled_is_resumed_and_is_the_run_of_this_machine(kaz, barn, tmp_path):
    settings = {"epochs": 40, "observer": keras_azure.Observer(), **TINY}
    job = keras_azure.submit("cnn", backend="barn", output=tmp_path / "run", **settings)
    checkpoints = barn / job.name / "run" / "checkpoints"
    while not list(checkpoints.glob("epoch-*.npz")) and job.status() == "Running":
        time.sleep(0.05)
    code, out, _ = kaz("jobs", "cancel", job.name)
    assert (code, out) == (0, f"The job {job.name} has ended: Canceled\n")
    code, out, err = kaz("jobs", "wait", job.name)
    assert code == 1
    assert f"The job {job.name} has no result: Canceled." in err
    code, out, err = kaz("resume", str(tmp_path / "run"), "--json")
    assert code == 0, err
    resumed = json.loads(out)
    here = keras_azure.run("cnn", output=tmp_path / "here", **settings)
    assert resumed["test_metrics"] == here.test_metrics
    assert re.search(r"; [1-9]\d* epochs and \d+ steps are done\n", "\n".join(job.logs()))


def test_its_flag_is_a_keyword_in_python_and_help_in_a_terminal(kaz, tmp_path):
    messages = []

    class Listener(keras_azure.Observer):
        def message(self, text):
            messages.append(text)

    result = keras_azure.run(
        "cnn", backend="barn", owner="grace", epochs=1, output=tmp_path / "run", observer=Listener(), **TINY
    )
    assert result.epochs == 1
    assert any(message.endswith("of grace") for message in messages)
    with pytest.raises(ConfigError, match="no setting called 'ownr'"):
        keras_azure.run("cnn", backend="barn", ownr="grace")
    code, out, _ = kaz("run", "--backend", "barn", "--help")
    assert code == 0
    assert re.search(r"--owner TEXT +Whose jobs they are, by name\.", out)
    assert "--owner" not in kaz("run", "--help")[1]
    code, _, err = kaz("run", "cnn", "--backend", "local", "--owner", "ada")
    assert code == 2
    assert "No such option: --owner" in err
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model": "cnn", "backend": "barn"}))
    code, out, err = kaz("run", "--config", str(config), "--owner", "alan", "--dry-run", "--json", *TINY_FLAGS)
    assert (code, json.loads(out)) == (0, {"size": "small", "cows": 3}), err


def test_it_is_planned_for_with_its_price_and_benched(kaz):
    code, out, err = kaz("plan", "cnn", "--backend", "barn", "--backend", "barn-large", "--backend", "stall", "--json")
    assert code == 0, err
    small, large, unknown = json.loads(out)["machines"]
    assert (small["backend"], small["size"], small["fits"]) == ("barn", "Barn of small size", True)
    assert small["usd"][1] == pytest.approx(large["usd"][1] / 2)
    assert large["largest_batch"] > small["largest_batch"] > 0
    assert small["images_per_second"][0] > 0
    assert (unknown["fits"], unknown["seconds"], unknown["usd"], unknown["largest_batch"]) == (None, None, None, None)
    assert "does not say what its machines are" in unknown["note"]
    out = kaz("plan", "cnn", "--backend", "stall")[1]
    assert "stall: it does not say what its machines are: memory, time and cost are not known." in " ".join(out.split())
    code, out, err = kaz(
        "bench", "step", "cnn", "--rounds", "1", "--seconds", "0.05", "--backend", "barn-large", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["price"]["usd_per_hour"] == 2.0
    assert kaz("bench", "step", "cnn", "--rounds", "1", "--seconds", "0.05", "--backend", "stall")[0] == 0


def test_the_look_ahead_refuses_what_it_knows_and_nothing_else(kaz, tmp_path):
    code, _, err = kaz("run", "cnn", "--backend", "barn", "--batch-size", "1000000", "--detach")
    assert code == 2
    assert re.search("Training needs .* of Barn of small size it can have 0.2 GB", err)
    with pytest.raises(TooExpensive):
        keras_azure.submit("cnn", backend="barn", max_cost=0.0001)
    # One that says nothing of its machine runs, with a line that says so.
    code, out, err = kaz(
        "run", "cnn", "--backend", "stall", "--epochs", "1", "--output", str(tmp_path / "run"), *TINY_FLAGS
    )
    assert code == 0, err
    assert "stall: it does not say what its machines are: memory, time and cost are not known" in err
    assert "Test accuracy" in out
    with pytest.raises(UsageError, match="What a run on stall costs is not known before"):
        keras_azure.submit("cnn", backend="stall", max_cost=1.0)
    with pytest.raises(UsageError, match="does not show what it would submit"):
        keras_azure.dry_run("cnn", backend="stall")
    with pytest.raises(UsageError, match="keeps no jobs"):
        kaz_jobs("stall")


def kaz_jobs(backend: str) -> list[dict]:
    from keras_azure.api.jobs import list_jobs

    return list_jobs(backend)


def test_the_doctor_examines_it(kaz, monkeypatch, tmp_path):
    code, out, _ = kaz("doctor", "--backend", "barn", "--owner", "ada")
    assert code == 0
    assert "barn:\nok    door         of ada\n" in out
    code, out, _ = kaz("doctor", "--json")
    assert {each["subject"] for each in json.loads(out)} == {"this machine", "azure", "barn"}
    monkeypatch.setenv("KAZ_BARN", str(tmp_path / "gone"))
    code, out, _ = kaz("doctor", "--backend", "barn")
    assert code == 1
    assert f"FAIL  door         of nobody Try: mkdir {tmp_path / 'gone'}" in out
    with pytest.raises(UnknownName):
        BACKENDS.build("barn-huge")
