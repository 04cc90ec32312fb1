"""Results go to stdout, messages to stderr; JSON where a script reads; NO_COLOR is honoured."""

import json
import os
import sys
from typing import Any

import typer


def print_json(value: Any) -> None:
    """One JSON value on stdout, on one line where a program reads it and indented for a person."""
    sys.stdout.write(json.dumps(value, indent=2 if sys.stdout.isatty() else None) + "\n")


def complain(text: str) -> None:
    """An error message on stderr; its first line stands out."""
    first, _, rest = text.partition("\n")
    colour = None if "NO_COLOR" in os.environ else "red"
    typer.secho(f"Error: {first}", fg=colour, bold=True, err=True)
    if rest:
        typer.echo(rest, err=True)
