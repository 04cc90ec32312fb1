"""How many lost nodes a job survives."""

import sys

import pytest

from keras_azure.backends.azure import attempts


@pytest.fixture
def begin(tmp_path, monkeypatch):
    def again(most):
        monkeypatch.setattr(sys, "argv", ["attempts", str(tmp_path / "run"), str(most)])
        return attempts.main()

    return again


def test_a_job_is_given_up_after_so_many_lost_nodes(begin, capsys):
    assert [begin(2) for _ in range(4)] == [0, 0, 0, 1]
    assert "lost its node 3 times, and is given up after 2" in capsys.readouterr().err


def test_without_restarts_the_first_lost_node_ends_it(begin):
    assert [begin(0), begin(0)] == [0, 1]


def test_a_job_that_goes_on_with_the_run_of_another_counts_from_one(begin, monkeypatch):
    monkeypatch.setenv("AZUREML_RUN_ID", "kaz-cnn-20250101-000000-abcdef")
    assert [begin(0), begin(0)] == [0, 1]
    monkeypatch.setenv("AZUREML_RUN_ID", "kaz-cnn-20250101-000000-abcdef-2")
    assert [begin(0), begin(0)] == [0, 1]


@pytest.mark.parametrize("content", [b"", b"\xff\0", b"-3", b"1.5"])
def test_a_count_that_was_half_written_begins_again(begin, tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".attempts").write_bytes(content)
    assert begin(3) == 0
    assert (tmp_path / "run" / ".attempts").read_text() == "1"


def test_the_count_does_not_make_the_run_folder_a_used_one(begin, tmp_path, monkeypatch):
    from keras_azure.description.config import RunConfig
    from keras_azure.description.folder import choose_run_dir

    begin(3)
    assert choose_run_dir(RunConfig("cnn"), tmp_path / "run", None) == (tmp_path / "run", False)
