"""`kaz compare`: finished runs beside each other."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_azure.cli.output import print_json, print_text
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from keras_azure.comparing.comparison import Comparison


def register(app: typer.Typer) -> None:
    app.command("compare")(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Run folders; the first is compared with the others."),
    ],
    *,
    tolerance: Annotated[
        float,
        typer.Option(min=0.0, help="The share by which the first may be worse than each of the others."),
    ] = 0.01,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The score in which. By default the main one of the task: accuracy, macro_f1, mae or loss.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with all of it, curves and images, that needs nothing else."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON object.")] = False,
) -> None:
    """Compare finished runs: settings, scores, speed, and what they said of the same images.

    Scores come with a paired test where the runs were tested on the same images. Exit code 1 if the first run is worse
    than one of the others by more than --tolerance.
    """
    found: Comparison = lazy("keras_azure.api.compare:compare")(
        *runs, tolerance=tolerance, metric=metric, html=html, overwrite=overwrite
    )
    if json:
        print_json(found.to_json())
        for line in found.complaints():
            print_text(line, bold=True, err=True)
    else:
        print_text(str(found))
    if html is not None:
        print_text(f"Written: {html}", err=True)
    if found.worse_than:
        raise typer.Exit(1)
