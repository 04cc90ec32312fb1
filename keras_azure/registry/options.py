"""A plugin's options, checked and converted against the signature of the plugin's callable."""

import inspect
import itertools
import re
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from keras_azure.errors import WrongOption
from keras_azure.registry.specs import LARGEST_INTEGER, Spec

Value = TypeVar("Value")


def option_parameters(plugin: Callable[..., object], positional: int) -> dict[str, inspect.Parameter]:
    """The parameters that a spec can set: all but the first `positional` ones, which the framework fills."""
    parameters = list(inspect.signature(plugin).parameters.values())
    named = [parameter for parameter in parameters if parameter.kind in _BY_NAME]
    framework = {
        parameter.name
        for parameter in [p for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY][:positional]
    }
    return {parameter.name: parameter for parameter in named if parameter.name not in framework}


def option_texts(plugin: Callable[..., object]) -> dict[str, str]:
    """What the docstring's "Args:" says of each option, on one line each."""
    texts: dict[str, str] = {}
    lines = inspect.cleandoc(plugin.__doc__ or "").partition("Args:\n")[2].splitlines()
    section = list(itertools.takewhile(lambda line: not line or line.startswith(" "), lines))
    names: list[str] = []
    for line in inspect.cleandoc("\n".join(section)).splitlines():
        if match := re.fullmatch(r"(\w+(?:, \w+)*):\s*(.*)", line):
            names = match[1].split(", ")
            texts |= dict.fromkeys(names, match[2])
        else:
            texts |= {name: f"{texts[name]} {line.strip()}".strip() for name in names}
    return texts


def type_hints(plugin: Callable[..., object]) -> dict[str, Any]:
    """The types of a plugin's options, as far as they can be told."""
    # For a class the options are those of its constructor.
    source = plugin.__init__ if inspect.isclass(plugin) else plugin
    try:
        return typing.get_type_hints(source)
    except Exception:  # an annotation that names something which is not importable: leave the value to the plugin
        return {}


def missing_options(spec: Spec, plugin: Callable[..., object], positional: int) -> list[str]:
    """The options that have no default and no value in `spec`."""
    parameters = option_parameters(plugin, positional)
    required = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    return [name for name in required if name not in spec.options]


def coerce_options(spec: Spec, plugin: Callable[..., object], positional: int, kind: str) -> dict[str, Any]:
    """The options of `spec` as the plugin wants them: `1` for a float is 1.0, `8` for a tuple of int is (8,),
    and (8, 8) for one of two: a height and width.

    Raises:
        WrongOption: an option is unknown, missing or of the wrong type.
    """
    parameters = option_parameters(plugin, positional)
    described = f"{spec.name}{inspect.signature(plugin)}"
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in inspect.signature(plugin).parameters.values())
    for option in spec.options:
        if option not in parameters and not takes_any:
            raise WrongOption(f"The {kind} {spec.name!r} has no option {option!r}.", expected=described)
    for name in missing_options(spec, plugin, positional):
        raise WrongOption(f"The {kind} {spec.name!r} needs the option {name!r}.", expected=described)
    hints = type_hints(plugin)
    options = {}
    for name, value in spec.options.items():
        try:
            options[name] = coerce(value, hints.get(name, Any))
        except ValueError:
            hint = inspect.formatannotation(hints[name])
            raise WrongOption(
                f"The option {name!r} of the {kind} {spec.name!r} cannot be {value!r}: it is not {hint}.",
                expected=described,
            ) from None
    return options


def coerce(value: object, hint: Any) -> object:
    """`value` as an instance of the type `hint`.

    Raises:
        ValueError: it is none, and nothing obvious makes it one.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return coerce(value, arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _coerce_to_first(value, arguments)
    if origin is typing.Literal:
        return _require(value, any(value == choice and type(value) is type(choice) for choice in arguments))
    if origin in (tuple, list):
        return _coerce_sequence(value, origin, arguments)
    if hint in (tuple, list):
        return hint(_require(value, isinstance(value, tuple | list)))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(_require(value, abs(value) < LARGEST_INTEGER))
    if hint in (int, float):  # bool is an int to Python, not to a reader
        return _require(value, isinstance(value, hint) and not isinstance(value, bool))
    if hint in (str, bool):
        return _require(value, isinstance(value, hint))
    if hint in (None, type(None)):
        return _require(value, value is None)
    return value  # no annotation, or a type that is the plugin's own business


def _coerce_to_first(value: object, hints: tuple[Any, ...]) -> object:
    # An exact type wins over a conversion: 1 stays an int for `float | int`.
    for hint in sorted(hints, key=lambda hint: type(value) is not hint):
        try:
            return coerce(value, hint)
        except ValueError:
            continue
    raise ValueError(value)


def _coerce_sequence(value: object, origin: type, hints: tuple[Any, ...]) -> object:
    open_ended = origin is list or hints[-1:] == (Ellipsis,)
    if open_ended and not isinstance(value, tuple | list):
        value = (value,)  # `filters=16` for a tuple of any length
    elif hints == (int, int) and isinstance(value, int):
        value = (value, value)  # `image_size=64` for a height and width
    if not isinstance(value, tuple | list) or not (open_ended or len(value) == len(hints)):
        raise ValueError(value)
    each = hints[:1] * len(value) if open_ended else hints
    return origin(coerce(element, hint) for element, hint in zip(value, each, strict=True))


def _require(value: Value, condition: bool) -> Value:
    if not condition:
        raise ValueError(value)
    return value


_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
