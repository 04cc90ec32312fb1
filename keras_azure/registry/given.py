"""What is given in Python in place of a plugin's name: a function, a class or an object.

It goes where the text goes, see `Given`, and is known to nobody else: nothing is registered.
"""

import functools
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, overload

from keras_azure.errors import SpecError
from keras_azure.registry.specs import Given, PythonObject, Spec, call_text, literal, parse_import

if TYPE_CHECKING:
    import keras


class KerasObject(Protocol):
    """An optimizer, a loss, a metric or a layer."""

    def get_config(self) -> dict[str, Any]: ...


class KerasCallback(Protocol):
    def set_model(self, model: "keras.Model") -> None: ...


Plugin = str | Spec | Callable[..., object] | KerasObject | KerasCallback  # what names one, or is there in its place
_NEVER_PLUGINS = (str, bytes, int, float, complex, dict, set)


@overload
def as_text(value: Plugin) -> str: ...


@overload
def as_text(value: object) -> object: ...


def as_text(value: object) -> object:
    """What a setting that names plugins holds: text, also for what is given in place of a name; or several.

    What can be no plugin, such as a number, comes back as it is, to be refused with all other wrong values.
    """
    if isinstance(value, tuple | list):
        return type(value)(map(as_text, value))
    if isinstance(value, Spec):
        return str(value)
    if value is None or isinstance(value, _NEVER_PLUGINS):
        return value
    if isinstance(value, functools.partial):
        described, settings = value.func, _shown(value.keywords)
    elif inspect.isclass(value) or inspect.isroutine(value):
        described, settings = value, ""
    else:
        described, settings = type(value), _settings(value)
    name = re.sub(r"[^\w.-]", "", described.__name__, flags=re.ASCII).lstrip("0123456789.-") or "object"
    text = f"{described.__module__}:{described.__qualname__}{settings}"
    return str(Spec(name, given=PythonObject(text, value, importable=described is value and _is_found(value))))


@overload
def typed_by_user(value: str) -> str: ...


@overload
def typed_by_user(value: object) -> object: ...


def typed_by_user(value: object) -> object:
    """A setting that a user gave, where `module:name` may be imported when it is used.

    Raises:
        SpecError: its options cannot be read.
    """
    if isinstance(value, tuple | list):
        return type(value)(map(typed_by_user, value))
    spec = parse_import(value) if isinstance(value, str) and not isinstance(value, Given) else None
    return value if spec is None else str(spec)


def _is_found(value: Any) -> bool:
    """Whether another process finds a function or a class where it says that it is."""
    found: Any = sys.modules.get(value.__module__ or "")
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value and value.__module__ != "__main__"


def unnumbered(value: KerasObject, config: Mapping[str, Any]) -> dict[str, Any]:
    """An object's config, with a name that Keras made up without its number: "sgd" of "sgd_2".

    Keras numbers what has no name within a process, and equal objects of two processes would differ.
    """
    base = re.sub(
        r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", type(value).__name__)
    ).lower()
    made_up = re.fullmatch(rf"{re.escape(base)}_\d+", str(config.get("name")))
    return {**config, "name": base} if made_up else dict(config)


def _settings(value: Any) -> str:
    """What an object says of itself that is not there by default."""
    try:
        defaults = inspect.signature(type(value)).parameters
        config = unnumbered(value, value.get_config()).items()
        return _shown({name: each for name, each in config if name in defaults and each != defaults[name].default})
    except Exception:  # whatever somebody's object does when it is asked
        return ""


def _shown(settings: Mapping[str, Any]) -> str:
    """The settings that a text can hold, as a call."""
    plain = {name: each for name, each in settings.items() if isinstance(each, str | int | float | tuple | list | None)}
    try:
        return call_text({name: literal(each, name) for name, each in plain.items()})
    except SpecError:
        return ""
