"""What a stream's encoding does not have is escaped; a stream that is none is left alone."""

import io
import sys

import pytest

from keras_azure.cli.output import print_json, print_text, secrets_hidden
from keras_azure.redaction import escape_what_cannot_be_encoded


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", rb"na\xefve \u732b \U0001f436"), ("cp1252", b"na\xefve \\u732b \\U0001f436"), ("utf-8", None)],
)
def test_text_in_any_script(monkeypatch, encoding, shown):
    text, stream = "naïve 猫 🐶", io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream, encoding=encoding))
    escape_what_cannot_be_encoded()
    with secrets_hidden():
        print_text(text)
        print_json({text: text})
        sys.stdout.flush()
    line, json = stream.getvalue().splitlines()
    assert line == (shown or text.encode())
    assert json.isascii()


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_without_an_encoding(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    escape_what_cannot_be_encoded()
