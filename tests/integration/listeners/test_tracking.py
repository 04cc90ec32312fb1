"""The record in MLflow, in a real store; and what a failing or slow one does to a run: nothing."""

import http.server
import json
import shlex
import threading
from pathlib import Path

import mlflow
import pytest

import keras_azure.listeners.tracking as tracking
from keras_azure.cli.run import _how_to_see
from keras_azure.description.config import RunConfig
from keras_azure.description.result import RunResult
from keras_azure.errors import RunInterrupted
from keras_azure.listeners.tracking import Tracker

CONFIG = RunConfig("cnn", epochs=2)
ROWS = [
    {"epoch": 1, "loss": 0.5, "accuracy": 0.75, "images_per_second": 1000.0},
    {"epoch": 2, "loss": 0.25, "accuracy": 0.875, "images_per_second": 1200.0},
]


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KAZ_RUNS", str(tmp_path / "runs"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = tmp_path / "runs" / "one-run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "epoch-0002.npz").write_text("large")
    (folder / "plots").mkdir()
    (folder / "plots" / "curve.png").write_text("a picture")
    (folder / "model.keras").write_text("a model")
    return folder


def result(run_dir: Path) -> RunResult:
    return RunResult(run_dir, 0.1, 0.97, {"loss": 0.1, "accuracy": 0.97}, 1100.0, 42, 3.0, 2, tuple(ROWS))


def record(run_dir: Path, config: RunConfig = CONFIG) -> Tracker:
    with Tracker(config, run_dir) as tracker:
        for row in ROWS:
            tracker.log_epoch(row)
        tracker.log_result(result(run_dir), {"python": "3.11", "device": "cpu:0"}, {"test_loss": 0.1})
    return tracker


def stored(tracker: Tracker):
    client = mlflow.MlflowClient(tracker.address["uri"])
    return client, client.get_run(tracker.address["run_id"])


def test_mlflow_is_asked_when_training_goes_on_and_not_before(run_dir):
    with Tracker(CONFIG, run_dir) as tracker:
        assert tracker.address is None
        assert "mlflow" not in {thread.name for thread in threading.enumerate()}
        tracker.begin()
        tracker.begin()
        assert "mlflow" in {thread.name for thread in threading.enumerate()}
    assert stored(tracker)[1].info.status == "FINISHED"


def test_everything_of_a_run_is_recorded(run_dir):
    tracker = record(run_dir)
    assert tracker.problems == []
    client, run = stored(tracker)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "one-run"
    assert run.data.params["model"] == "cnn"
    assert run.data.params["epochs"] == "2"
    assert run.data.tags["environment.device"] == "cpu:0"
    assert run.data.metrics["test_accuracy"] == 0.97
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in losses] == [(1, 0.5), (2, 0.25)]
    assert [point.value for point in client.get_metric_history(run.info.run_id, "images_per_second")] == [1000, 1200]
    artifacts = {found.path for found in client.list_artifacts(run.info.run_id)}
    assert {"model.keras", "metrics.json", "plots", "environment"} <= artifacts
    assert "checkpoints" not in artifacts
    requirements = Path(client.download_artifacts(run.info.run_id, "environment/requirements.txt")).read_text()
    assert f"mlflow=={mlflow.__version__}" in requirements


