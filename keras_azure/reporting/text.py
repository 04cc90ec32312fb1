"""Text from elsewhere, such as the name of a class, made fit for a page; numbers as a page shows them."""

import functools
import html
import math
import re
from typing import SupportsFloat

from keras_azure.redaction import printable, redacted

_LONGEST = 1000  # characters
# Between letters and between emoji, which without them are others; a terminal has no use for them, a page has.
_JOINERS = "(\u200c|\u200d)"


@functools.lru_cache(maxsize=4096)  # a class's name is on a page many times
def fit(text: str) -> str:
    """The text without secrets and control characters, on one line; of a very long one the beginning."""
    shown = "".join(
        part if part in ("\u200c", "\u200d") else printable(part) for part in re.split(_JOINERS, redacted(text))
    )
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"


def escaped(text: str) -> str:
    """The text as `fit`, for between the tags of a page and for its attributes."""
    return html.escape(fit(text))


def number(value: SupportsFloat, digits: int = 4) -> str:
    """A number in so many significant digits, without zeros behind them: "0.9861", "48,000", "1.2e-05"."""
    value = float(value)
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "-∞"}.get(value, "not a number")
    if abs(value) >= 1e15:
        return f"{value:.{digits}g}"
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.{max(digits, len(f'{abs(value):.0f}'))}g}"
