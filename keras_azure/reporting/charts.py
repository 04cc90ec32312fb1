"""Curves as SVG within a page, without a library: light and dark as the page is, and told apart by more than colour.

Colours are CSS variables (`--line-1` ...) that a page may set; without them they are readable on white and on black.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from keras_azure.reporting.text import escaped, fit, number

Point = tuple[float, float]
Range = tuple[float, float]

_WIDTH, _HEIGHT = 360, 234
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 34, 40  # around the curves
_LEGEND = 16  # a row of it
_COLOURS = ("#3b82d6", "#d9702b", "#3f9b57", "#a368c9")
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_LONGEST_NAME = 24  # characters in a legend
_MOST_MARKED = 30  # points on a curve, beyond which it has no marks
_SPACE = 0.04  # of an axis, beyond the curves


@dataclass(frozen=True)
class Line:
    """A curve: its name, and points from left to right. Those that are no finite numbers are left out."""

    name: str
    points: Sequence[Point]

    @property
    def drawn(self) -> list[Point]:
        return [(float(x), float(y)) for x, y in self.points if math.isfinite(x) and math.isfinite(y)]


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    across: str = "",
    up: str = "",
    x_range: Range | None = None,
    y_range: Range | None = None,
    diagonal: bool = False,
    whole: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """An SVG element with curves over each other, a title, axes and a legend.

    Args:
        lines: up to four are told apart by colour and dashes; nothing is drawn of none.
        across, up: what the axes are of.
        x_range, y_range: of the axes; by default what the curves take.
        diagonal: also draws the line y = x.
        whole: whether the axis across is of whole numbers, such as epochs.
        marks: places on the axis across, with a text each, such as the first epoch of a stage.

    Example:
        line_chart([Line("training", [(1, 0.5), (2, 0.2)])], title="Loss", across="Epoch")
    """
    lines = [line for line in lines if line.drawn]
    if not lines:
        return ""
    points = [point for line in lines for point in line.drawn]
    frame = _Frame(
        x_range or _range_of([x for x, _ in points], 0),
        y_range or _range_of([y for _, y in points], _SPACE),
        top=_TOP + _LEGEND * math.ceil(len(lines) / 2) * (len(lines) > 1),
    )
    described = "; ".join(f"{fit(line.name)}: {_from_to(line)}" for line in lines)
    label = escaped(f"{title}{f' over {across}' if across else ''}. {described}")
    return "".join(
        [
            f'<svg class="chart" role="img" viewBox="0 0 {_WIDTH} {frame.height}" width="{_WIDTH}" '
            f'height="{frame.height}" aria-label="{label}" style="max-width:100%;height:auto" '
            'font-family="system-ui,sans-serif" font-size="11" fill="currentColor">',
            f'<text x="{_WIDTH / 2:g}" y="16" text-anchor="middle" font-size="13">{escaped(title)}</text>',
            *(_legend(lines) if len(lines) > 1 else ()),
            *_axes(frame, across, up, whole=whole),
            *([_diagonal(frame)] if diagonal else ()),
            *(_curve(frame, number, line.drawn) for number, line in enumerate(lines)),
            *(_mark(frame, x, text) for x, text in marks),
            "</svg>",
        ]
    )


def scatter_chart(points: Sequence[Point], *, title: str, across: str, up: str, diagonal: bool = False) -> str:
    """An SVG element with points; nothing is drawn of none."""
    drawn = Line(title, points).drawn
    if not drawn:
        return ""
    xs, ys = zip(*drawn, strict=True)
    ends = _range_of([*xs, *ys], _SPACE) if diagonal else None
    frame = _Frame(ends or _range_of(xs, _SPACE), ends or _range_of(ys, _SPACE), top=_TOP)
    label = escaped(f"{title}: {up} over {across}, {len(drawn)} points")
    dots = "".join(f"M{frame.x(x):.1f} {frame.y(y):.1f}h0" for x, y in drawn)
    return "".join(
        [
            f'<svg class="chart" role="img" viewBox="0 0 {_WIDTH} {frame.height}" width="{_WIDTH}" '
            f'height="{frame.height}" aria-label="{label}" style="max-width:100%;height:auto" '
            'font-family="system-ui,sans-serif" font-size="11" fill="currentColor">',
            f'<text x="{_WIDTH / 2:g}" y="16" text-anchor="middle" font-size="13">{escaped(title)}</text>',
            *_axes(frame, across, up),
            *([_diagonal(frame)] if diagonal else ()),
            f'<path d="{dots}" fill="none" stroke-width="4" stroke-linecap="round" opacity="0.5" '
            f'style="{_colour(0)}"/>',
            "</svg>",
        ]
    )


@dataclass(frozen=True)
class _Frame:
    """Where numbers are on a chart."""

    across: Range
    up: Range
    top: int

    @property
    def height(self) -> int:
        return _HEIGHT + self.top - _TOP

    @property
    def bottom(self) -> int:
        return self.height - _BOTTOM

    def x(self, value: float) -> float:
        low, high = self.across
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.up
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)


def _range_of(values: Sequence[float], space: float) -> Range:
    low, high = min(values), max(values)
    if low == high:
        space, high = 0.5, high + (abs(high) or 1) * 0.1
        low -= high - low
    return low - space * (high - low), high + space * (high - low)


def _from_to(line: Line) -> str:
    """What somebody hears of a curve who does not see it."""
    (_, first), (_, last) = line.drawn[0], line.drawn[-1]
    return f"from {number(first, 3)} to {number(last, 3)}" if len(line.drawn) > 1 else number(first, 3)


def _ticks(ends: Range, most: int) -> list[float]:
    """Round numbers within a range, so many at most."""
    rough = (ends[1] - ends[0]) / most
    if not 0 < rough < math.inf:
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((factor * power for factor in (1, 2, 5, 10) if factor * power >= rough), 10 * power)
    first, last = math.ceil(ends[0] / step - 1e-9), math.floor(ends[1] / step + 1e-9)
    return [each * step for each in range(first, last + 1)]


def _axes(frame: _Frame, across: str, up: str, *, whole: bool = False) -> Iterator[str]:
    left, right, bottom = _LEFT, _WIDTH - _RIGHT, frame.bottom
    for y in _ticks(frame.up, 5):
        place = f"{frame.y(y):.1f}"
        yield f'<path d="M{left} {place}H{right}" stroke="currentColor" opacity="0.15"/>'
        yield f'<text x="{left - 6}" y="{frame.y(y) + 4:.1f}" text-anchor="end">{number(y, 3)}</text>'
    for x in _ticks(frame.across, 6):
        if whole and not math.isclose(x, round(x)):
            continue
        yield f'<path d="M{frame.x(x):.1f} {bottom}v4" stroke="currentColor" opacity="0.6"/>'
        yield f'<text x="{frame.x(x):.1f}" y="{bottom + 16}" text-anchor="middle">{number(x, 3)}</text>'
    yield f'<path d="M{left} {frame.top}V{bottom}H{right}" fill="none" stroke="currentColor" opacity="0.6"/>'
    if across:
        middle = (left + right) / 2
        yield f'<text x="{middle:g}" y="{frame.height - 6}" text-anchor="middle">{escaped(across)}</text>'
    if up:
        middle = (frame.top + bottom) / 2
        yield (f'<text transform="translate(11 {middle:g}) rotate(-90)" text-anchor="middle">{escaped(up)}</text>')


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    for place, line in enumerate(lines):
        row, column = divmod(place, 2)
        x, y = _LEFT + column * (_WIDTH - _LEFT) / 2, _TOP + row * _LEGEND
        name = fit(line.name)
        short = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
        yield f'<path d="M{x:g} {y - 4}h22" fill="none" stroke-width="2" {_look(place)}/>'
        yield f'<text x="{x + 28:g}" y="{y}">{escaped(short)}</text>'


def _curve(frame: _Frame, place: int, points: Sequence[Point]) -> str:
    places = [(f"{frame.x(x):.1f}", f"{frame.y(y):.1f}") for x, y in points]
    path = "M" + "L".join(f"{x} {y}" for x, y in places)
    curve = f'<path d="{path}" fill="none" stroke-width="2" stroke-linejoin="round" {_look(place)}/>'
    if len(points) > _MOST_MARKED:
        return curve
    marks = "".join(f"M{x} {y}h0" for x, y in places)
    return curve + f'<path d="{marks}" fill="none" stroke-width="6" stroke-linecap="round" style="{_colour(place)}"/>'


def _diagonal(frame: _Frame) -> str:
    low, high = max(frame.across[0], frame.up[0]), min(frame.across[1], frame.up[1])
    if low >= high:
        return ""
    ends = f"M{frame.x(low):.1f} {frame.y(low):.1f}L{frame.x(high):.1f} {frame.y(high):.1f}"
    return f'<path d="{ends}" fill="none" stroke="currentColor" opacity="0.5" stroke-dasharray="4 4"/>'


def _mark(frame: _Frame, x: float, text: str) -> str:
    place = f"{frame.x(x):.1f}"
    return (
        f'<path d="M{place} {frame.top}V{frame.bottom}" stroke="currentColor" opacity="0.5" stroke-dasharray="4 4"/>'
        f'<text transform="translate({frame.x(x) + 12:.1f} {frame.top + 4}) rotate(-90)" text-anchor="end" '
        f'font-size="10" style="paint-order:stroke;stroke:var(--paper,transparent);stroke-width:4px">'
        f"{escaped(text)}</text>"
    )


def _look(place: int) -> str:
    dashes = _DASHES[place % len(_DASHES)]
    return f'style="{_colour(place)}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _colour(place: int) -> str:
    place %= len(_COLOURS)
    return f"stroke:var(--line-{place + 1},{_COLOURS[place]})"
