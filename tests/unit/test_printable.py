"""Text from elsewhere, made fit for a terminal and for UTF-8, wherever it leaves."""

import pytest

from keras_azure.errors import DataError, UnknownName
from keras_azure.redaction import printable, printable_lines

HARMFUL = "a\x1b[31mb\r\tc\u202ed\udcffe\x85f\u2028g"
WRITTEN_OUT = r"a\x1b[31mb\r\tc\u202ed\udcffe\x85f\u2028g"


@pytest.mark.parametrize("text", ["", "a b", "é 🙈 漢字", r"C:\new \x1b", "[red]"])
def test_what_can_be_printed_stays(text):
    assert printable(text) == printable_lines(text) == text


def test_what_cannot_be_printed_is_written_out():
    assert printable(HARMFUL) == printable_lines(HARMFUL) == WRITTEN_OUT
    assert printable(WRITTEN_OUT) == WRITTEN_OUT


def test_line_ends_stay_where_there_may_be_several_lines():
    assert printable("\none\n\ntwo\n") == r"\none\n\ntwo\n"
    assert printable_lines("\none\n\ntwo\n") == "\none\n\ntwo\n"


def test_each_part_of_an_error_can_be_printed():
    error = DataError(f"{HARMFUL}\nmore", expected=HARMFUL, hint=HARMFUL)
    assert str(error) == f"{WRITTEN_OUT}\nmore\nExpected: {WRITTEN_OUT}\nTry: {WRITTEN_OUT}"
    assert error.args == (f"{WRITTEN_OUT}\nmore",)
    assert "\x1b" not in str(UnknownName.among("model", "x", [HARMFUL]))


def test_what_the_command_prints_of_a_plugin_is_written_out(kaz, install_plugin):
    code = f"def net(input_shape, num_classes, *, option):\n    {HARMFUL!r}\n"
    install_plugin("kaz-odd", {"models": "odd = kaz_odd:net"}, code)
    code, out, _ = kaz("show", "odd")
    assert code == 0
    assert WRITTEN_OUT.split(r"\t")[0] in out
    assert out.replace("\n", "").isprintable()


def test_unexpected_errors_and_their_tracebacks_are_written_out(kaz, monkeypatch):
    def fail(*_):
        raise RuntimeError(f"{HARMFUL}\nmore")

    monkeypatch.setattr("keras_azure.cli.plugins.damaged_packages", fail)
    code, _, err = kaz("list", "--debug")
    assert code == 1
    assert err.startswith("Traceback")
    assert f"\nError: Unexpected RuntimeError: {WRITTEN_OUT}\nmore\n" in err
    assert err.replace("\n", "").isprintable()