def test_the_default_store_is_in_the_runs_folder(run_dir, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    record(run_dir)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["mlartifacts", "mlflow.db", "one-run"]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.parametrize("folder", ["what is it?", "a#b", "50%", "a%20b", "?x=1&y#%3F"])
def test_the_default_store_stays_there_whatever_the_path_has_in_it(run_dir, monkeypatch, tmp_path, folder):
    runs = tmp_path / folder / "runs"
    (run_dir.parent).rename(tmp_path / "moved")
    runs.parent.mkdir()
    (tmp_path / "moved").rename(runs)
    monkeypatch.setenv("KAZ_RUNS", str(runs))
    monkeypatch.chdir(runs.parent)
    tracker, again = record(runs / "one-run"), record(runs / "one-run")
    assert again.address == tracker.address  # it was found there
    assert tracker.problems == again.problems == []
    assert sorted(path.name for path in runs.iterdir()) == ["mlartifacts", "mlflow.db", "one-run"]
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert [path.name for path in runs.parent.iterdir()] == ["runs"]

    command, interface, option, address = shlex.split(_how_to_see(tracker.address))
    assert (command, interface, option) == ("mlflow", "ui", "--backend-store-uri")
    client = mlflow.MlflowClient(address)
    (experiment,) = client.search_experiments(filter_string="name = 'keras_azure'")
    assert len(client.search_runs([experiment.experiment_id])) == 1
    downloaded = client.download_artifacts(tracker.address["run_id"], "metrics.json")
    assert Path(downloaded).read_text()


def test_a_store_of_the_users_is_honoured(run_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mine.db")
    tracker = record(run_dir)
    assert stored(tracker)[1].info.status == "FINISHED"
    assert (tmp_path / "mine.db").exists()
    assert not (tmp_path / "runs" / "mlflow.db").exists()


def test_a_run_that_goes_on_keeps_its_record(run_dir):
    with pytest.raises(RunInterrupted), Tracker(CONFIG, run_dir) as first:
        first.log_epoch(ROWS[0])
        raise RunInterrupted("stopped")
    _, run = stored(first)
    assert run.info.status == "KILLED"
    second = record(run_dir)
    assert second.address == first.address
    assert stored(second)[1].info.status == "FINISHED"


def points(tracker: Tracker, name: str) -> list[tuple[int, float]]:
    client, run = stored(tracker)
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]


def test_a_run_that_goes_on_adds_what_its_record_lacks_and_nothing_twice(run_dir):
    with pytest.raises(RunInterrupted), Tracker(CONFIG, run_dir) as first:
        first.log_epoch(ROWS[0])  # of two epochs that were finished
        raise RunInterrupted("stopped")
    for _ in range(2):  # the second time it was stopped at the very end
        with Tracker(CONFIG, run_dir, ROWS) as second:
            second.log_epoch(ROWS[1])
            second.log_result(result(run_dir), {}, {})
    assert second.address == first.address
    assert points(second, "loss") == [(1, 0.5), (2, 0.25)]
    assert points(second, "test_loss") == [(2, 0.1)]


def test_a_record_that_was_begun_and_not_noted_is_found_again(run_dir):
    with Tracker(CONFIG, run_dir) as first:
        pass
    client, run = stored(first)
    tag = run.data.tags["keras_azure.run"]
    (run_dir / "tracking.json").write_text(json.dumps({"uri": first.address["uri"], "tag": tag}))
    second = record(run_dir)
    assert second.address == first.address
    assert len(client.search_runs([run.info.experiment_id])) == 1


def test_a_record_that_was_removed_is_made_anew(run_dir):
    with Tracker(CONFIG, run_dir) as first:
        pass
    client, run = stored(first)
    client.delete_run(run.info.run_id)
    second = record(run_dir)
    assert second.problems == []
    assert second.address["run_id"] != first.address["run_id"]
    assert stored(second)[1].info.status == "FINISHED"


@pytest.mark.parametrize("content", ["", "[1]", '{"uri": 7, "run_id": [], "tag": {}}', "\0"])
def test_a_damaged_note_of_where_it_was_recorded_makes_a_new_record(run_dir, content):
    (run_dir / "tracking.json").write_text(content)
    assert record(run_dir).problems == []


def test_a_failed_run_is_recorded_as_failed(run_dir):
    with pytest.raises(ZeroDivisionError), Tracker(CONFIG, run_dir) as tracker:
        raise ZeroDivisionError
    assert stored(tracker)[1].info.status == "FAILED"


def test_off_means_off(run_dir, tmp_path):
    tracker = record(run_dir, RunConfig("cnn", tracking=False))
    assert tracker.address is None
    assert not (tmp_path / "runs" / "mlflow.db").exists()


def test_a_server_that_is_away_is_one_sentence_at_the_end(run_dir, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:hunter2@127.0.0.1:9/?token=sesame")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = record(run_dir)
    (problem,) = tracker.problems
    assert "127.0.0.1:9" in problem
    assert "\n" not in problem
    for secret in ("hunter2", "someone", "sesame"):
        assert secret not in problem
        assert secret not in json.dumps(tracker.address)


def test_a_full_disk_is_one_sentence_at_the_end(run_dir, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/full/mlflow.db")
    tracker = record(run_dir)
    assert len(tracker.problems) == 1
    assert tracker.address is None


@pytest.fixture
def slow_server():
    """Its address, and what lets it answer: until that is set it does not."""
    answers = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answers.wait(60)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    answers.set()
    server.shutdown()
    server.server_close()


def test_a_slow_server_slows_nothing_and_is_given_up_at_the_end(run_dir, monkeypatch, slow_server):
    address, answers = slow_server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 0.5)
    with Tracker(CONFIG, run_dir) as tracker:
        for _ in range(1000):
            tracker.log_epoch(ROWS[0])  # would never come back if it waited for an answer
        assert tracker.problems == []  # and has not given up waiting for one either
    assert "no answer" in tracker.problems[0]
    answers.set()
    tracker._worker.join(300)  # its retries draw from Python's random numbers, which seed the next test's model
    assert not tracker._worker.is_alive()
