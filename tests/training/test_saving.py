"""Files are whole or not there."""

import errno
import os

import keras
import pytest

from keras_azure.errors import RunFailed
from keras_azure.training.history import History
from keras_azure.training.saving import save_model, write_atomically, write_text


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "file.txt"
    write_text(path, "before")

    def fail(beside):
        beside.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(RunFailed, match=r"(?s)file\.txt cannot be written: No space left on device.*free some"):
        write_atomically(path, fail)
    assert path.read_text() == "before"
    assert [found.name for found in tmp_path.iterdir()] == ["file.txt"]


def test_an_interrupt_in_a_write_leaves_nothing_beside(tmp_path):
    def interrupt(beside):
        beside.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file.txt", interrupt)
    assert list(tmp_path.iterdir()) == []


def test_files_have_the_permissions_of_any_new_file(tmp_path):
    write_text(tmp_path / "ours", "")
    (tmp_path / "theirs").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_equal_models_give_equal_files(tmp_path):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    save_model(model, tmp_path / "one.keras")
    save_model(model, tmp_path / "two.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
    loaded = keras.saving.load_model(tmp_path / "one.keras")
    assert all((a == b).all() for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True))


def test_the_history_reads_back_without_loss(tmp_path):
    history = History(tmp_path)
    rows = [{"epoch": 1, "loss": 1 / 3, "val_loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-30, "val_loss": 0.25}]
    for row in rows:
        history.append(row)
    assert list(History.load(tmp_path, 2)) == rows
    assert list(History.load(tmp_path, 1)) == rows[:1]
    assert history.best_epoch == 2
    assert history.epochs_since_best() == 0
