"""`kaz jobs` with the real SDK; the jobs are small ones that carry kaz's tag."""

import json
import logging
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(azure_emulator):
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import AmlCompute
    from azure.identity import EnvironmentCredential

    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
    found = MLClient.from_config(EnvironmentCredential(), path=azure_emulator.state_folder / "config.json")
    found.compute.begin_create_or_update(AmlCompute(name="cpu", size="Standard_DS3_v2", max_instances=2)).result()
    return found


@pytest.fixture(scope="module")
def submit(client):
    """Submits a job that runs a text in a shell: `submit("done", "echo hello")`."""
    from azure.ai.ml import Output, command
    from azure.ai.ml.entities import Environment

    def begin(name: str, text: str, tags: dict | None = None, **options):
        place = f"azureml://datastores/workspaceblobstore/paths/keras_azure/runs/{name}/"
        job = command(
            name=name,
            command=text,
            environment=Environment(image="ubuntu:22.04"),
            compute="cpu",
            display_name=f"the run {name}",
            experiment_name="keras_azure",
            outputs={"run": Output(type="uri_folder", path=place, mode="rw_mount")},
            tags={"keras_azure": "0.1.0", "size": "Standard_NC4as_T4_v3"} if tags is None else tags,
            **options,
        )
        return client.jobs.create_or_update(job)

    return begin


FILES = (
    "echo working; cd ${{outputs.run}} && mkdir -p plots checkpoints && echo '{}' > run.json && echo a > plots/a.png "
    "&& echo b > plots/b.png && echo weights > checkpoints/1.npz && echo '{}' > metrics.json"
)


@pytest.fixture(scope="module")
def jobs(client, submit):
    """One job of each kind, all of which have ended; the last one is the newest."""
    submit("done", FILES)
    submit("stranger", "true", tags={"kind": "other"})
    submit("broken", "echo so far; echo 'no such thing' >&2; exit 3")
    for name in ("done", "stranger", "broken"):
        wait_for(client, name, "Completed", "Failed")


