"""`kaz runs`: the run folders here, from their files alone."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_azure.cli.output import print_json, print_text
from keras_azure.description.scores import TITLES
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from keras_azure.description.listing import RunList

# What the headings of the table are called in --sort.
_HEADINGS = {"images/s": "images_per_second", "time": "seconds"} | dict.fromkeys([*TITLES, *TITLES.values()], "score")


def register(app: typer.Typer) -> None:
    app.command("runs")(runs)


def runs(
    folder: Annotated[
        Path | None, typer.Argument(help="Where the run folders are. By default runs/.", show_default=False)
    ] = None,
    *,
    sort: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="name, state, started, model, data, epochs, metric, score, images_per_second, seconds or backend.",
        ),
    ] = "started",
    json: Annotated[bool, typer.Option("--json", help="Print all that is known of them as a JSON list.")] = False,
) -> None:
    """List the run folders here: how far they are, their test score and speed.

    The newest come first; --sort takes numbers from the highest, and scores from the best. A run that is not finished
    shows its epochs so far, and one whose files are damaged says so.
    """
    found: RunList = lazy("keras_azure.api.compare:runs")(folder, sort=_HEADINGS.get(sort, sort))
    if json:
        print_json(found.to_json())
    elif not found:
        print_text(f"{found}\nTry: kaz run cnn; or, for other folders, kaz runs FOLDER or KAZ_RUNS", err=True)
    else:
        heading, *lines = found.text(max(80, shutil.get_terminal_size().columns)).splitlines()
        print_text(heading, bold=True)
        for line in lines:
            print_text(line)
