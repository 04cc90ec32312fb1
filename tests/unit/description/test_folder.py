"""Which folder a run gets, and which runs go on."""

import json
import re

import pytest

from keras_azure.description.config import RunConfig
from keras_azure.description.folder import choose_run_dir, is_finished, read_description, read_result
from keras_azure.errors import ConfigError, OutputExists, UsageError

CONFIG = RunConfig("cnn", epochs=3)


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def unfinished(folder, config=CONFIG):
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(config.to_json())
    return folder


def finished(folder, config=CONFIG):
    (unfinished(folder, config) / "metrics.json").write_text("{}")
    return folder


def test_without_an_output_each_run_has_a_folder_of_its_own(runs_folder):
    first, second = (choose_run_dir(CONFIG, None, None) for _ in range(2))
    assert first[0] != second[0]
    assert first[0].parent == runs_folder
    assert re.fullmatch(r"\d{8}-\d{6}-cnn", first[0].name)
    assert (first[1], second[1]) == (False, False)


@pytest.mark.parametrize("resume", [None, False])
def test_an_output_that_is_not_there_or_empty_is_a_new_run(tmp_path, resume):
    assert choose_run_dir(CONFIG, tmp_path / "new", resume) == (tmp_path / "new", False)
    (tmp_path / "new/.lock").touch()  # of a run that was killed before it began
    assert choose_run_dir(CONFIG, tmp_path / "new", resume) == (tmp_path / "new", False)


@pytest.mark.parametrize("resume", [None, True])
def test_an_unfinished_run_of_the_same_settings_goes_on(tmp_path, resume):
    folder = unfinished(tmp_path / "run")
    assert choose_run_dir(CONFIG, folder, resume) == (folder, True)
    (folder / "metrics.json").write_text('{"half": ')  # such as a mounted folder may show
    assert choose_run_dir(CONFIG, folder, resume) == (folder, True)


def test_other_settings_are_refused_and_the_fields_that_differ_are_shown(tmp_path):
    folder = unfinished(tmp_path / "run")
    with pytest.raises(ConfigError) as refused:
        choose_run_dir(RunConfig("cnn", epochs=5, augment=["flip"]), folder, None)
    message = str(refused.value)
    assert "epochs is 3 there and 5 here" in message
    assert "augment is () there and ('flip',) here" in message
    assert "batch_size" not in message
    assert f"kaz resume {folder}" in message


@pytest.mark.parametrize("resume", [None, False])
def test_nothing_is_overwritten(tmp_path, resume):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").touch()
    for folder in (finished(tmp_path / "run"), tmp_path / "mine"):
        with pytest.raises(OutputExists, match="nothing is overwritten"):
            choose_run_dir(CONFIG, folder, resume)
    if resume is False:
        with pytest.raises(OutputExists, match="kaz resume"):
            choose_run_dir(CONFIG, unfinished(tmp_path / "stopped"), resume)


def test_resume_finds_the_newest_unfinished_run_of_the_same_settings(runs_folder):
    unfinished(runs_folder / "20260101-000000-cnn")
    wanted = unfinished(runs_folder / "20260102-000000-cnn")
    unfinished(runs_folder / "20260103-000000-cnn", RunConfig("cnn", epochs=4))
    finished(runs_folder / "20260104-000000-cnn")
    (unfinished(runs_folder / "20260105-000000-cnn") / "run.json").write_text("{")
    assert choose_run_dir(CONFIG, None, True) == (wanted, True)


def test_resume_of_nothing_says_so(tmp_path, runs_folder):
    with pytest.raises(UsageError, match="no unfinished run of this configuration"):
        choose_run_dir(CONFIG, None, True)
    for folder in (tmp_path / "nowhere", finished(tmp_path / "run")):
        with pytest.raises(UsageError, match="no unfinished run in"):
            choose_run_dir(CONFIG, folder, True)


@pytest.mark.parametrize("content", ["", "[" * 10_000, json.dumps([1]), "\udcff"])
def test_only_a_whole_file_of_results_makes_a_run_finished(tmp_path, content):
    (tmp_path / "metrics.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    assert not is_finished(tmp_path)


def test_a_damaged_description_is_one_message(tmp_path):
    (tmp_path / "run.json").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="it is not UTF-8"):
        read_description(tmp_path)


RESULTS = {
    "test_loss": 0.5,
    "test_accuracy": None,
    "test_metrics": {"loss": 0.5},
    "images_per_second": 10.0,
    "parameters": 3,
    "seconds": 1.5,
    "epochs": 2,
    "class_names": ["a", "b"],
}


def test_a_result_is_read_from_its_files(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(RESULTS))
    (tmp_path / "history.csv").write_text("epoch,loss\n1,0.25\n2,nan\n")
    result = read_result(tmp_path, {"uri": "x", "run_id": "y"})
    assert (result.run_dir, result.test_accuracy, result.epochs) == (tmp_path, None, 2)
    assert result.history[0] == {"epoch": 1, "loss": 0.25}
    assert isinstance(result.history[1]["epoch"], int)
    assert result.tracking == {"uri": "x", "run_id": "y"}


@pytest.mark.parametrize(
    ("metrics", "history"),
    [
        (None, "epoch,loss\n"),
        ("{", "epoch,loss\n"),
        ("[]", "epoch,loss\n"),
        ("{}", "epoch,loss\n"),
        (json.dumps(RESULTS), None),
        (json.dumps(RESULTS), "epoch,loss\n1,many\n"),
        (json.dumps(RESULTS), "loss\n1\n"),
        (json.dumps(RESULTS), "epoch,loss\n1\n"),
    ],
)
def test_a_damaged_result_is_one_message(tmp_path, metrics, history):
    for name, content in (("metrics.json", metrics), ("history.csv", history)):
        if content is not None:
            (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match="no results that can be read"):
        read_result(tmp_path)
