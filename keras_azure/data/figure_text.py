"""Names in figures, whatever script they are in and however long they are.

Each character is drawn by a font that has it, of those that are installed. One that none has is written out, as Python
does. Names that are too long are shortened so that different ones stay different.
"""

import functools
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib import font_manager

from keras_azure.redaction import printable

_OWN = "DejaVu Sans"  # which Matplotlib brings
# Of fonts that have glyphs under wrong numbers, a box for everything, or colours, which Matplotlib cannot draw.
_USELESS = re.compile(r"cm\w+\d|STIX(Non|Size)|Last ?Resort|.*\bColor\b", re.IGNORECASE)
_PLAIN = (400, "normal", "regular", "book")  # weights
_WIDE = ("W", "F")  # as Unicode calls characters that take the place of two


def style_of(text: str) -> dict[str, Any]:
    """How Matplotlib is to draw a text: with the fonts that have its characters, and never as a formula.

    axes.text(0, 0, label, **style_of(label))
    """
    families = dict.fromkeys(family for family in map(_family_of, text) if family)
    return {"family": list({_OWN: None, **families}), "parse_math": False}


def drawable(text: str) -> str:
    r"""The text with what no font has written out: "\\u732b"."""
    return "".join(_units(text))


def drawable_labels(names: Sequence[str], width: int) -> Mapping[str, str]:
    """For each name a text that can be drawn, about `width` characters at most; no two are the same.

    A longer name is its beginning; where others begin alike its beginning and end; where they end alike, too, it has a
    number.
    """
    units = {name: _units(name) for name in names}
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for shorten in (_whole, _beginning, _both_ends):
        short = {name: shorten(units[name], width) for name in units if name not in labels}
        counts = Counter(short.values())
        clear = {name: text for name, text in short.items() if text and counts[text] == 1 and text not in taken}
        labels |= clear
        taken |= {*clear.values()}
    for name in units:
        if name not in labels:
            labels[name] = next(text for text in _numbered(units[name], width) if text not in taken)
            taken.add(labels[name])
    return {name: labels[name] for name in units}


def _units(text: str) -> list[str]:
    """What is drawn of each character, which is never cut in the middle."""
    return [character if _family_of(character) else _written_out(character) for character in text]


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _width(units: Sequence[str]) -> int:
    return sum(1 + (unicodedata.east_asian_width(character) in _WIDE) for unit in units for character in unit)


def _whole(units: Sequence[str], width: int) -> str:
    return "".join(units) if _width(units) <= width else ""


def _beginning(units: Sequence[str], width: int) -> str:
    return _first(units, width - 1) + "…"


def _both_ends(units: Sequence[str], width: int) -> str:
    end = _last(units, (width - 1) // 2)
    return f"{_first(units, width - 1 - _width(end))}…{end}"


def _numbered(units: Sequence[str], width: int) -> Iterator[str]:
    for number in itertools.count(1):
        yield f"{_first(units, width - 2 - len(str(number)))}…#{number}"


def _first(units: Sequence[str], width: int) -> str:
    lengths = itertools.accumulate(map(_width, units))
    return "".join(unit for unit, length in zip(units, lengths, strict=True) if length <= width)


def _last(units: Sequence[str], width: int) -> str:
    lengths = itertools.accumulate(map(_width, reversed(units)))
    kept = sum(length <= width for length in lengths)
    return "".join(units[len(units) - kept :])


@functools.lru_cache(maxsize=4096)
def _family_of(character: str) -> str | None:
    """The font to draw a character with; None if it has to be written out."""
    if printable(character) != character:
        return None
    code = ord(character)
    return next((family for family in _families() if code in _characters(family)), None)


@functools.cache
def _families() -> tuple[str, ...]:
    """All that are installed, Matplotlib's own first."""
    return _OWN, *sorted(_files().keys() - {_OWN})


@functools.cache
def _files() -> Mapping[str, str]:
    """A file of each font, as texts of no style and weight are drawn with."""
    fonts = font_manager.fontManager.ttflist
    plain = [font for font in fonts if (font.style, font.stretch) == ("normal", "normal") and font.weight in _PLAIN]
    return {font.name: font.fname for font in plain if not _USELESS.match(font.name)}


@functools.lru_cache(maxsize=64)
def _characters(family: str) -> frozenset[int]:
    """The codes of the characters that a font has; none of one that cannot be read."""
    try:
        font = font_manager.get_font(_files()[family])
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (KeyError, OSError, RuntimeError, ValueError):
        return frozenset()
