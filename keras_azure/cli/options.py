"""Options that several commands share."""

from typing import Annotated

import typer

from keras_azure.config import RunConfig

IMAGE_SIZE = Annotated[
    tuple[int, int] | None, typer.Option(metavar="HEIGHT WIDTH", help="Resize all pictures to this size.")
]
SKIP_UNREADABLE = Annotated[
    bool | None, typer.Option("--skip-unreadable", help="Leave out files that are no pictures, and count them.")
]
WORKSPACE = Annotated[
    str | None,
    typer.Option(
        metavar="WORKSPACE",
        help="The Azure ML workspace: a config.json, or SUBSCRIPTION/GROUP/NAME. By default the nearest config.json.",
    ),
]


def option_of(name: str) -> typer.models.OptionInfo:
    """The command-line option for a field of RunConfig."""
    setting = RunConfig.__dataclass_fields__[name]
    text = setting.metadata["help"]
    if setting.default not in (None, ()) and not isinstance(setting.default, bool):
        text += f" Default: {setting.default}."
    flag = f"--{setting.name.replace('_', '-')}"
    if setting.name == "metrics":
        flag = "--metric"  # given once for each
    if isinstance(setting.default, bool):
        flag += f"/--no-{setting.name.replace('_', '-')}"
    return typer.Option(flag, help=text, show_default=False)
