"""`kaz report`: the report of a finished run, made again."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from keras_azure.cli.output import print_text
from keras_azure.lazy import lazy


def register(app: typer.Typer) -> None:
    app.command("report")(report)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.", show_default=False)],
    *,
    opened: Annotated[bool, typer.Option("--open", help="Open it in a browser.")] = False,
) -> None:
    """Make report.html and model_card.md of a finished run again."""
    path: Path = lazy("keras_azure.api.reports:report")(run)
    print_text(str(path))
    if opened and not webbrowser.open(path.as_uri()):
        print_text("There is no browser to open it in.", err=True)
