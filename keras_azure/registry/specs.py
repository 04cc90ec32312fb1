"""The one grammar of names: `cnn`, `cnn(filters=(16, 32), dropout=0.2)`, `features(backbone=inceptionv3)`.

The command line, run.json, MLflow and Azure all carry a plugin and its options as such a text. Values are Python
literals: numbers, strings, True, False, None and tuples of them (a list is read as a tuple). A bare word is a string,
and so is a bare call, so that a spec can be the value of an option: `resnet50(head=mlp(units=64))`.

Nothing is evaluated: the text is parsed, and whatever is not a literal is refused.

From Python a function, a class or an object may stand in place of a name. Its text says what it is, `nets:small` where
it can be imported and `<__main__:small>` where it cannot, and carries it: see `Given`. Such a text from elsewhere, as
from a run.json, is text alone and is refused: no file makes code be imported.
"""

import ast
import functools
import importlib
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from keras_azure.errors import SpecError
from keras_azure.redaction import redacted

Literal = str | int | float | bool | None | tuple["Literal", ...]

LONGEST_TEXT = 10_000  # characters; Python's own parser gives up on deep nesting long after a person has
LARGEST_INTEGER = 2**1023  # a float can hold it, and so can what reads JSON
_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_TEXT = re.compile(rf"\s*(?P<name>{_NAME.pattern})\s*(?P<call>\(.*\))?\s*", re.DOTALL | re.ASCII)
_PATH_OPTION = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>[\w.~:@+/\\-]*[./\\][\w.~:@+/\\-]*)", re.ASCII)
_NUMBER = re.compile(r"[-+]?[\d_.]+(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_IMPORT = re.compile(r"\s*(?P<target>[A-Za-z_][\w.]*:[A-Za-z_][\w.]*)\s*(?P<call>\(.*\))?\s*", re.DOTALL | re.ASCII)
_GRAMMAR = "name or name(option=value, ...), where a value is a number, a word, a quoted string or a tuple"


@dataclass(frozen=True)
class PythonObject:
    """A function, a class or an object that was given in place of a name.

    Attributes:
        text: what it is: "nets:small", "keras.src.optimizers.sgd:SGD(learning_rate=0.1)".
        value: the object; None where it is imported when it is used.
        importable: whether `text` is where it can be imported from.
    """

    text: str
    value: object = None
    importable: bool = True

    def load(self) -> Any:
        """
        Raises:
            Exception: whatever the import of it causes.
        """
        if self.value is not None:
            return self.value
        module, _, qualname = self.text.partition(":")
        return functools.reduce(getattr, qualname.split("."), importlib.import_module(module))


@dataclass(frozen=True)
class Spec:
    """A name and its options; `str(spec)` is the text that reads back as the same spec.

    Attributes:
        given: what was given in Python in place of the name; the name is then what it is called there.
    """

    name: str
    options: Mapping[str, Literal] = field(default_factory=dict)
    given: PythonObject | None = None

    def __post_init__(self) -> None:
        checked = {key: literal(value, key) for key, value in sorted(self.options.items())}
        object.__setattr__(self, "options", MappingProxyType(checked))

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.options.items())))

    def __str__(self) -> str:
        if self.given is not None:
            return Given(self)
        return self.name + call_text(self.options)

    def with_options(self, **options: Literal) -> "Spec":
        """The same name with `options` laid over the ones it has."""
        return Spec(self.name, {**self.options, **options}, self.given)


class Given(str):
    """The text of a spec whose object was given in Python; the object goes where the text goes in this process.

    In every other way it is text: a setting, JSON, a line on the screen. What was written and is read again is plain.
    """

    spec: Spec

    def __new__(cls, spec: Spec) -> Self:
        assert spec.given is not None
        text = spec.given.text + call_text(spec.options)
        made = super().__new__(cls, text if spec.given.importable else f"<{text}>")
        made.spec = spec
        return made

    def __deepcopy__(self, memo: object) -> str:
        return str.__str__(self)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:  # to another process goes the text alone
        return str, (str.__str__(self),)


def call_text(options: Mapping[str, Literal]) -> str:
    """ "(dropout=0.2)", or nothing where there are none."""
    return f"({', '.join(f'{key}={value!r}' for key, value in options.items())})" if options else ""


def is_name(text: str) -> bool:
    """Whether a spec can have this name."""
    return _NAME.fullmatch(text) is not None


def parse(text: str) -> Spec:
    """Reads a spec from its text.

    Raises:
        SpecError: the text is not in the grammar.
    """
    match = _TEXT.fullmatch(text) if len(text) <= LONGEST_TEXT else None
    if match is None and is_python(text):
        _refuse_python(text)
    if match is None:
        raise SpecError(f"{_shown(text)} is not a name with options.", expected=_GRAMMAR)
    return Spec(match["name"], _arguments(match["call"] or "()", text))