def wait_for(client, name: str, *states: str) -> None:
    deadline = time.monotonic() + 300
    while client.jobs.get(name).status not in states:
        assert time.monotonic() < deadline, name
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def folder(azure_emulator, jobs, tmp_path, monkeypatch) -> Path:
    """Where the test works: a folder of its own."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    azure_emulator.clear_faults()
    azure_emulator.set_storage(reachable=True)


def as_json(result: tuple[int, str, str]):
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_the_list_has_only_jobs_of_kaz_and_begins_with_the_newest(kaz):
    code, out, err = kaz("jobs", "list", "--all")
    assert (code, err) == (0, "")
    heading, *rows = out.splitlines()
    assert heading.split() == ["name", "state", "size", "started"]
    assert [row.split()[:3] for row in rows if row.split()[0] in ("broken", "done", "stranger")] == [
        ["broken", "Failed", "Standard_NC4as_T4_v3"],
        ["done", "Completed", "Standard_NC4as_T4_v3"],
    ]


def test_the_list_is_limited(kaz):
    code, out, err = kaz("jobs", "list", "--limit", "1")
    assert (code, len(out.splitlines())) == (0, 2)
    assert err == "There are more: kaz jobs list --all\n"
    [job] = as_json(kaz("jobs", "list", "--limit", "1", "--json"))
    assert job.keys() == {"backend", "name", "state", "size", "nodes", "created", "display_name", "experiment"}
    assert (job["nodes"], job["experiment"]) == (1, "keras_azure")


def test_a_job_that_has_completed(kaz):
    code, out, err = kaz("jobs", "show", "done")
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith("Output"))
    assert (lines["State"], lines["Run"]) == ("Completed", "the run done")
    assert lines["Machines"] == "1 x Standard_NC4as_T4_v3"
    assert lines["Studio"].startswith("https://ml.azure.com/runs/done?wsid=")
    assert "keras_azure=0.1.0" in lines["Tags"]
    assert {"Submitted", "Begun", "Ended", "Took"} <= lines.keys()
    assert "Output    run: azureml" in out


def test_a_job_that_has_failed(kaz):
    code, out, _ = kaz("jobs", "show", "broken")
    assert code == 0
    assert "exited with status code 3" in out
    assert out.endswith("The last lines of its log:\n  so far\n  no such thing\n")
    facts = as_json(kaz("jobs", "show", "broken", "--json"))
    assert facts["failure"]["log"] == ["so far", "no such thing"]
    assert facts["tags"]["keras_azure"] == "0.1.0"


def test_logs(kaz):
    assert kaz("jobs", "logs", "done") == (0, "working\n", "")
    code, out, err = kaz("jobs", "logs", "--follow", "broken")
    assert (code, out, err) == (0, "so far\nno such thing\n", "broken: failed\n")


def test_waiting(kaz):
    code, out, err = kaz("jobs", "wait", "done")
    assert (code, out) == (0, "")
    assert err == "done: completed\nworking\n"
    code, out, err = kaz("jobs", "wait", "broken", "--json")
    assert code == 1
    assert json.loads(out)["state"] == "Failed"
    assert "Error: The job broken failed: " in err
    assert "  no such thing" in err
    assert "kaz jobs logs broken" in err
    assert "Traceback" not in err


def test_waiting_and_fetching(kaz, folder):
    assert kaz("jobs", "wait", "done", "--output", "here")[:2] == (0, f"{folder / 'here'}\n")
    assert (folder / "here" / "metrics.json").exists()


def test_fetching(kaz, folder):
    code, out, _ = kaz("jobs", "download", "done")
    target = folder / "runs" / "done"
    assert code == 0
    assert {Path(line) for line in out.splitlines()} == {
        target / name for name in ("run.json", "metrics.json", "plots/a.png", "plots/b.png")
    }
    assert (target / "plots" / "a.png").read_text() == "a\n"
    assert not (target / "checkpoints").exists()
    # What is there is not fetched again, what is not is.
    (target / "plots" / "a.png").write_text("c\n")
    (target / "plots" / "b.png").unlink()
    (target / "run.json").write_text("that of the user")
    assert kaz("jobs", "download", "done")[0] == 0
    assert (target / "plots" / "a.png").read_text() == "c\n"
    assert (target / "plots" / "b.png").read_text() == "b\n"
    assert (target / "run.json").read_text() == "that of the user"


def test_fetching_some_files(kaz, folder):
    fetched = as_json(kaz("jobs", "download", "done", "plots/*", "checkpoints/*", "--output", "some", "--json"))
    assert fetched == {
        "name": "done",
        "folder": str(folder / "some"),
        "files": ["checkpoints/1.npz", "plots/a.png", "plots/b.png"],
    }
    code, out, err = kaz("jobs", "download", "done", "*.jpg", "--output", "none")
    assert (code, out) == (1, "")
    assert "has written no such files" in err
    assert "plots/a.png" in err
    assert not (folder / "none").exists()


def test_nothing_of_another_run_is_overwritten(kaz, folder):
    (folder / "full").mkdir()
    (folder / "full" / "run.json").write_text("mine")
    code, _, err = kaz("jobs", "download", "done", "--output", "full")
    assert code == 2
    assert "is not empty, and nothing is overwritten" in err
    kaz("jobs", "download", "done", "run.json", "--output", "other")
    code, _, err = kaz("jobs", "download", "broken", "--output", "other")
    assert code == 2
    assert (folder / "full" / "run.json").read_text() == "mine"
    assert [path.name for path in (folder / "full").iterdir()] == ["run.json"]


def test_a_running_job_is_followed_and_cancelled(kaz, client, submit):
    submit("long", "echo begun; sleep 100")
    wait_for(client, "long", "Running")
    code, out, _ = kaz("jobs", "cancel", "long")
    assert (code, out) == (0, "The job long has ended: Canceled\n")
    assert client.jobs.get("long").status == "Canceled"
    assert kaz("jobs", "cancel", "long")[:2] == (0, "The job long had ended already: Canceled\n")
    assert as_json(kaz("jobs", "cancel", "long", "--json")) == {"name": "long", "state": "Canceled"}
    code, _, err = kaz("jobs", "wait", "long", "--output", "never")
    assert code == 1
    assert "The job long was cancelled" in err
    assert not Path("never").exists()


def test_the_studio_address(kaz):
    code, out, err = kaz("jobs", "open", "done")
    assert (code, err) == (0, "")
    assert out.startswith("https://ml.azure.com/runs/done?wsid=")


@pytest.mark.parametrize("command", ["show", "logs", "wait", "cancel", "download", "open"])
def test_a_job_that_is_not_there(kaz, command, folder):
    code, out, err = kaz("jobs", command, "nothing")
    assert (code, out) == (2, "")
    assert "There is no job called nothing in " in err
    assert "Expected: the name that kaz run printed" in err
    assert "Try: kaz jobs list" in err
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("command", ["show", "cancel", "download"])
def test_a_job_of_somebody_else(kaz, command):
    code, out, err = kaz("jobs", command, "stranger")
    assert (code, out) == (2, "")
    assert "The job stranger was not started by kaz." in err
    assert "az ml job show --name stranger" in err


def test_another_workspace(kaz, azure_emulator):
    subscription, group = azure_emulator.settings.subscription_id, azure_emulator.settings.resource_group
    for command in (("list",), ("show", "done")):
        code, out, err = kaz("jobs", *command, "--workspace", f"{subscription}/{group}/elsewhere")
        assert (code, out) == (1, "")
        assert "elsewhere" in err
        assert "There is no job" not in err
    assert kaz("jobs", "list", "--workspace", "nowhere.json")[0] == 2


def test_without_a_login(kaz, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    code, out, err = kaz("jobs", "list")
    assert (code, out) == (1, "")
    assert "az login" in err


def test_a_refusal(kaz, azure_emulator):
    azure_emulator.fault("jobs.get", status=403, message="No role here.")
    code, out, err = kaz("jobs", "show", "done")
    assert (code, out) == (1, "")
    assert "No role here" in err
    assert "az login" in err
