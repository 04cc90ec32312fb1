"""Whatever can go wrong on the way to Azure and back: what the user is told, and what is left behind.

The jobs are lines of shell, which leave what a run leaves; the service is the one of this machine.
"""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

import keras_azure
from keras_azure.backends.azure import backend, job, staging, storage
from keras_azure.backends.azure.jobs import find_job
from keras_azure.backends.azure.service import Service
from keras_azure.backends.azure.sizes import find_size
from keras_azure.backends.azure.staging import DATA
from keras_azure.backends.azure.wheels import Packages
from keras_azure.backends.azure.workspace import find_workspace
from keras_azure.description.events import Observer
from keras_azure.errors import CloudError, JobFailed, NotAvailable, NotSignedIn, UsageError

pytestmark = pytest.mark.slow

BACKEND = "azure-nc4as-t4-v3"
SIZE = "Standard_NC4as_T4_v3"
PASSWORD = "hunter2-hunter2"
RESULTS = {
    "test_loss": 0.5,
    "test_accuracy": 0.75,
    "test_metrics": {"loss": 0.5, "accuracy": 0.75},
    "images_per_second": 10.0,
    "parameters": 3,
    "seconds": 1.5,
    "epochs": 1,
}
WORKS = (
    "echo begun && mkdir -p $RUN/plots && echo a model > $RUN/model.keras && echo a plot > $RUN/plots/curves.png "
    f"&& printf 'epoch,loss\\n1,0.5\\n' > $RUN/history.csv && echo '{json.dumps(RESULTS)}' > $RUN/metrics.json"
)


@pytest.fixture
def does(monkeypatch):
    """What jobs do, in place of `kaz run`, in an empty environment."""

    def set_command(text):
        command = f"export RUN=${{{{outputs.run}}}}; {text}"
        monkeypatch.setattr(job, "command_of", lambda staged, most: command)

    monkeypatch.setattr(staging, "packages_of", lambda *_: Packages((), ()))
    monkeypatch.setattr(job, "conda_file", lambda requirements: {"name": "empty", "dependencies": []})
    set_command(WORKS)
    return set_command


