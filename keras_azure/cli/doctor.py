"""`kaz doctor`: whether runs would go through, here and elsewhere, and what mends it where they would not."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from keras_azure.backends import Check, Examined
from keras_azure.cli.flags import BACKEND, EPILOG, command_of_backends_that, with_flags
from keras_azure.cli.options import given
from keras_azure.cli.output import print_json, print_text
from keras_azure.lazy import lazy

_MARKS = {"ok": "ok  ", "failed": "FAIL", "skipped": "skip"}  # words: not every terminal has the signs


def register(app: typer.Typer) -> None:
    app.command("doctor", cls=command_of_backends_that(Examined), epilog=EPILOG)(with_flags(doctor))


def doctor(
    *,
    backend: BACKEND = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    **flags: object,
) -> None:
    """Check what runs need: here, and of each backend, such as Azure's login, workspace, machines, quota, storage."""
    found, before = [], ""
    examine: Callable[..., Iterator[tuple[str, Check]]] = lazy("keras_azure.api.doctor:examine")
    for subject, check in examine(backend, flags=given(flags)):
        found.append({"subject": subject, **dataclasses.asdict(check)})
        if json:
            continue
        if subject != before:
            print_text(f"{subject}:", bold=True)
        mend = f" Try: {check.mend}" if check.mend else ""
        print_text(f"{_MARKS[check.state]}  {check.name:<11}  {check.found}{mend}")
        before = subject
        sys.stdout.flush()
    if json:
        print_json(found)
    if any(check["state"] == "failed" for check in found):
        raise typer.Exit(1)
