"""Sections as a page: one file of HTML, which needs nothing else."""

import functools
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from keras_azure.reporting.parts import Section, Value
from keras_azure.reporting.text import fit, number

_SHORT, _SHORT_NAME = 24, 20  # characters


def rendered(title: str, sections: Sequence[Section]) -> str:
    """The HTML of a page."""
    return _template().render(title=title, sections=sections)


@functools.cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("keras_azure.reporting"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.tests |= {"short": _is_short, "short_name": _is_short_name}
    return environment.get_template("report.html")


def _is_short(value: Value) -> bool:
    """Whether a value stands on one line: numbers do, and shares with their intervals."""
    return not isinstance(value, Markup) and len(str(value)) <= _SHORT


def _is_short_name(value: Value) -> bool:
    """Whether the name of a row stands on one line."""
    return len(value.striptags() if isinstance(value, Markup) else str(value)) <= _SHORT_NAME


def _shown(value: Value) -> Value:
    """Whatever the template puts into the page: numbers as people read them, texts without secrets."""
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    return number(value) if isinstance(value, int | float) else fit(value)