@pytest.fixture(autouse=True)
def _as_at_first(azure_emulator, does, tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_WORKSPACE", "")
    yield
    azure_emulator.clear_faults()
    azure_emulator.set_storage()
    azure_emulator.set_size(SIZE)
    azure_emulator.set_quota(find_size(BACKEND).family, 1000)


@pytest.fixture
def service(azure_emulator):
    return Service(find_workspace())


def submit(*, observer=None, **settings):
    return keras_azure.submit("cnn", observer=observer or Observer(), **{"backend": BACKEND, **settings})


def run(*, observer=None, **settings):
    return keras_azure.run("cnn", observer=observer or Observer(), **{"backend": BACKEND, **settings})


def jobs(service):
    return {found.name for found in service.client.jobs.list()}


def prefix_of(name):
    return f"keras_azure/runs/{name}"


def test_a_job_that_works(service, tmp_path, make_listener):
    listener = make_listener()
    result = run(observer=listener, output=tmp_path / "run", register="faults")
    assert result.test_accuracy == 0.75
    assert listener.heard("begun")
    assert listener.heard("Registered azureml:faults:1")
    assert (tmp_path / "run" / "plots" / "curves.png").read_text() == "a plot\n"
    assert not list((tmp_path / "run").rglob("*.part"))


def test_the_job_of_a_dry_run_is_the_one_that_is_submitted(service, idx_folder, tmp_path, monkeypatch):
    make_repository(tmp_path)
    monkeypatch.chdir(tmp_path)
    keras_azure.dry_run("cnn", backend=BACKEND, data=str(idx_folder), output=tmp_path / "dry", observer=Observer())
    shown = job.read_job_file(tmp_path / "dry" / "job.yml")
    made = submit(data=str(idx_folder), output=tmp_path / "run")
    got = service.client.jobs.get(made.name)
    for field in ("command", "experiment_name", "tags", "environment_variables"):
        assert getattr(got, field) == getattr(shown, field), field
    assert got.environment.rpartition(":")[2] == shown.environment.version  # the hash of image and packages
    assert not shown.properties
    assert not [name for name in got.properties if "git" in name]
    assert got.compute.rpartition("/")[2] == shown.compute.removeprefix("azureml:")
    assert got.resources.instance_count == shown.resources.instance_count
    assert got.inputs[DATA].mode == shown.inputs[DATA].mode
    name, version = shown.inputs[DATA].path.removeprefix("azureml:").split(":")
    assert name in got.inputs[DATA].path
    assert got.inputs[DATA].path.rstrip("/").endswith(version)
    assert got.outputs["run"].mode == shown.outputs["run"].mode
    assert (
        got.outputs["run"]
        .path.replace(made.name, "dry-run")
        .endswith(shown.outputs["run"].path.rpartition("/datastores/")[2])
    )
    text = str(got) + str(got.properties) + (tmp_path / "dry" / "job.yml").read_text()
    for private in (str(tmp_path), PASSWORD, os.environ["AZURE_CLIENT_SECRET"], str(Path.home())):
        assert private not in text
    made.cancel()


def make_repository(folder):
    """One of git, whose address has a password in it."""
    for arguments in (
        ("init", "--quiet"),
        ("remote", "add", "origin", f"http://someone:{PASSWORD}@example.com/repository"),
        ("-c", "user.name=x", "-c", "user.email=x", "commit", "--quiet", "--allow-empty", "--message", "x"),
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


@pytest.mark.parametrize("command", ["run", "submit"])
def test_nobody_is_signed_in(kaz, azure_emulator, monkeypatch, tmp_path, command):
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(tmp_path))  # no az, azd or pwsh that might be signed in
    detach = ["--detach"] if command == "submit" else []
    code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--output", str(tmp_path / "run"), *detach)
    assert code == 1
    assert "nobody is signed in" in err
    assert "az login" in err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_login_that_was_refused(azure_emulator, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "not-the-right-one-at-all")
    with pytest.raises(NotSignedIn) as refusal:
        submit()
    assert "not-the-right-one" not in str(refusal.value)


def test_a_login_that_runs_out_while_a_job_is_followed(azure_emulator, does, service, tmp_path):
    does(f"sleep 4; {WORKS}")
    made = submit(output=tmp_path / "run")
    azure_emulator.advance(2 * 3600)
    try:
        with pytest.raises(NotSignedIn) as refusal:
            made.result(Observer())
        assert "az login" in str(refusal.value)
    finally:
        azure_emulator.advance(-2 * 3600)
    again = keras_azure.job(json.loads((tmp_path / "run" / "job.json").read_text()))
    assert again.result(Observer()).test_accuracy == 0.75


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_workspace_that_is_not_there(kaz, azure_emulator, service, part):
    parts = str(service.workspace).split("/")
    parts[part] = "00000000-0000-0000-0000-000000000000" if part == 0 else "other"
    code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--workspace", "/".join(parts))
    assert code == 1
    assert "cannot be reached" in err
    assert "Try: " in err
    assert "Traceback" not in err


def test_a_size_that_the_region_lacks(azure_emulator, service):
    before = jobs(service)
    azure_emulator.set_size(SIZE, offered=False)
    with pytest.raises(NotAvailable, match=f"{SIZE} is not offered in westus2"):
        submit()
    assert jobs(service) == before


def test_no_quota(azure_emulator, kaz, tmp_path):
    azure_emulator.set_quota(find_size(BACKEND).family, 3)
    code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--output", str(tmp_path / "run"))
    assert code == 1
    assert "is 3 cores" in err
    assert "https://ml.azure.com/quota" in err
    assert not (tmp_path / "run").exists()


def test_an_existing_cluster_of_another_size_is_refused_and_left_alone(azure_emulator, service):
    from azure.ai.ml.entities import AmlCompute

    service.client.compute.begin_create_or_update(
        AmlCompute(name="theirs", size="Standard_DS3_v2", max_instances=1)
    ).result()
    with pytest.raises(UsageError, match=f"(?i)it has Standard_DS3_v2, and {SIZE} is asked for"):
        submit(backend=f"{BACKEND}(cluster='theirs')")
    assert service.client.compute.get("theirs").max_instances == 1


def test_a_cluster_with_other_scaling_is_used_as_it_is(azure_emulator, service, make_listener):
    from azure.ai.ml.entities import AmlCompute

    service.client.compute.begin_create_or_update(AmlCompute(name="wide", size=SIZE, max_instances=7)).result()
    listener = make_listener()
    submit(backend=f"{BACKEND}(cluster='wide')", observer=listener).cancel()
    assert listener.heard("The cluster wide is used as it is: it has at most 7 nodes")
    assert service.client.compute.get("wide").max_instances == 7


def test_azure_says_wait_and_is_waited_for(azure_emulator, service):
    azure_emulator.fault("jobs.create_or_update", status=429, retry_after=1, times=2)
    before = jobs(service)
    made = submit()
    assert jobs(service) - before == {made.name}
    made.cancel()


@pytest.mark.parametrize(("status", "hint"), [(500, "the same command again"), (403, "Contributor")])
def test_azure_refuses_to_the_end(azure_emulator, kaz, service, tmp_path, status, hint, monkeypatch):
    from azure.core.pipeline.policies import RetryPolicy

    monkeypatch.setattr(RetryPolicy, "get_backoff_time", lambda self, settings: 0)
    before = jobs(service)
    azure_emulator.fault("jobs.create_or_update", status=status, message="No.", times=None)
    code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--output", str(tmp_path / "run"))
    assert code == 1
    assert str(status) in err
    assert hint in err
    assert "Traceback" not in err
    assert jobs(service) == before


@pytest.mark.parametrize("after", [False, True])
def test_a_job_is_submitted_once_though_the_connection_ends(azure_emulator, service, monkeypatch, after):
    """Before Azure has it, and after, when only its answer is lost."""
    before = jobs(service)
    if after:
        from azure.core.exceptions import ServiceResponseError

        operations = service.client.jobs.__class__
        create = operations.create_or_update

        def cut(self, *arguments, **options):
            create(self, *arguments, **options)
            raise ServiceResponseError("Connection aborted.")

        monkeypatch.setattr(operations, "create_or_update", cut)
    else:
        azure_emulator.fault("jobs.create_or_update", cut=True)
    made = submit()
    assert jobs(service) - before == {made.name}
    made.cancel()


def test_a_login_that_ends_while_a_job_is_submitted(azure_emulator, kaz, service, idx_folder, tmp_path, monkeypatch):
    upload = backend._upload

    def upload_for_hours(*arguments):
        upload(*arguments)
        azure_emulator.advance(2 * 3600)

    before = jobs(service)
    command = ("run", "cnn", "--backend", BACKEND, "--data", str(idx_folder), "--output", str(tmp_path / "run"))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(backend, "_upload", upload_for_hours)
            code, _, err = kaz(*command)
    finally:
        azure_emulator.advance(-2 * 3600)
    assert code == 1
    assert "The job cannot be submitted: " in err
    assert "az login" in err
    assert f"kaz resume {tmp_path / 'run'}" in err
    assert "Traceback" not in err
    assert jobs(service) == before
    code, _, err = kaz(*command)
    assert code == 0
    assert "in the workspace already" in err
    assert len(jobs(service) - before) == 1


class Progress(Observer):
    def __init__(self):
        self.uploaded = []

    def advance(self, text, done, total):
        if text == "Uploading data":
            self.uploaded.append((done, total))


def test_a_slow_upload_shows_how_far_it_is_and_goes_through(azure_emulator, service, make_idx, tmp_path, monkeypatch):
    data = make_idx(tmp_path / "digits", 3000)  # 190 kB of pictures, and a third of it to test with
    monkeypatch.setattr(storage, "_BLOCK_BYTES", 50_000)
    azure_emulator.set_storage(upload_speed=100_000)
    progress = Progress()
    made = submit(data=str(data), observer=progress)
    total = sum(path.stat().st_size for path in data.iterdir())
    assert progress.uploaded == sorted(progress.uploaded)
    assert progress.uploaded[-1] == (total, total)
    assert len({done for done, _ in progress.uploaded}) >= 6  # four blocks and two, and the labels
    made.cancel()


def test_an_upload_that_is_too_slow_is_given_up_and_goes_through_later(
    azure_emulator, kaz, service, make_idx, tmp_path, monkeypatch
):
    from azure.storage.blob._shared.policies import StorageRetryPolicy

    data = make_idx(tmp_path / "digits", 3001)
    before = jobs(service)
    with monkeypatch.context() as patch:
        patch.setattr(StorageRetryPolicy, "sleep", lambda *arguments: None)
        patch.setattr(storage, "_TIMEOUTS", {"connection_timeout": 2, "read_timeout": 2})
        azure_emulator.set_storage(upload_speed=10_000)
        code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--data", str(data))
    assert code == 1
    assert "The upload was cut short; what is there already is not sent again: Azure does not answer" in err
    assert "timed out" in err
    assert "Traceback" not in err
    assert jobs(service) == before
    azure_emulator.set_storage()
    submit(data=str(data)).cancel()
    assert len(jobs(service) - before) == 1


def test_an_upload_that_was_interrupted_sends_what_is_missing(service, pictures, monkeypatch):
    from azure.core.exceptions import ServiceRequestError
    from azure.storage.blob import BlobClient

    upload, sent = BlobClient.upload_blob, []
    monkeypatch.setattr(storage, "_THREADS", 1)

    def upload_some(self, *arguments, **options):
        if self.blob_name.startswith("keras_azure/data/"):
            if len(sent) == 4:
                raise ServiceRequestError("Connection reset.")
            sent.append(self.blob_name)
        return upload(self, *arguments, **options)

    before = jobs(service)
    with monkeypatch.context() as patch:
        patch.setattr(BlobClient, "upload_blob", upload_some)
        with pytest.raises(CloudError, match="is not sent again"):
            submit(data=str(pictures), validation_split=0)
    assert jobs(service) == before
    first, sent = sent, []

    def upload_all(self, *arguments, **options):
        sent.append(self.blob_name)
        return upload(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(BlobClient, "upload_blob", upload_all)
        submit(data=str(pictures), validation_split=0).cancel()
    again = [name for name in sent if name.startswith("keras_azure/data/")]
    assert (len(first), len(again)) == (4, 2)
    assert not set(first) & set(again)


def test_storage_that_is_away_is_one_message(azure_emulator, kaz, make_pictures, tmp_path, service, monkeypatch):
    from azure.storage.blob._shared.policies import StorageRetryPolicy

    before = jobs(service)
    pictures = make_pictures(tmp_path / "pictures", 5)  # which no other test has brought there
    monkeypatch.setattr(StorageRetryPolicy, "sleep", lambda *arguments: None)
    azure_emulator.set_storage(reachable=False)
    code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--data", str(pictures))
    assert code == 1
    assert "Traceback" not in err
    assert "The workspace's storage cannot be listed: Azure does not answer" in err
    assert "Try: " in err
    assert jobs(service) == before


def test_a_job_whose_environment_cannot_be_built(azure_emulator):
    azure_emulator.fault("jobs.build_image", message="No such package: nonsense.")
    with pytest.raises(JobFailed, match="No such package: nonsense"):
        run()


def test_a_job_with_a_package_that_there_is_not_shows_what_pip_says(kaz, monkeypatch, tmp_path):
    dependencies = ["pip", {"pip": [f"nonsense @ file://{tmp_path}/nonsense.whl"]}]
    monkeypatch.setattr(job, "conda_file", lambda requirements: {"name": "x", "dependencies": dependencies})
    code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--output", str(tmp_path / "run"))
    assert code == 1
    assert "failed: Image build failed." in err
    shown = err.partition("The last lines of its log:")[2]
    assert "nonsense.whl" in shown
    assert "Traceback" not in err
    name = json.loads((tmp_path / "run" / "job.json").read_text())["name"]
    code, out, _ = kaz("jobs", "logs", name)
    assert code == 0
    assert "nonsense.whl" in out


def test_a_job_that_fails_shows_the_end_of_its_log(does, kaz, tmp_path):
    does("for i in $(seq 40); do echo line $i; done; echo 'Error: no such thing' >&2; exit 3")
    code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--output", str(tmp_path / "run"))
    assert code == 1
    shown = err.partition("The last lines of its log:")[2]
    assert "line 40" in shown
    assert "Error: no such thing" in shown
    assert "  line 1\n" not in shown
    assert "kaz jobs logs" in shown
    assert "Traceback" not in err
    assert not (tmp_path / "run" / "metrics.json").exists()


def test_a_job_that_somebody_else_cancels(does, service):
    does("sleep 60")
    made = submit()
    threading.Timer(1, lambda: service.client.jobs.begin_cancel(made.name)).start()
    with pytest.raises(JobFailed, match="was cancelled"):
        made.result(Observer())


def test_a_failed_job_is_resumed_in_a_new_one_with_its_files(does, service, tmp_path, make_listener):
    before = jobs(service)
    does(f"if test -e $RUN/checkpoint; then {WORKS}; else touch $RUN/checkpoint; exit 3; fi")
    with pytest.raises(JobFailed, match=f"kaz resume {tmp_path / 'run'}"):
        run(output=tmp_path / "run")
    (first,) = jobs(service) - before
    listener = make_listener()
    assert keras_azure.resume(tmp_path / "run", observer=listener).test_accuracy == 0.75
    assert jobs(service) - before == {first, f"{first}-2"}
    assert listener.heard(f"{first} failed: ")  # who has detached hears of it now
    assert listener.heard(f"{first}-2 goes on")
    assert (tmp_path / "run" / "checkpoint").exists()
    assert json.loads((tmp_path / "run" / "job.json").read_text())["name"] == f"{first}-2"
    # From another machine, where nothing is known but its name
    second = find_job(None, f"{first}-2")
    assert "model.keras" in second.download(tmp_path / "there", [], Observer())["files"]


def test_a_job_is_resumed_once_however_often_that_is_asked_for(does, service, tmp_path, monkeypatch):
    does("sleep 60")
    before = jobs(service)
    made = submit(output=tmp_path / "run")
    made.cancel()
    description = (tmp_path / "run" / "job.json").read_text()
    second = submit(output=tmp_path / "run", resume=True)
    assert submit(output=tmp_path / "run", resume=True) == second
    (tmp_path / "run" / "job.json").write_text(description)  # as on a machine that has not seen the second
    assert submit(output=tmp_path / "run", resume=True) == second
    # As by two commands at once, of which each finds the first job alone
    (tmp_path / "run" / "job.json").write_text(description)
    find, looks = backend._find_last, []
    monkeypatch.setattr(
        backend, "_find_last", lambda *given: looks.append(1) or (second.name, None) if not looks else find(*given)
    )
    assert submit(output=tmp_path / "run", resume=True) == second
    assert jobs(service) - before == {made.name, second.name}
    second.cancel()
    third = submit(output=tmp_path / "run", resume=True)
    assert third.name == f"{made.name}-3"
    third.cancel()


def test_a_download_that_was_interrupted_goes_on(service, tmp_path, monkeypatch):
    from azure.core.exceptions import IncompleteReadError
    from azure.storage.blob import StorageStreamDownloader

    monkeypatch.setattr(storage, "_THREADS", 1)
    made = submit(output=tmp_path / "run")
    read, got = StorageStreamDownloader.readinto, []

    def read_half(self, file):
        got.append(self.name)
        if len(got) == 2:
            file.write(b"half")
            raise IncompleteReadError("Connection reset.")
        return read(self, file)

    with monkeypatch.context() as patch:
        patch.setattr(StorageStreamDownloader, "readinto", read_half)
        with pytest.raises(CloudError, match="is not fetched again"):
            made.result(Observer())
    there = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert got[1].rpartition("/")[2] not in there
    assert "metrics.json" not in there
    assert not [name for name in there if name.endswith(".part")]
    got_before, got = set(got[:1]), []
    monkeypatch.setattr(
        StorageStreamDownloader, "readinto", lambda self, file: got.append(self.name) or read(self, file)
    )
    assert keras_azure.resume(tmp_path / "run", observer=Observer()).test_accuracy == 0.75
    assert not got_before & set(got)


def test_a_log_that_begins_anew_on_another_node_is_read_from_its_beginning(
    azure_emulator, does, service, make_listener
):
    does(f"if test -e $RUN/first; then echo second try; {WORKS}; else touch $RUN/first; echo first try; sleep 60; fi")
    made = submit(backend=f"{BACKEND}(spot=True)")
    listener = make_listener()

    def evict():
        for _ in range(200):
            if listener.heard("first try"):
                azure_emulator.evict(made.name)
                return
            time.sleep(0.1)

    thread = threading.Thread(target=evict)
    thread.start()
    assert made.result(listener).test_accuracy == 0.75
    thread.join()
    assert [text for text in listener.messages if text.endswith(" try")] == ["first try", "second try"]


def test_following_survives_errors_of_the_network(azure_emulator, does, monkeypatch):
    does(f"sleep 3; {WORKS}")
    made = submit()
    azure_emulator.fault("jobs.get", cut=True, times=6)
    assert made.result(Observer()).test_accuracy == 0.75


def test_a_retired_size_is_refused_when_that_is_asked_for(kaz, azure_emulator):
    code, _, err = kaz("run", "cnn", "--backend", "azure-nc6", "--strict-size")
    assert code == 1
    assert "Azure retired Standard_NC6" in err


def test_a_job_that_left_no_results_says_so(does):
    does("echo nothing")
    with pytest.raises(CloudError, match="has written no such files"):
        run()


def test_ctrl_c_while_a_job_is_submitted_leaves_it_to_be_found(service, does, kaz, tmp_path, monkeypatch):
    operations = service.client.jobs.__class__
    create = operations.create_or_update

    def stopped(self, *arguments, **options):
        create(self, *arguments, **options)
        raise KeyboardInterrupt

    before = jobs(service)
    with monkeypatch.context() as patch:
        patch.setattr(operations, "create_or_update", stopped)
        code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--output", str(tmp_path / "run"))
    assert code == 130
    assert f"kaz resume {tmp_path / 'run'}" in err
    assert keras_azure.resume(tmp_path / "run", observer=Observer()).test_accuracy == 0.75
    assert len(jobs(service) - before) == 1


def test_ctrl_c_while_results_are_fetched_leaves_them_to_be_fetched(kaz, azure_emulator, tmp_path, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage.Storage, "download", stopped)
        code, _, err = kaz("run", "cnn", "--backend", BACKEND, "--output", str(tmp_path / "run"))
    assert code == 130
    assert "kept in the workspace" in err
    code, out, _ = kaz("resume", str(tmp_path / "run"), "--json")
    assert (code, json.loads(out)["test_accuracy"]) == (0, 0.75)


def test_a_run_that_could_not_be_submitted_is_submitted_under_its_name_later(azure_emulator, service, tmp_path):
    azure_emulator.fault("jobs.create_or_update", status=400, message="Not now.")
    with pytest.raises(CloudError, match="Not now"):
        run(output=tmp_path / "run")
    name = json.loads((tmp_path / "run" / "job.json").read_text())["name"]
    assert name not in jobs(service)
    assert keras_azure.resume(tmp_path / "run", observer=Observer()).test_accuracy == 0.75
    assert name in jobs(service)


@pytest.mark.parametrize("data", ["azureml:theirs:1", "azureml://datastores/workspaceblobstore/paths/theirs/"])
def test_data_that_is_in_the_workspace_is_used_as_it_is(service, idx_folder, data, make_listener):
    from azure.ai.ml.entities import Data

    if data == "azureml:theirs:1":
        service.client.data.create_or_update(Data(name="theirs", version="1", type="uri_folder", path=str(idx_folder)))
    listener = make_listener()
    made = submit(data=data, observer=listener)
    assert "theirs" in service.client.jobs.get(made.name).inputs[DATA].path
    assert not listener.heard("Uploaded")
    made.cancel()
