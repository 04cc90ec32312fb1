"""The runs in a folder, from their files alone."""

import builtins
import datetime
import io
import json
import math
import os
import shutil
from pathlib import Path

import pytest

import keras_azure
from keras_azure.description.config import RunConfig
from keras_azure.description.listing import COLUMNS, ListedRun, list_runs
from keras_azure.description.text_table import cells
from keras_azure.errors import UsageError

OLD_RUNS = Path(__file__).parents[2] / "integration" / "old_runs"
RESULTS = {
    "test_loss": 0.25,
    "test_accuracy": 0.9,
    "test_metrics": {"loss": 0.25, "accuracy": 0.9},
    "images_per_second": 1234.5,
    "seconds": 61.2,
    "epochs": 3,
}


def make_run(folder: Path, results: dict | None = RESULTS, **settings) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(RunConfig(**{"model": "cnn", "epochs": 3, **settings}).to_json())
    if results is not None:
        (folder / "metrics.json").write_text(json.dumps(results))
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """The runs folder, which is not there yet."""
    monkeypatch.setenv("KAZ_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def only(folder: Path) -> ListedRun:
    (run,) = list_runs(folder)
    return run


def test_a_finished_run(here):
    make_run(here / "20260102-030405-cnn", model="cnn(dropout=0.1)", data="digits", backend="local-cpu")
    (run,) = keras_azure.runs()
    assert (run.name, run.state, run.problem) == ("20260102-030405-cnn", "finished", "")
    assert run.started == datetime.datetime(2026, 1, 2, 3, 4, 5)
    assert (run.model, run.data, run.backend) == ("cnn(dropout=0.1)", "digits", "local-cpu")
    assert (run.epochs, run.planned_epochs) == (3, 3)
    assert (run.metric, run.score, run.images_per_second, run.seconds) == ("accuracy", 0.9, 1234.5, 61.2)
    assert json.loads(json.dumps(run.to_json()))["started"] == "2026-01-02T03:04:05"


def test_runs_of_version_0_1_0():
    found = {run.name: run for run in keras_azure.runs(OLD_RUNS)}
    assert {name: run.state for name, run in found.items()} == {
        "autoencoder": "finished",
        "classify": "finished",
        "features": "finished",
        "staged": "finished",
        "unfinished": "unfinished",
    }
    assert (found["autoencoder"].metric, found["classify"].metric) == ("loss", "accuracy")
    assert (found["unfinished"].epochs, found["unfinished"].planned_epochs) == (1, 4)
    assert found["classify"].score == json.loads((OLD_RUNS / "classify/metrics.json").read_text())["test_accuracy"]


@pytest.mark.parametrize(
    ("task", "scores", "metric"),
    [
        ("multilabel", {"loss": 0.3, "macro_f1": 0.7, "micro_f1": 0.8}, "macro_f1"),
        ("regress", {"loss": 1.3, "mae": 0.7, "rmse": 1.1}, "mae"),
        (None, {"loss": 0.3}, "loss"),
        ("a later one", {"iou": 0.3}, "iou"),
    ],
)
def test_the_score_is_that_of_the_task(here, task, scores, metric):
    make_run(here / "run", {**RESULTS, "task": task, "test_accuracy": None, "test_metrics": scores})
    run = only(here)
    assert (run.metric, run.score) == (metric, scores[metric])


def test_how_far_an_unfinished_run_is(here):
    run_dir = make_run(here / "run", None, fine_tune="blocks=2,epochs=4")
    assert (only(here).state, only(here).epochs, only(here).planned_epochs) == ("unfinished", 0, 7)
    (run_dir / "history.csv").write_text("epoch,loss\n1,0.5\n2,0.4\n")
    assert only(here).epochs == 2
    assert "2 of 7" in str(keras_azure.runs())


def test_a_submitted_run_is_one_until_its_results_are_fetched(here):
    run_dir = make_run(here / "run", None)
    (run_dir / "job.json").write_text('{"name": "kaz-cnn-1"}')
    assert (only(here).state, only(here).job) == ("submitted", "kaz-cnn-1")
    (run_dir / "metrics.json").write_text(json.dumps(RESULTS))
    assert only(here).state == "finished"


def test_what_is_no_run_is_not_listed(here):
    make_run(here / "run")
    (here / "mlartifacts/1").mkdir(parents=True)
    (here / "mlflow.db").write_bytes(b"SQLite")
    (here / "begun").mkdir()
    (here / "begun/.lock").touch()
    assert only(here).name == "run"


def test_the_folder_of_a_run_is_that_run_alone(here):
    make_run(here / "run")
    make_run(here / "other")
    (run,) = keras_azure.runs(here / "run")
    assert run.name == "run"


def test_a_run_of_a_named_folder_began_when_its_description_was_written(here):
    moment = datetime.datetime(2026, 3, 4, 5, 6, 7)
    os.utime(make_run(here / "mine") / "run.json", (moment.timestamp(),) * 2)
    assert only(here).started == moment


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("run.json", b'{"model": "cn', "run.json is not JSON"),
        ("run.json", b"[]", "run.json is no JSON object"),
        ("run.json", b"{}", "run.json: it names no model"),
        ("run.json", b'{"model": 3}', "run.json: its model is no text"),
        ("run.json", b'{"model": "cnn", "epochs": "many"}', "run.json: epochs is no number"),
        (
            "run.json",
            b'{"model": "cnn", "epochs": 2, "fine_tune": "?"}',
            "run.json: The setting 'fine_tune' cannot be '?'",
        ),
        ("run.json", b"\xff\xfe{\0}\0", "run.json is not UTF-8 text"),
        ("run.json", b'{"model":' * 100_000, "run.json is not JSON"),
        ("metrics.json", b"", "metrics.json is not JSON"),
        ("metrics.json", b'{"test_metrics": {}}', "metrics.json: test_metrics holds no scores"),
        ("metrics.json", b'{"test_metrics": {"loss": "low"}}', "metrics.json: the test score loss is no number"),
        ("metrics.json", b'{"test_metrics": {"loss": 1}, "epochs": NaN}', "metrics.json: epochs is no count"),
        ("metrics.json", b'{"test_metrics": {"loss": 1}, "epochs": 1e300}', "metrics.json: epochs is no count"),
        ("metrics.json", b'{"test_metrics": {"loss": 1}, "epochs": 1%s}' % (b"0" * 400), "metrics.json: epochs is no"),
    ],
)
def test_damage_is_said_in_a_line_and_the_others_are_listed(here, kaz, file, content, problem):
    (make_run(here / "20260101-000000-cnn") / file).write_bytes(content)
    make_run(here / "20260101-000001-cnn")
    sound, damaged = keras_azure.runs()
    assert (sound.state, damaged.state) == ("finished", "damaged")
    assert damaged.problem.startswith(problem)
    code, out, err = kaz("runs")
    assert (code, err, len(out.splitlines())) == (0, "", 3)
    assert f"20260101-000000-cnn  damaged: {problem}" in out


