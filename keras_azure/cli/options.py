"""Options that several commands share. Those of a run are the fields of RunConfig: there is no second list of them."""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_azure.description.config import RunConfig


def sizes_as_one_word(args: Sequence[str]) -> list[str]:
    """`--image-size 64 48` as `--image-size 64x48`; of `--image-size 64 --epochs 1` nothing is taken.

    The second number may be missing, which no option of Typer's can do.
    """
    given, words = list(args), []
    while given:
        words.append(given.pop(0))
        if words[-1] == "--":
            break
        if words[-1] == "--image-size" and all(map(_NUMBER.fullmatch, given[:2])) and len(given) > 1:
            words.append("x".join(given[:2]))
            del given[:2]
    return words + given


def _image_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size: one number for squares, such as 64, or two, 64 48.")
    return int(match[1]), int(match[2] or match[1])


_NUMBER = re.compile(r"[0-9]{1,9}")
_SIZE = re.compile(r"([0-9]{1,9})(?:\s*[x,]\s*([0-9]{1,9}))?")
IMAGE_SIZE = Annotated[
    str | None,
    typer.Option(
        metavar="HEIGHT [WIDTH]",
        callback=_image_size,
        help="Resize all pictures to this size; one number makes them square.",
    ),
]
SKIP_UNREADABLE = Annotated[
    bool | None, typer.Option("--skip-unreadable", help="Leave out files that are no pictures, and count them.")
]
SPLIT_NAMES = Annotated[
    str | None,
    typer.Option(
        metavar="train=FOLDER,test=FOLDER",
        help="Which folders of the data are its splits, if they are called unusually; none: all are classes.",
        show_default=False,
    ),
]
BIT_DEPTH = Annotated[
    int | None,
    typer.Option(min=1, max=16, help="How many bits the levels of images of 16 bits a channel use; 16 by default."),
]
_TABLE_OPTIONS: dict[str, tuple[type, str]] = {  # options of the data, which tables alone have
    "image_column": (str, "Of a table: the column of files. By default that called file, filename, path, image or id."),
    "label_column": (
        list[str],
        "Of a table: the column of labels; may be given several times. By default that called label, class, target or "
        "labels.",
    ),
    "split_column": (str, "Of a table: the column of splits; none: there is none. By default that called split."),
    "image_folder": (str, "Of a table: the folder that its paths are within. By default the table's own."),
    "label_separator": (str, "Of a table: what is between the labels of an image, such as ';'. By default it has one."),
    "group_column": (str, "Of a table: images with the same value, such as a patient, are in one split."),
    "weight_column": (str, "Of a table: what each image counts in the loss."),
}
MODEL_OPTIONS = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="OPTION=VALUE", help="An option of the model; may be given several times."),
]
CONFIG = Annotated[
    Path | None, typer.Option(help="A JSON file of settings, such as a run's run.json; options lie over it.")
]


def option_of(name: str) -> typer.models.OptionInfo:
    """The command-line option for a field of RunConfig."""
    setting = RunConfig.__dataclass_fields__[name]
    text = setting.metadata["help"]
    if setting.default not in (None, ()) and not isinstance(setting.default, bool):
        text += f" Default: {setting.default}."
    flag = f"--{setting.name.replace('_', '-')}"
    if setting.name in ("callbacks", "metrics"):
        flag = flag.removesuffix("s")  # given once for each
    if isinstance(setting.default, bool):
        flag += f"/--no-{setting.name.replace('_', '-')}"
    option: typer.models.OptionInfo = typer.Option(flag, help=text, show_default=False)
    return option


def with_config_options(command: Callable[..., object]) -> Callable[..., object]:
    """Gives `command` an option for each field of RunConfig, and those of tables, in place of its `**settings`.

    All default to None, which means "not given": the value then comes from the --config file or from RunConfig.
    """
    hints = typing.get_type_hints(RunConfig)
    fields = {
        setting.name: Annotated[_option_type(hints[setting.name]) | None, option_of(setting.name)]
        for setting in dataclasses.fields(RunConfig)
    }
    return _in_place_of("settings", command, {**fields, **_table_options()})


def with_table_options(command: Callable[..., object]) -> Callable[..., object]:
    """Gives `command` the options of tables in place of its `**settings`."""
    return _in_place_of("settings", command, _table_options())


def _table_options() -> dict[str, Any]:
    return {
        name: Annotated[
            kind | None,
            typer.Option(f"--{name.replace('_', '-')}", help=text, show_default=False, metavar="TEXT"),
        ]
        for name, (kind, text) in _TABLE_OPTIONS.items()
    }


def _in_place_of(catch_all: str, command: Callable[..., object], options: Mapping[str, Any]) -> Callable[..., object]:
    """Gives `command` options, by their names with their annotations, in place of `**catch_all`."""
    parameters = dict(inspect.signature(command).parameters)
    parameters.pop(catch_all)
    made = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in options.items()
        if name not in parameters
    ]
    signature = inspect.Signature([*parameters.values(), *made])
    command.__signature__ = signature  # type: ignore[attr-defined]  # of functions too, as inspect's pages say
    command.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    return command


def _option_type(hint: Any) -> Any:
    """What Typer should read for a field of this type; RunConfig checks the rest."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _option_type(arguments[0])
    if typing.get_origin(hint) is tuple:
        return list[str]
    return str if typing.get_origin(hint) is typing.Literal else hint


def given(settings: Mapping[str, object]) -> dict[str, Any]:
    """Those of the options for RunConfig's fields, and for tables, that stand on the command line."""
    return {name: value for name, value in settings.items() if value not in (None, [])}
