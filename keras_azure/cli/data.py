"""`kaz data check`: what may be wrong with a data set."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_azure.cli.options import BIT_DEPTH, SKIP_UNREADABLE, SPLIT_NAMES
from keras_azure.cli.output import print_json, print_text
from keras_azure.description.config import RunConfig
from keras_azure.errors import OutputExists
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_azure.checking.findings import DataCheck


def register(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
    group.callback()(data)
    group.command("check")(check)
    app.add_typer(group, name="data")


def data() -> None:
    """Look at data before it is trained on."""


def check(
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="A folder, a file or a data set's name, as kaz run --data has it."),
    ] = RunConfig.data,
    *,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|FILE",
            help="The run or .keras file by whose features labels are judged. By default a cnn is trained for it.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[bool, typer.Option("--labels/--no-labels", help="Look for wrong labels.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of the training for labels.")] = RunConfig.seed,
    skip_unreadable: SKIP_UNREADABLE = None,
    split_names: SPLIT_NAMES = None,
    bit_depth: BIT_DEPTH = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw what was found as a contact sheet, a PNG file.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the sheet if it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with all images that were found.")] = False,
) -> None:
    """Look for duplicates, leakage between splits, poor images and wrong labels.

    The exit code is 1 if images are in more than one split, or if files cannot be read (but with --skip-unreadable).
    """
    if sheet is not None and sheet.exists() and not overwrite:
        raise OutputExists(f"{sheet} is there already, and nothing is overwritten.", hint="--overwrite, or --sheet")
    check_data: Callable[..., DataCheck] = lazy("keras_azure.api.check:check_data")
    found = check_data(
        data,
        weights=weights,
        labels=labels,
        seed=seed,
        skip_unreadable=skip_unreadable,
        split_names=split_names,
        bit_depth=bit_depth,
    )
    if sheet is not None:
        draw: Callable[[DataCheck], Figure] = lazy("keras_azure.checking.sheet:draw")
        figure = draw(found)
        lazy("keras_azure.files:write_atomically")(sheet, lambda beside: figure.savefig(beside, dpi=100))
    if json:
        print_json(found.to_json())
    else:
        print_text(str(found))
        if sheet is not None:
            print_text(str(sheet))
    if found.failed:
        raise typer.Exit(1)
