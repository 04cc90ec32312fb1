"""Results go to stdout, messages to stderr; JSON where a script reads; NO_COLOR is honoured by rich."""

import json
import sys
from typing import Any

from rich.console import Console


def results() -> Console:
    return Console(highlight=False)


def messages() -> Console:
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON value on stdout, on one line where a program reads it and indented for a person."""
    sys.stdout.write(json.dumps(value, indent=2 if sys.stdout.isatty() else None) + "\n")


def complain(text: str) -> None:
    """An error message on stderr; its first line stands out."""
    first, _, rest = text.partition("\n")
    console = messages()
    console.print(f"Error: {first}", style="bold red", markup=False, soft_wrap=True)
    if rest:
        console.print(rest, markup=False, soft_wrap=True)
