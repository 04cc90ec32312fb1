"""`kaz preview`: a contact sheet of augmented pictures, as a PNG file."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_azure.cli.options import (
    BIT_DEPTH,
    IMAGE_SIZE,
    SKIP_UNREADABLE,
    SPLIT_NAMES,
    given,
    option_of,
    with_table_options,
)
from keras_azure.cli.output import print_text
from keras_azure.data import TaskChoice
from keras_azure.description.config import RunConfig
from keras_azure.errors import OutputExists
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def register(app: typer.Typer) -> None:
    app.command("preview")(with_table_options(preview))


def preview(
    *,
    data: Annotated[str, option_of("data")] = RunConfig.data,
    augment: Annotated[list[str] | None, option_of("augment")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The run's seed: training makes the same draws.")] = 0,
    task: Annotated[TaskChoice, option_of("task")] = "auto",
    image_size: IMAGE_SIZE = None,
    skip_unreadable: SKIP_UNREADABLE = None,
    split_names: SPLIT_NAMES = None,
    bit_depth: BIT_DEPTH = None,
    samples: Annotated[int, typer.Option(min=1, max=50, help="How many pictures.")] = 6,
    draws: Annotated[int, typer.Option(min=1, max=50, help="How many epochs of each.")] = 6,
    output: Annotated[Path, typer.Option(help="The PNG file to write.")] = Path("preview.png"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    **settings: object,
) -> None:
    """Write a contact sheet: pictures beside what the augmentations make of them."""
    if output.exists() and not overwrite:
        raise OutputExists(f"{output} is there already, and nothing is overwritten.", hint="--overwrite, or --output")
    figure: Figure = lazy("keras_azure.api.runs:preview")(
        data,
        augment=tuple(augment or ()),
        samples=samples,
        draws=draws,
        seed=seed,
        task=task,
        image_size=image_size,
        skip_unreadable=skip_unreadable,
        split_names=split_names,
        bit_depth=bit_depth,
        **given(settings),
    )
    write: Callable[[Path, Callable[[Path], object]], None] = lazy("keras_azure.files:write_atomically")
    write(output, lambda beside: figure.savefig(beside, dpi=100))
    print_text(str(output))
