"""What the type checker is told to overlook: each place says what it is, and why."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FILES = sorted(path for folder in ("keras_azure", "plugins") for path in (REPOSITORY / folder).rglob("*.py"))
IGNORE = re.compile(r"#\s*(type:\s*ignore|mypy:|pyright:)")
WITH_REASON = re.compile(r"# type: ignore\[[a-z-]+(, [a-z-]+)*\]  # \S.*")


def violations(source: str) -> Iterator[str]:
    """The comments that have no code, or no reason behind it."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and IGNORE.search(token.string) and not WITH_REASON.fullmatch(token.string):
            yield f"line {token.start[0]}: {token.string}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_each_ignore_has_a_code_and_a_reason(path):
    assert [*violations(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("comment", "is_right"),
    [
        ("# type: ignore[override]  # the others may change it", True),
        ("# type: ignore[assignment, method-assign]  # as its page says", True),
        ("# a type: ignore nothing", True),
        ("# type: ignore", False),
        ("#type:ignore", False),
        ("# type: ignore  # no code", False),
        ("# type: ignore[override]", False),
        ("# type: ignore[override]  #", False),
        ("# see there  # type: ignore[override]", False),
        ("# mypy: ignore-errors", False),
        ("# pyright: ignore[reportAny]  # another checker's", False),
    ],
)
def test_comments(comment, is_right):
    assert (not [*violations(f"value = 1  {comment}\n")]) is is_right


def test_texts_are_no_comments():
    assert [*violations('text = "value = 1  # type: ignore"\n')] == []
