"""Whole jobs: what they find, what they leave, and how they end."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from kaz_azure_emulator.execution import nodes

LOG = "dcid.job/user_logs/std_log.txt"
ONE, TWO = (str(number * 10**7 + os.getpid()) for number in (1, 2))  # seconds for which no other process sleeps


def test_a_job_reads_its_inputs_and_writes_its_outputs(storage, start, tmp_path):
    storage.put(**{"data/a.txt": "one", "data/deep/b.txt": "two", "other/file.csv": "x,y"})
    script = """
        import os, pathlib, sys
        folder, file, rate, output = map(str, sys.argv[1:])
        print("files", sorted(str(p.relative_to(folder)) for p in pathlib.Path(folder).rglob("*") if p.is_file()))
        print("file", pathlib.Path(file).name, pathlib.Path(file).read_text())
        print("rate", rate, os.environ["AZURE_ML_INPUT_data"] == folder, os.environ["GIVEN"], os.environ["RUN"])
        print("here", os.path.samefile(os.getcwd(), os.environ["AZUREML_CR_EXECUTION_WORKING_DIR_PATH"]))
        pathlib.Path(output, "sub").mkdir()
        pathlib.Path(output, "sub", "model.txt").write_text("weights")
        for name in "outputs", "logs":
            os.mkdir(name)
            pathlib.Path(name, "a.txt").write_text(name)
        print("to stderr", file=sys.stderr)
    """
    job = start(
        "python main.py ${{inputs.data}} ${{inputs.table}} ${{inputs.rate}} ${{outputs.model}} "
        "$[[--extra ${{inputs.extra}}]]",
        code={"main.py": textwrap.dedent(script)},
        inputs={
            "data": {"type": "uri_folder", "mode": "ReadOnlyMount", "url": storage.url("data")},
            "table": {"type": "uri_file", "mode": "Download", "url": storage.url("other/file.csv")},
            "rate": {"type": "literal", "value": "0.1"},
        },
        outputs={"model": {"type": "uri_folder", "mode": "ReadWriteMount", "url": storage.url("models/1/")}},
        environment={"image": "any", "conda_file": None, "environment_variables": {"GIVEN": "by the user"}},
        variables={"RUN": "job"},
    )
    outcome = job.outcome()
    log = storage.text(LOG).splitlines()

    assert (outcome.status, outcome.error, outcome.exit_code) == ("Completed", None, 0), log
    assert job.statuses == ["Preparing", "Running", "Finalizing"]
    assert sorted(log) == [
        "file file.csv x,y",
        "files ['a.txt', 'deep/b.txt']",
        "here True",
        "rate 0.1 True by the user job",
        "to stderr",
    ]
    assert storage.text("models/1/sub/model.txt") == "weights"
    assert storage.text("dcid.job/outputs/a.txt") == "outputs"
    assert storage.text("dcid.job/logs/a.txt") == "logs"
    assert not any((tmp_path / "job").iterdir())


def test_a_failing_command_is_told_with_its_last_lines(storage, run):
    outcome = run("mkdir outputs; echo kept > outputs/a.txt; for i in {1..50}; do echo line $i; done; exit 3")
    assert (outcome.status, outcome.exit_code) == ("Failed", 3)
    assert outcome.error["code"] == "UserError"
    assert "exited with status code 3" in outcome.error["message"]
    assert "'user_logs/std_log.txt'" in outcome.error["message"]
    assert outcome.error["message"].endswith("line 49\nline 50")
    assert "line 30\n" not in outcome.error["message"]
    assert storage.text(LOG).startswith("line 1\n")
    assert storage.text("dcid.job/outputs/a.txt") == "kept\n"


def test_a_signal_that_ends_the_command_is_its_exit_code(run):
    assert run("kill -9 $$").exit_code == 128 + signal.SIGKILL


def test_a_job_that_runs_too_long_is_asked_to_end_and_canceled(storage, start, monkeypatch):
    ahead = 0.0
    monkeypatch.setattr(nodes, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + ahead, sleep=time.sleep))
    job = start("trap 'echo asked; exit 0' TERM; echo started; while true; do sleep 0.1; done", timeout_seconds=3600.0)
    storage.wait_for(LOG, "started")
    assert job.statuses[-1] == "Running"
    ahead = 3600.0
    outcome = job.outcome()
    assert outcome.status == "Canceled"
    assert "limit of 3600 seconds" in outcome.error["message"]
    assert "asked" in storage.text(LOG)


def test_a_canceled_job_that_does_not_listen_is_killed(storage, start, monkeypatch):
    monkeypatch.setattr(nodes, "GRACE_SECONDS", 1.0)
    job = start("trap 'echo no' TERM; echo started; while true; do sleep 0.1; done")
    storage.wait_for(LOG, "started")
    job.canceled.set()
    assert job.outcome().status == "Canceled"
    assert "no" in storage.text(LOG).splitlines()


def test_a_job_can_be_canceled_before_it_runs(start):
    job = start("true", environment={"conda_file": "dependencies: [{pip: [colorama==0.4.5]}]"})
    job.canceled.set()
    assert job.outcome().status == "Canceled"
    assert job.statuses == ["Preparing"]


def test_logs_and_mounted_outputs_reach_storage_while_the_job_runs(storage, start):
    storage.put(**{"checkpoints/epoch-1": "old", "checkpoints/epoch-0": "older"})
    job = start(
        "cd ${{outputs.model}}; cat $AZURE_ML_OUTPUT_model/epoch-1; rm epoch-0; echo new > epoch-2; sleep 1000",
        outputs={"model": {"type": "uri_folder", "mode": "ReadWriteMount", "url": storage.url("checkpoints")}},
    )
    storage.wait_for(LOG, "old")
    storage.wait_for("checkpoints/epoch-2", "new")
    assert job.statuses[-1] == "Running"
    job.canceled.set()
    assert job.outcome().status == "Canceled"
    assert storage.names("checkpoints/") == ["checkpoints/epoch-1", "checkpoints/epoch-2"]


@pytest.mark.parametrize(("exit_code", "uploaded"), [(0, ["model/a"]), (1, [])])
def test_outputs_in_upload_mode_are_those_of_completed_jobs(storage, run, exit_code, uploaded):
    outputs = {"model": {"type": "uri_folder", "mode": "Upload", "url": storage.url("model")}}
    assert run(f"touch ${{{{outputs.model}}}}/a; exit {exit_code}", outputs=outputs).exit_code == exit_code
    assert storage.names("model/") == uploaded


def test_an_output_that_is_a_file(storage, run):
    outputs = {"report": {"type": "uri_file", "mode": "ReadWriteMount", "url": storage.url("reports/final.txt")}}
    assert run("echo done > ${{outputs.report}}", outputs=outputs).status == "Completed"
    assert storage.names("reports/") == ["reports/final.txt"]


def test_mounted_inputs_are_read_only_also_for_root(storage, run):
    storage.put(**{"data/a.txt": "one"})
    inputs = {"data": {"type": "uri_folder", "mode": "ReadOnlyMount", "url": storage.url("data")}}
    command = "echo x > ${{inputs.data}}/b.txt || echo x >> ${{inputs.data}}/a.txt || echo refused twice"
    assert run(command, inputs=inputs).status == "Completed"
    assert "refused twice" in storage.text(LOG)


def test_downloaded_inputs_can_be_changed(storage, run):
    storage.put(**{"data/a.txt": "one"})
    inputs = {"data": {"type": "uri_folder", "mode": "Download", "url": storage.url("data")}}
    assert run("echo two > ${{inputs.data}}/a.txt", inputs=inputs).status == "Completed"
    assert storage.text("data/a.txt") == "one"


@pytest.mark.parametrize("kind", ["uri_folder", "uri_file", "custom_model"])
def test_an_input_that_is_not_there_fails_the_job(storage, run, kind):
    storage.put(**{"data2/a.txt": "one"})  # its name starts as the missing one's
    outcome = run("true", inputs={"data": {"type": kind, "mode": "ReadOnlyMount", "url": storage.url("data")}})
    assert outcome.status == "Failed"
    assert "Input 'data'" in outcome.error["message"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a//b", "/x", "a\\..\\x", "./x"])
def test_names_that_lead_elsewhere_are_refused(storage, run, tmp_path, monkeypatch, name):
    # Clients tidy such names up before they send them; other programs need not.
    from kaz_azure_emulator.execution import storage as module

    class Blob:
        metadata = None

        def __init__(self):
            self.name = f"data/{name}"

    monkeypatch.setattr(module.ContainerClient, "list_blobs", lambda *_, **__: [Blob()])
    outcome = run("true", inputs={"data": {"type": "uri_folder", "mode": "Download", "url": storage.url("data")}})
    assert outcome.status == "Failed"
    assert "is no file in a folder" in outcome.error["message"]
    assert not [path for path in tmp_path.rglob("x") if path.is_file()]


def test_a_place_in_the_command_that_the_job_does_not_fill(run):
    outcome = run("echo ${{inputs.speed}}")
    assert outcome.status == "Failed"
    assert "inputs.speed" in outcome.error["message"]


def test_storage_that_is_away_fails_the_job_and_keeps_the_signature_secret(storage, run, monkeypatch):
    from kaz_azure_emulator.execution import storage as module

    monkeypatch.setitem(module._RETRIES, "retry_total", 0)
    url = storage.url("data").replace(storage.account_url, "http://127.0.0.1:9/devstoreaccount1")
    outcome = run("true", inputs={"data": {"type": "uri_folder", "mode": "Download", "url": url}})
    assert (outcome.status, outcome.error["code"]) == ("Failed", "DataAccessError")
    assert "sig=" not in outcome.error["message"]


def test_a_job_does_not_see_the_environment_of_the_emulator(storage, run, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hidden")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert run("env; echo; python -c 'import sys; print(sys.prefix)'").status == "Completed"
    seen, prefix = storage.text(LOG).split("\n\n")
    names = {line.partition("=")[0] for line in seen.splitlines()}
    assert not names & {"AZURE_CLIENT_SECRET", "PYTHONPATH"}
    assert f"HOME={os.environ.get('HOME')}" not in seen.splitlines()
    assert f"PATH={prefix.strip()}/bin:" in seen


def test_a_proxy_that_is_given_replaces_that_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://office:1")
    monkeypatch.setenv("http_proxy", "http://office:2")
    given = {"HTTPS_PROXY": "http://127.0.0.1:3"}
    seen = nodes.base_variables(tmp_path / "bin", tmp_path / "node", given)
    assert seen["HTTPS_PROXY"] == "http://127.0.0.1:3"
    assert seen["http_proxy"] == "http://office:2"
    assert "https_proxy" not in seen


def test_what_a_command_leaves_running_ends_with_it(storage, run):
    assert run(f"setsid sleep {ONE} & echo pid $!; (setsid sleep {TWO} &); sleep 0.5").status == "Completed"
    assert [pid for pid in psutil.pids() if _command(pid) in (["sleep", ONE], ["sleep", TWO])] == []


def test_nothing_is_left_when_the_emulator_is_killed(storage, describe, tmp_path):
    description = describe(f"(setsid sleep {ONE} &); trap '' TERM; echo started; sleep {TWO}; echo went on")
    (tmp_path / "job.json").write_text(description.to_json())
    program = """
        import sys, threading
        from pathlib import Path
        from kaz_azure_emulator.execution import JobDescription, run_job
        folder = Path(sys.argv[1])
        run_job(JobDescription.from_json((folder / "job.json").read_text()), folder / "job", print, threading.Event())
    """
    path = os.pathsep.join(filter(None, sys.path))
    emulator = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], env=os.environ | {"PYTHONPATH": path}
    )
    try:
        storage.wait_for(LOG, "started")
        below = psutil.Process(emulator.pid).children(recursive=True)
        assert len(below) >= 3
    finally:
        emulator.kill()
        emulator.wait()
    _, alive = psutil.wait_procs(below, timeout=300)
    assert alive == []
    assert [pid for pid in psutil.pids() if _command(pid) in (["sleep", ONE], ["sleep", TWO])] == []


def test_a_description_survives_json(describe):
    description = describe("true", distribution={"distributionType": "PyTorch"}, node_count=2, timeout_seconds=1.5)
    assert type(description).from_json(description.to_json()) == description
    assert json.loads(description.to_json())["node_count"] == 2


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:2]
    except OSError:
        return []