def test_a_folder_without_its_description_is_damaged(here):
    (make_run(here / "run") / "run.json").unlink()
    assert (only(here).state, only(here).problem) == ("damaged", "run.json is missing")


def test_folders_and_pipes_in_place_of_files_are_damage(here):
    (here / "folder/run.json").mkdir(parents=True)
    run_dir = make_run(here / "pipe", None)
    os.mkfifo(run_dir / "metrics.json")
    assert {run.name: run.problem for run in list_runs(here)} == {
        "folder": "run.json is no file",
        "pipe": "metrics.json is no file",
    }


def test_a_ring_of_links_holds_no_run(here):
    here.mkdir()
    (here / "ring").symlink_to("ring")
    make_run(here / "run")
    assert only(here).name == "run"


def test_a_score_that_is_nan_is_shown_and_is_null_in_json(here, kaz):
    make_run(here / "run", {**RESULTS, "test_metrics": {"loss": math.nan}, "test_accuracy": None})
    assert only(here).state == "finished"
    assert " nan " in kaz("runs")[1]
    assert json.loads(kaz("runs", "--json")[1])[0]["score"] is None


def results_of(**changes) -> dict:
    return {**RESULTS, **changes}


@pytest.fixture
def several(here) -> Path:
    make_run(here / "20260101-000001-a", results_of(seconds=5), model="b", backend="local")
    make_run(here / "20260101-000003-b", results_of(test_metrics={"accuracy": 0.5}, seconds=7), model="a")
    make_run(here / "20260101-000002-c", results_of(test_metrics={"loss": 0.1}, test_accuracy=None), model="C")
    make_run(here / "20260101-000004-d", results_of(test_metrics={"loss": 0.05}, test_accuracy=None), model="c")
    make_run(here / "20260101-000005-e", None, model="d")
    make_run(here / "20260101-000000-f", results_of(test_metrics={"accuracy": math.nan}, seconds=6), model="e")
    return here


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("started", "edbcaf"),
        ("name", "facbde"),
        ("model", "badcef"),
        ("score", "abdcef"),  # of accuracies the highest, of losses the lowest
        ("seconds", "dcbfae"),
        ("epochs", "dbcafe"),
    ],
)
def test_sorted_by(several, column, order):
    assert "".join(run.name[-1] for run in keras_azure.runs(sort=column)) == order


