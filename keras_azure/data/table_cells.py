"""The cells of a column of labels, kept as texts until all are there: what one means depends on all."""

import math
import unicodedata
from typing import Any

from keras_azure.data.formats.texts import Texts

TEXT, WHOLE, NUMBER, MISSING, OTHER = "a text", "a whole number", "a number", "nothing", "something else"
TEXTS, WHOLES, NUMBERS, EMPTY = "a list of texts", "a list of whole numbers", "a list of numbers", "an empty list"
LISTS = (TEXTS, WHOLES, NUMBERS, EMPTY)
_BETWEEN = "\0"  # the parts of a list
_LARGEST = 2**63  # whole numbers below can be labels
_NOT_A_NUMBER = "nan"  # as programs write a cell without a value


class Cells:
    """A column.

    Attributes:
        name: the column's.
        texts: the cells.
        first: the row, from 1, of the first cell of each kind.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.texts = Texts()
        self.first: dict[str, int] = {}

    def append(self, value: Any) -> None:
        kind, text = _kind_and_text(value)
        self.texts.append(text)
        self.first.setdefault(kind, len(self.texts))

    def parts(self, index: int) -> list[str]:
        """Those of a list."""
        text = self.texts[index]
        return text.split(_BETWEEN) if text else []


def plain(value: Any) -> Any:
    """What NumPy, pandas and polars have in cells, as Python has it; None where there is no value."""
    if value is None or isinstance(value, str | bool | int | list):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if type(value).__name__ in ("NAType", "NaTType"):  # of pandas
        return None
    for method in ("tolist", "to_list"):  # of NumPy's scalars and arrays, and of what polars has for lists
        if hasattr(value, method) and not isinstance(value, type):
            converted = getattr(value, method)()
            return plain(converted) if not isinstance(converted, list) else converted
    return list(value) if isinstance(value, tuple) else value


def _kind_and_text(value: Any) -> tuple[str, str]:
    value = plain(value)
    if not isinstance(value, list):
        return _of_one(value)
    found = [_of_one(plain(part)) for part in value]
    kinds = {kind for kind, _ in found}
    text = _BETWEEN.join(text for _, text in found)
    if not kinds:
        return EMPTY, ""
    if kinds == {TEXT} and text.count(_BETWEEN) == len(found) - 1:
        return TEXTS, text
    if kinds == {WHOLE}:
        return WHOLES, text
    return (NUMBERS, text) if kinds <= {WHOLE, NUMBER} else (OTHER, "")


def _of_one(value: Any) -> tuple[str, str]:
    if isinstance(value, str):
        text = unicodedata.normalize("NFC", value).strip()
        return (MISSING, "") if text.casefold() in ("", _NOT_A_NUMBER) else (TEXT, text)
    if isinstance(value, int):
        return (WHOLE, str(int(value))) if abs(value) < _LARGEST else (OTHER, "")
    if isinstance(value, float):
        return (NUMBER, repr(value)) if math.isfinite(value) else (OTHER, "")
    return (MISSING, "") if value is None else (OTHER, "")
