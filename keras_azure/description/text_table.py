"""Tables as lines of text, as wide as a terminal at most."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from keras_azure.redaction import printable

WIDTH = 80  # of a terminal of which nothing is known
_GAP = 2
_LEAST_OF_A_REST = 20
_CUT = ".."
_MOST_SECONDS = 1e9


def text_table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    width: int = WIDTH,
    right: Collection[str] = (),
    cut: Mapping[str, int] = MappingProxyType({}),
) -> list[str]:
    """The lines of a table, the headings first.

    Args:
        headings: of the columns.
        rows: cells; in a row with fewer of them than there are columns, the last one takes the place of the rest.
        width: of the table, at most, as far as cutting the columns of `cut` makes it so.
        right: the columns that are aligned there, as numbers are.
        cut: the columns whose cells are shortened where the table is too wide, and how much is left of them at least.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    whole = [row for row in shown if len(row) == len(headings)]
    columns = zip(headings, *whole, strict=True)
    widths = [max(map(cells, column)) for column in columns]
    for row in shown:
        if len(row) < len(headings):
            for place, cell in enumerate(row[:-1]):
                widths[place] = max(widths[place], cells(cell))
    spare = width - sum(widths) - _GAP * (len(widths) - 1)
    least = {place: max(cut[heading], cells(heading)) for place, heading in enumerate(headings) if heading in cut}
    while spare < 0 and any(widths[place] > least[place] for place in least):
        widths[max(least, key=lambda place: widths[place] - least[place])] -= 1
        spare += 1
    return [_line(row, widths, [heading in right for heading in headings], width) for row in (headings, *shown)]


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool], width: int) -> str:
    parts: list[str] = []
    for place, cell in enumerate(row):
        if place == len(row) - 1 < len(widths) - 1:  # it has the place of the rest
            parts.append(shortened(cell, max(width - sum(map(cells, parts)) - _GAP * place, _LEAST_OF_A_REST)))
            break
        text = shortened(cell, widths[place])
        padding = " " * (widths[place] - cells(text))
        parts.append(padding + text if right[place] else text + padding)
    return (" " * _GAP).join(parts).rstrip()


def shortened(text: str, width: int) -> str:
    """The text, cut to so many cells."""
    if cells(text) <= width:
        return text
    text = text[:width]
    while text and cells(text) > width - len(_CUT):
        text = text[:-1]
    return text + _CUT


def cells(text: str) -> int:
    """How many cells of a terminal a text takes; Chinese characters, for one, take two each."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def duration(seconds: float | None) -> str:
    """`0:05`, `12:40`, `3:02:07`; nothing of what is no time."""
    if seconds is None or not 0 <= seconds < _MOST_SECONDS:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