@pytest.mark.parametrize("column", COLUMNS)
def test_any_column_sorts(several, column):
    assert len(keras_azure.runs(sort=column)) == 6


def test_an_unknown_column_is_refused_with_those_there_are(several, kaz):
    code, out, err = kaz("runs", "--sort", "luck")
    assert (code, out) == (2, "")
    assert "no column 'luck'" in err
    assert all(column in err for column in COLUMNS)
    with pytest.raises(UsageError):
        keras_azure.runs(sort="luck")


def test_what_headings_say_sorts_too(several, kaz):
    for heading, column in (("images/s", "images_per_second"), ("time", "seconds"), ("accuracy", "score")):
        assert kaz("runs", "--sort", heading)[1] == kaz("runs", "--sort", column)[1]


def test_nothing_is_there(here, kaz):
    code, out, err = kaz("runs")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        f"There are no runs in {here}.",
        "Try: kaz run cnn; or, for other folders, kaz runs FOLDER or KAZ_RUNS",
    ]
    assert kaz("runs", "--json")[:2] == (0, "[]\n")


def test_a_folder_that_is_not_there_is_refused(tmp_path, kaz):
    code, _, err = kaz("runs", str(tmp_path / "nowhere"))
    assert code == 2
    assert "cannot be listed: No such file or directory" in err


def test_the_table_fits_a_terminal(here, kaz, monkeypatch):
    long = "cnn(filters=(16, 32, 64, 128), dropout=0.5)"
    make_run(here / "20260101-000000-cnn", model=long, data="folder(path='/somewhere/very/far/犬猫の写真')")
    make_run(here / ("n" * 60), None, backend="azure-nc24ads-a100-v4(spot=True)", model=long)
    make_run(here / "broken\x1b[31m", results_of(seconds="x"))
    monkeypatch.delenv("COLUMNS", raising=False)
    out = kaz("runs")[1]
    assert max(map(cells, out.splitlines())) <= 80
    assert "\x1b[31m" not in out
    monkeypatch.setenv("COLUMNS", "200")
    out = kaz("runs")[1]
    assert max(map(cells, out.splitlines())) <= 200
    assert all(whole in out for whole in (long, "n" * 60, "犬猫の写真", "local"))


def test_a_thousand_runs_take_two_small_files_each(here, monkeypatch):
    make_run(here / "0000", None)
    shutil.copytree(OLD_RUNS / "classify", here / "0000", dirs_exist_ok=True)
    for number in range(1, 1000):
        shutil.copytree(here / "0000", here / f"{number:04}", copy_function=os.link)
    opened = []

    def counted(file, *arguments, real=io.open, **keywords):
        opened.append(Path(file).name)
        return real(file, *arguments, **keywords)

    monkeypatch.setattr(io, "open", counted)
    monkeypatch.setattr(builtins, "open", counted)
    assert len(list_runs(here)) == 1000
    assert sorted(opened) == ["metrics.json"] * 1000 + ["run.json"] * 1000
