"""The way from light modules to heavy ones, which they must not import: as text, imported when it is used."""

from importlib import import_module
from typing import Any


def lazy(target: str) -> Any:
    """Imports `module:name` now, and gives the object."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
