"""The flags of backends: a backend's options are flags of the commands that take a backend.

They are read from its signature when it is named on the command line, and not before: `kaz run --help` imports none.
"""

import inspect
import itertools
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from keras_azure.backends.asked import backends_that
from keras_azure.description.config import RunConfig, read_config_file
from keras_azure.errors import ConfigError, SpecError
from keras_azure.registry.options import option_parameters, option_texts, type_hints
from keras_azure.registry.registry import BACKENDS
from keras_azure.registry.specs import parse_option

BACKEND = Annotated[
    str | None, typer.Option(help="Only this backend, such as azure. By default all that can.", show_default=False)
]
EPILOG = "The options of a backend are options here too; with --backend NAME, --help shows them."
_TAKEN = ("confirm", "observer", "set")  # which mean something else to the functions behind the commands


class RunCommand(TyperCommand):
    """A command that runs on one backend: that of --backend, else of the --config file, else the usual one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        own = self.__dict__.setdefault("_own_params", list(self.params))
        known = {"--help", *itertools.chain(*((*param.opts, *param.secondary_opts) for param in own))}
        words = [word.partition("=")[0] for word in itertools.takewhile(lambda arg: arg != "--", args)]
        named = _value_of("--backend", args)
        is_needed = any(word.startswith("--") and word not in known for word in words)
        if is_needed or (named is not None and "--help" in words):
            self.params = [*own, *_options(self._plugins(named, args), known)]
        else:
            self.params = own
        return super().parse_args(ctx, args)

    def _plugins(self, named: str | None, args: Sequence[str]) -> Iterator[Callable[..., object]]:
        """The backends whose options may be meant."""
        yield BACKENDS.load(named or _backend_of_file(_value_of("--config", args)) or RunConfig.backend)


def command_of_backends_that(give: type) -> type[RunCommand]:
    """A command that asks one backend, that of --backend, or else all that give what a protocol says."""

    class AskingCommand(RunCommand):
        def _plugins(self, named: str | None, args: Sequence[str]) -> Iterator[Callable[..., object]]:
            names = [named] if named is not None else [name for name, _ in backends_that(give)]
            yield from map(BACKENDS.load, names)

    return AskingCommand


def with_flags(command: Callable[..., object]) -> Callable[..., object]:
    """Hides the `**flags` of a command from Typer; they come from the command line nevertheless."""
    signature = inspect.signature(command)
    shown = [each for each in signature.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]  # of any function
    command.__annotations__ = {each.name: each.annotation for each in shown}
    return command


def _options(plugins: Iterator[Callable[..., object]], known: set[str]) -> Iterator[TyperOption]:
    """The options of plugins as options of a command, but for those that the command has itself."""
    made: set[str] = set()
    for plugin in plugins:
        hints, texts = type_hints(plugin), option_texts(plugin)
        for name, parameter in option_parameters(plugin, 0).items():
            if f"--{_dashed(name)}" in known or name in made or name in _TAKEN:
                continue
            made.add(name)
            yield _option(name, hints.get(name, type(parameter.default)), texts.get(name, ""))


def _option(name: str, hint: object, text: str) -> TyperOption:
    flag, text = f"--{_dashed(name)}", text[:1].upper() + text[1:]
    if bool in _alternatives(hint):
        return TyperOption(param_decls=[name, f"{flag}/--no-{_dashed(name)}"], is_flag=True, default=None, help=text)

    def convert(context: typer.Context, param: object, value: str | None) -> object:
        return None if value is None else _converted(name, hint, value)

    return TyperOption(param_decls=[name, flag], default=None, metavar=_metavar(hint), help=text, callback=convert)


def _converted(name: str, hint: object, value: str) -> object:
    """The value of an option; what may be a text is one, and of all else the registry knows what it has to be."""
    if any(each is str or isinstance(each, str) for each in _alternatives(hint)):
        return value
    try:
        return parse_option(f"{name}={value}")[1]
    except SpecError:
        return value


def _metavar(hint: object) -> str:
    alternatives = _alternatives(hint)
    if all(isinstance(each, str) for each in alternatives):
        return f"[{'|'.join(alternatives)}]"
    if str in alternatives:
        return "TEXT"
    return {int: "INTEGER", float: "NUMBER"}.get(alternatives[0], "VALUE")


def _alternatives(hint: object) -> tuple[Any, ...]:
    """The types of which a value may be, and of a Literal the values, without None."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType, typing.Literal):
        parts = itertools.chain(*map(_alternatives, typing.get_args(hint)))
        return tuple(part for part in parts if part not in (None, type(None)))
    return (hint,)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _value_of(option: str, args: Sequence[str]) -> str | None:
    """The last value of an option in a command line."""
    found = None
    for word, after in itertools.zip_longest(args, args[1:]):
        if word == option:
            found = after
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _backend_of_file(config: str | None) -> str | None:
    if config is None:
        return None
    try:
        found = read_config_file(Path(config)).get("backend")
    except ConfigError:  # which the command itself will say
        return None
    return found if isinstance(found, str) else None
