"""`kaz new model NAME`: a plugin package that installs, passes its test and trains, to be changed from there."""

import builtins
import importlib.util
import keyword
import os
import re
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from keras_azure.cli.output import print_text
from keras_azure.errors import OutputExists, UsageError
from keras_azure.registry.registry import MODELS

# What a spec, a package's name and an entry point can all be; the module has underscores for the hyphens.
_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?")

_MODEL_FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "$name"
version = "0.1.0"
description = "The model $name for keras-azure"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["keras-azure"]

[project.entry-points."keras_azure.models"]
$name = "$module:$module"
""",
    "README.md": """\
# $name

A model for keras-azure.

    pip install -e .
    pytest
    kaz run $name
    kaz run "$name(units=64, dropout=0.2)"
""",
    "src/$module.py": '''\
"""The model $name."""

import keras
from keras import layers


def $module(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    units: int = 128,
    dropout: float = 0.0,
) -> keras.Model:
    """A network with one hidden layer.

    Args:
        input_shape: height, width and channels of a picture with pixels 0..255.
        num_classes: how many probabilities come out.
        units: the size of the hidden layer.
        dropout: the share of units that is left out in training.
    """
    return keras.Sequential(
        [
            layers.Input(input_shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(units, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(num_classes, activation="softmax", dtype="float32"),
        ]
    )
''',
    "tests/test_$module.py": """\
from keras_azure.testing import check_model


def test_keeps_the_contract():
    check_model("$name")


def test_keeps_the_contract_with_options():
    check_model("$name(units=16, dropout=0.5)", input_shape=(20, 30, 3), num_classes=2)
""",
}


def register(app: typer.Typer) -> None:
    commands = typer.Typer(help="Write the files of a new plugin.", no_args_is_help=True)

    @commands.callback()
    def new() -> None:
        pass  # with a callback of its own the group keeps its only command's name

    commands.command("model")(new_model)
    app.add_typer(commands, name="new")


def new_model(
    name: Annotated[str, typer.Argument(help="What the model will be called: my-net.", show_default=False)],
    *,
    output: Annotated[
        Path | None, typer.Option(help="The folder to make. [default: ./NAME]", show_default=False)
    ] = None,
) -> None:
    """Write a complete, installable package with a small model and its test."""
    folder = output or Path(name)
    module = _module_name(name)
    if _is_there(folder):
        raise OutputExists(f"{folder} exists already.", hint=f"kaz new model {name} --output ANOTHER_FOLDER")
    _require_free(name, module)
    _write_package(folder, {"name": name, "module": module})
    shown = shlex.quote(str(folder))
    print_text(f"Wrote the model {name} to {folder}. Next:")
    for command in (f"pip install -e {shown}", f"pytest {shown}", f"kaz run {name}"):
        print_text(f"    {command}")


def _is_there(folder: Path) -> bool:
    try:
        return folder.exists() or folder.is_symlink()
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"{folder} cannot be written: {error.strerror}.", expected="a folder to write to")


def _module_name(name: str) -> str:
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a model.", expected="letters, digits, - and _, a letter first: my-net"
        )
    if keyword.iskeyword(module) or hasattr(builtins, module) or module in sys.stdlib_module_names:
        raise UsageError(f"{name!r} cannot be the name of a model: Python itself uses it.", expected="another name")
    return module


def _require_free(name: str, module: str) -> None:
    taken = [entry.package for entry in MODELS.entries() if entry.name == name]
    if taken:
        raise UsageError(f"There is a model {name!r} already, in the package {taken[0]}.", expected="another name")
    if _is_installed(name) or importlib.util.find_spec(module) is not None:
        raise UsageError(
            f"{name!r} cannot be the name of a model: an installed package has it.", expected="another name"
        )


def _is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _write_package(folder: Path, words: dict[str, str]) -> None:
    """Writes into a folder beside, and renames it: `folder` is whole or not there.

    Raises:
        UsageError: the place cannot be written to.
    """
    beside = folder.absolute().with_name(f".{folder.absolute().name}-{os.getpid()}")
    try:
        for path, text in _MODEL_FILES.items():
            file = beside / Template(path).substitute(words)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(words), encoding="utf-8")
        beside.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
