"""Files are whole or not there."""

import errno
import os

import pytest

from keras_azure.errors import RunFailed
from keras_azure.files import write_atomically, write_text


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
