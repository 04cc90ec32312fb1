"""Logs, as they grow and as they begin anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_azure.backends.azure import following
from keras_azure.backends.azure.following import Log


def read_in_parts(monkeypatch, contents):
    """What a follower tells that sees these states of a log, one after the other."""
    now = [b""]
    monkeypatch.setattr(following, "read_from", lambda address, start: now[0][start:])
    log, lines = Log("log"), []
    for content in contents:
        now[0] = content
        lines += log.new_lines("address")
    return lines + log.last_line()


@given(st.lists(st.binary(max_size=400), max_size=6))
def test_each_line_is_told_once_however_it_comes(parts):
    states = [b"".join(parts[: number + 1]) for number in range(len(parts))]
    with pytest.MonkeyPatch.context() as patch:
        told = read_in_parts(patch, states)
    whole = b"".join(parts).decode(errors="replace").split("\n")
    assert "".join(told).replace("\r", "") == "".join(whole).replace("\r", "")


@pytest.mark.parametrize("second", [b"two\n", b"a much longer log of the second try\nwith two lines\n", b""])
def test_a_log_that_begins_anew_is_told_from_its_beginning(monkeypatch, second):
    told = read_in_parts(monkeypatch, [b"one\nhal", second])
    assert told == ["one", "hal", *second.decode().splitlines()]


def test_what_is_no_text_is_told_nevertheless(monkeypatch):
    assert read_in_parts(monkeypatch, [b"\xff\xc3", b"\xff\xc3\xa9\r\n"]) == ["\N{REPLACEMENT CHARACTER}\u00e9"]