def parse_import(text: str) -> Spec | None:
    """Reads `module:name`, with options or without, as what is imported when it is used; None where it is no such text.

    For texts that a user gave: what is read from a file must import nothing.

    Raises:
        SpecError: its options cannot be read.
    """
    match = _IMPORT.fullmatch(text) if len(text) <= LONGEST_TEXT else None
    if match is None:
        return None
    name = match["target"].rpartition(":")[2].rpartition(".")[2]
    return Spec(name, _arguments(match["call"] or "()", text), PythonObject(match["target"]))


def is_python(text: str) -> bool:
    """Whether a text says what was given in Python in place of a name, or is to be imported."""
    return len(text) <= LONGEST_TEXT and bool(_IMPORT.fullmatch(text) or is_object(text))


def is_object(text: str) -> bool:
    """Whether a text says what was given in Python, and cannot be imported."""
    return len(text) <= LONGEST_TEXT and re.fullmatch(r"<[\w.]+:.*>", text, re.DOTALL) is not None


def _refuse_python(text: str) -> None:
    if text.startswith("<"):
        raise SpecError(
            f"{_shown(text)} was an object of a Python program, which no text can make again.",
            hint="give it again from Python, beside the file: keras_azure.run(..., config='run.json')",
        )
    raise SpecError(
        f"{_shown(text)} is Python code, which is not imported because a file names it.",
        expected=_GRAMMAR,
        hint="if you trust it, name it yourself beside the file: kaz run module:name --config run.json",
    )


def parse_option(text: str) -> tuple[str, Literal]:
    """Reads `option=value`, the form of `kaz run --set`, where the value may also be a path without quotes.

    Raises:
        SpecError: the text is not one option and its value.
    """
    if len(text) <= LONGEST_TEXT and (path := _PATH_OPTION.fullmatch(text)) and not _NUMBER.fullmatch(path["value"]):
        return path["name"], path["value"]
    if len(text) <= LONGEST_TEXT and "=" in text:
        options = _arguments(f"({text})", text)
        if len(options) == 1:
            return next(iter(options.items()))
    raise SpecError(f"{_shown(text)} is not one option.", expected="option=value, such as dropout=0.2")


def _arguments(call: str, text: str) -> dict[str, Literal]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of a Windows path's backslashes is not for our users
            tree = ast.parse(f"_{call}", mode="eval").body
        return _options(tree, text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise SpecError(f"{_shown(text)} cannot be read: {_reason(error)}.", expected=_GRAMMAR) from None


def _options(tree: ast.expr, text: str) -> dict[str, Literal]:
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise SpecError(f"{_shown(text)} is not one name with options.", expected=_GRAMMAR)
    if tree.args:
        raise SpecError(f"{_shown(text)} has a value without an option's name.", expected=_GRAMMAR)
    options: dict[str, Literal] = {}
    for keyword in tree.keywords:
        if keyword.arg is None or keyword.arg in options:
            problem = "unpacks a mapping" if keyword.arg is None else f"gives {keyword.arg!r} twice"
            raise SpecError(f"{_shown(text)} {problem}.", expected=_GRAMMAR)
        options[keyword.arg] = _value(keyword.value, text)
    return options


def _value(node: ast.expr, text: str) -> Literal:
    match node:
        case ast.Constant(value=str() | int() | float() | bool() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant(value=int() | float() as value)):
            return -value if isinstance(sign, ast.USub) else value
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            return tuple(_value(element, text) for element in elements)
        case ast.Name(id=word):
            return word
        case ast.Call(func=ast.Name(id=name), args=[]):
            return str(Spec(name, _options(node, text)))
    raise SpecError(
        f"{_shown(text)}: {_shown(ast.unparse(node))} is not a plain value.",
        expected="a number, a word, a tuple, or text in quotes: \"option='two-words'\"",
    )


def literal(value: object, option: str) -> Literal:
    """The value as it is stored: lists become tuples, NumPy's numbers plain ones; what text cannot carry is refused."""
    match value:
        case tuple() | list():
            return tuple(literal(element, option) for element in value)
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case int() if abs(value) < LARGEST_INTEGER:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
    shown = f"an integer of {value.bit_length()} bits" if isinstance(value, int) else _clipped(repr(value))
    raise SpecError(
        f"The option {option!r} cannot be {shown}.",
        expected="a finite number, a string, True, False, None, or a tuple of them",
    )


def _shown(text: str) -> str:
    return repr(_clipped(text))


def _clipped(text: str) -> str:
    text = redacted(text)  # before it is cut: half a secret is no longer known for one
    return text if len(text) <= 80 else text[:77] + "..."


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError | RecursionError):
        return "it is too deeply nested"
    return error.msg if isinstance(error, SyntaxError) else str(error)
