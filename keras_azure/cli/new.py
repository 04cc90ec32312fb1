"""`kaz new KIND NAME`: a plugin package that installs, passes its test and works, to be changed from there."""

import builtins
import importlib.util
import keyword
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from keras_azure.cli.output import print_text
from keras_azure.description.commands import command
from keras_azure.errors import OutputExists, UsageError
from keras_azure.registry.registry import (
    AUGMENTATIONS,
    BACKENDS,
    CALLBACKS,
    DATASETS,
    LOSSES,
    METRICS,
    MODELS,
    OPTIMIZERS,
    Registry,
)

# What a spec, a package's name and an entry point can all be; the module has underscores for the hyphens.
_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?")
# The files of a package: where each goes, and its template in the folder of its kind or, where that has none, beside.
_FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "README.md": "README.md.txt",
    "src/$module.py": "plugin.py.txt",
    "tests/test_$module.py": "test_plugin.py.txt",
}


@dataclass(frozen=True)
class _Kind:
    """A kind of plugin that can be written.

    Attributes:
        what: the plugin in the template is.
        tries: commands that use it, once it is installed.
        class_suffix: how the name of its class ends; empty where it is a function, which is called as the module.
    """

    registry: Registry[object]
    what: str
    tries: tuple[str, str]
    class_suffix: str = ""

    @property
    def command(self) -> str:
        return self.registry.kind.replace(" ", "")


_KINDS = (
    _Kind(MODELS, "a small model", ("kaz run $name", 'kaz run "$name(units=64, dropout=0.2)"')),
    _Kind(
        AUGMENTATIONS,
        "an augmentation that computes in whole numbers",
        ("kaz preview --augment $name", 'kaz run cnn --augment "$name(density=0.8)"'),
        "Augmentation",
    ),
    _Kind(
        DATASETS, "a data set of one file", ("kaz run cnn --data FILE.csv", "kaz preview --data FILE.csv"), "Dataset"
    ),
    _Kind(
        BACKENDS,
        "a backend with jobs in processes of their own",
        ("kaz run cnn --backend $name", "kaz run cnn --backend $name --detach"),
        "Backend",
    ),
    _Kind(
        CALLBACKS,
        "a callback that stops training",
        ("kaz run cnn --callback $name", 'kaz run cnn --callback "$name(target=0.9)"'),
        "Callback",
    ),
    _Kind(LOSSES, "a loss", ("kaz run cnn --loss $name", 'kaz run cnn --loss "$name(q=0.5)"')),
    _Kind(METRICS, "a metric", ("kaz run cnn --metric $name", "kaz run cnn --metric $name --keep best")),
    _Kind(
        OPTIMIZERS,
        "an optimizer",
        ("kaz run cnn --optimizer $name", 'kaz run cnn --optimizer "$name(momentum=0.95)"'),
        "Optimizer",
    ),
)


def register(app: typer.Typer) -> None:
    commands = typer.Typer(help="Write the files of a new plugin.", no_args_is_help=True)
    for kind in _KINDS:
        description = f"Write a complete, installable package with {kind.what} and its test."
        commands.command(kind.command, help=description)(_command(kind))
    app.add_typer(commands, name="new")


def _command(kind: _Kind) -> Callable[..., None]:
    def new(
        name: Annotated[str, typer.Argument(help=f"What the {kind.registry.kind} will be called.", show_default=False)],
        *,
        output: Annotated[
            Path | None, typer.Option(help="The folder to make. [default: ./NAME]", show_default=False)
        ] = None,
    ) -> None:
        _write_plugin(kind, name, output or Path(name))

    return new


def _write_plugin(kind: _Kind, name: str, folder: Path) -> None:
    """Writes the package of a plugin, and prints what comes next.

    Raises:
        OutputExists: there is something called as the folder.
        UsageError: the name would not work, or the folder cannot be written.
    """
    module = _module_name(kind.registry, name)
    if _is_there(folder):
        raise OutputExists(
            f"{folder} exists already.", hint=command("kaz", "new", kind.command, name, "--output", "ANOTHER_FOLDER")
        )
    _require_free(kind.registry, name, module)
    words = {"name": name, "module": module, "kind": kind.registry.kind, "group": kind.registry.group}
    words["what"] = _a(kind.registry).capitalize()
    words["target"] = _class_name(module, kind.class_suffix) if kind.class_suffix else module
    words["try_it"], words["try_options"] = (Template(each).substitute(words) for each in kind.tries)
    _write_package(folder, kind, words)
    print_text(f"Wrote the {kind.registry.kind} {name} to {folder}. Next:")
    for each in (command("pip", "install", "-e", folder), command("pytest", folder), words["try_it"]):
        print_text(f"    {each}")


def _a(registry: Registry[object]) -> str:
    return f"{'an' if registry.kind[0] in 'aeio' else 'a'} {registry.kind}"


def _class_name(module: str, suffix: str) -> str:
    """MyFogAugmentation, of my_fog."""
    name = "".join(part[:1].upper() + part[1:] for part in module.split("_"))
    return name.removesuffix(suffix) + suffix


def _is_there(folder: Path) -> bool:
    try:
        return folder.exists() or folder.is_symlink()
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> UsageError:
    return UsageError(f"{folder} cannot be written: {error.strerror}.", expected="a folder to write to")


def _module_name(registry: Registry[object], name: str) -> str:
    module, what = name.replace("-", "_"), f"{name!r} cannot be the name of {_a(registry)}"
    if not _NAME.fullmatch(name):
        raise UsageError(f"{what}.", expected="letters, digits, - and _, a letter first: my-net")
    if keyword.iskeyword(module) or hasattr(builtins, module) or module in sys.stdlib_module_names:
        raise UsageError(f"{what}: Python itself uses it.", expected="another name")
    return module


def _require_free(registry: Registry[object], name: str, module: str) -> None:
    taken = [entry.package for entry in registry.matches(name)]
    if taken:
        raise UsageError(
            f"There is {_a(registry)} {name!r} already, in the package {taken[0]}.",
            expected="another name",
        )
    if _is_installed(name) or importlib.util.find_spec(module) is not None:
        raise UsageError(
            f"{name!r} cannot be the name of {_a(registry)}: an installed package has it.",
            expected="another name",
        )


def _is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _write_package(folder: Path, kind: _Kind, words: dict[str, str]) -> None:
    """Writes into a folder beside, and renames it: `folder` is whole or not there.

    Raises:
        UsageError: the place cannot be written to.
    """
    templates = resources.files(__package__) / "templates"
    beside = folder.absolute().with_name(f".{folder.absolute().name}-{os.getpid()}")
    try:
        for path, template in _FILES.items():
            of_kind = templates / kind.command / template
            text = (of_kind if of_kind.is_file() else templates / template).read_text(encoding="utf-8")
            file = beside / Template(path).substitute(words)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(Template(text).substitute(words), encoding="utf-8")
        beside.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
