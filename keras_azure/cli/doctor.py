"""`kaz doctor`: whether a run on Azure would go through, and what mends it where it would not."""

import dataclasses
import sys
from typing import Annotated

import typer

from keras_azure.cli.options import WORKSPACE
from keras_azure.cli.output import print_json, print_text
from keras_azure.lazy import lazy

_MARKS = {"ok": "ok  ", "failed": "FAIL", "skipped": "skip"}  # words: not every terminal has the signs


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    *,
    backend: Annotated[str, typer.Option(help="Whose machines are asked for.")] = "azure-nc4as-t4-v3",
    workspace: WORKSPACE = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what a run on Azure needs: packages, login, workspace, machines, quota, storage, clock."""
    found = []
    for check in lazy("keras_azure.backends.azure.doctor:examine")(workspace, backend):
        found.append(check)
        if not json:
            mend = f" Try: {check.mend}" if check.mend else ""
            print_text(f"{_MARKS[check.state]}  {check.name:<11}  {check.found}{mend}")
            sys.stdout.flush()
    if json:
        print_json([dataclasses.asdict(check) for check in found])
    if any(check.state == "failed" for check in found):
        raise typer.Exit(1)
