"""Commands in messages can be copied into a shell."""

import subprocess
from pathlib import Path

import pytest

from keras_azure.description import commands
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig
from keras_azure.description.folder import DESCRIPTION, choose_run_dir
from keras_azure.errors import UsageError
from keras_azure.files import write_text

FOLDERS = ["runs", "my runs", "it's", 'say "so"', "$HOME", "a;b", "a&b", "what?", "*", "#1", "~", "名前", "-x", ""]


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_shell_takes_each_word_as_it_is_meant(folder):
    printed = subprocess.run(["sh", "-c", command("printf", "%s|", "a", folder)], capture_output=True, text=True).stdout
    assert printed == f"a|{folder}|"


def test_a_data_set_with_its_options_can_be_read():
    assert command("--data", "folder(path='/my data')") == "--data \"folder(path='/my data')\""


def test_what_needs_no_quotes_has_none():
    assert command("kaz", "resume", Path("/data/runs/1-cnn")) == "kaz resume /data/runs/1-cnn"


def test_windows_has_double_quotes(monkeypatch):
    monkeypatch.setattr(commands.os, "name", "nt")
    assert command("kaz", "resume", r"C:\\My Runs\\1-cnn") == r'kaz resume "C:\\My Runs\\1-cnn"'


@pytest.mark.parametrize("folder", ["my runs", "it's", "what?"])
def test_the_hint_of_a_run_in_such_a_folder_works(tmp_path, folder):
    run_dir = tmp_path / folder
    run_dir.mkdir()
    write_text(run_dir / DESCRIPTION, RunConfig("cnn").to_json())
    (run_dir / "checkpoints").mkdir()
    for other, resume in ((RunConfig("cnn", epochs=3), None), (RunConfig("cnn"), False)):
        with pytest.raises(UsageError) as refusal:
            choose_run_dir(other, run_dir, resume)
        assert command("kaz", "resume", run_dir) in refusal.value.hint
