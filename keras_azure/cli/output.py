"""Results go to stdout, messages to stderr; JSON where a script reads; NO_COLOR is honoured."""

import contextlib
import functools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

import typer

from keras_azure.redaction import printable_lines, redacted

if TYPE_CHECKING:
    from rich.table import Table


def print_json(value: object) -> None:
    """One JSON value on stdout, without secrets, on one line where a program reads it and indented for a person."""
    # Text by text, because what is hidden in the whole could leave no JSON.
    hide = functools.cache(redacted)  # of a list of many, most texts are the same
    sys.stdout.write(json.dumps(_all_redacted(value, hide), indent=2 if sys.stdout.isatty() else None) + "\n")


def print_text(text: str = "", *, bold: bool = False, err: bool = False) -> None:
    """Lines on stdout or stderr, without secrets, and with nothing in them that a terminal would obey."""
    text = printable_lines(redacted(text))
    # To the stream itself: Click would write UTF-8 to one that says it has ASCII alone.
    typer.echo(typer.style(text, bold=True) if bold else text, file=sys.stderr if err else sys.stdout)


def print_lines_of(table: "Table", width: int | None = None) -> None:
    """A table of rich on stdout, as plain lines; the first one, of headings, stands out."""
    from rich.console import Console  # not at the top: it takes longer to load than all the rest of `kaz --help`

    console = Console(color_system=None, markup=False, emoji=False, width=width)
    with console.capture() as laid_out:
        console.print(table)
    for number, line in enumerate(laid_out.get().splitlines()):
        print_text(line.rstrip(), bold=number == 0)


def ask(question: str) -> str:
    """What somebody types in answer to a question, on stderr: typer's own questions leave a space on stdout.

    Raises:
        typer.Abort: nobody answers.
    """
    typer.echo(f"{printable_lines(redacted(question))} ", nl=False, file=sys.stderr)
    if not (answer := sys.stdin.readline()):
        raise typer.Abort
    return answer.strip()


def confirm(question: str) -> bool:
    """Whether somebody says yes to a question; anything else is no."""
    return ask(f"{question} [y/N]").lower() in ("y", "yes")


def complain(text: str) -> None:
    """An error message on stderr, as `print_text`; its first line stands out."""
    first, _, rest = printable_lines(redacted(text)).partition("\n")
    colour = None if "NO_COLOR" in os.environ else "red"
    typer.secho(f"Error: {first}", fg=colour, bold=True, file=sys.stderr)
    if rest:
        typer.echo(rest, file=sys.stderr)


@contextlib.contextmanager
def secrets_hidden() -> Iterator[None]:
    """Whatever Python code writes to stdout and stderr meanwhile: warnings, logs, a plugin's print, a usage error."""
    with contextlib.ExitStack() as redirected:
        if sys.stdout is not None:  # there is none under pythonw
            redirected.enter_context(contextlib.redirect_stdout(_Redacting(sys.stdout)))
        if sys.stderr is not None:
            redirected.enter_context(contextlib.redirect_stderr(_Redacting(sys.stderr)))
        yield


class _Redacting:
    """A stream of text that hides the secrets in each text that is written to it."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redacted(text))
        return len(text)

    def writelines(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _all_redacted(value: object, hide: Callable[[str], str]) -> object:
    match value:
        case str():
            return hide(value)
        case dict():
            return {_all_redacted(key, hide): _all_redacted(each, hide) for key, each in value.items()}
        case list() | tuple():
            return [_all_redacted(each, hide) for each in value]
    return value
