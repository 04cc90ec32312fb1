"""What a notebook shows of a result: a small table and curves, readable on white and on black."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeGuard

from keras_azure.reporting.curves import history_charts
from keras_azure.reporting.text import escaped, number

if TYPE_CHECKING:
    from keras_azure.description.result import RunResult

_CELL = "padding:2px 10px 2px 0;border-bottom:1px solid rgba(128,128,128,.35);vertical-align:top"


def table_html(headings: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str = "") -> str:
    """A small table as HTML, which needs no style from elsewhere. What is in it is escaped, without secrets.

    Args:
        headings: of the columns; all of them "" for a table without.
        rows: of texts, numbers or None, as many in each as there are headings. The first of each names its row.
        caption: what the table is of.

    Example:
        table_html(("Class", "F1"), [("cat", 0.91), ("dog", 0.88)], caption="Test")
    """
    heading = ""
    if any(headings):
        cells = zip(headings, _are_numbers(rows, len(headings)), strict=True)
        heading = f"<thead><tr>{''.join(_cell('th', text, right, 'col') for text, right in cells)}</tr></thead>"
    body = "".join(f"<tr>{''.join(_row(row))}</tr>" for row in rows)
    title = f'<caption style="text-align:left;color:inherit;padding:0 0 4px"><b>{escaped(caption)}</b></caption>'
    return (
        '<div style="overflow-x:auto;max-width:100%"><table style="border-collapse:collapse;color:inherit;'
        f'font-size:90%">{title if caption else ""}{heading}<tbody>{body}</tbody></table></div>'
    )


def curves_html(charts: Sequence[str]) -> str:
    """Charts beside each other, below each other where there is no room."""
    drawn = "".join(filter(None, charts))
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{drawn}</div>' if drawn else ""


def result_html(result: "RunResult") -> str:
    """A finished run: its scores on the test split, and how it got there."""
    rows: list[tuple[str, object]] = [(f"test {name}", value) for name, value in result.test_metrics.items()]
    rows += [
        ("epochs", result.epochs),
        ("images/s", round(result.images_per_second)),
        ("parameters", result.parameters),
        ("seconds", round(result.seconds, 1)),
    ]
    rows += [("run folder", str(result.run_dir))]
    table = table_html(("", ""), rows, caption=f"Run {result.run_dir.name}")
    return table + curves_html([*history_charts(result.history, [*result.test_metrics])])


def _row(values: Sequence[object]) -> Iterator[str]:
    for column, value in enumerate(values):
        yield _cell("td" if column else "th", value, _is_number(value), "row")


def _cell(tag: str, value: object, right: bool, scope: str) -> str:
    align = "right" if right else "left"
    scoped = f' scope="{scope}"' if tag == "th" else ""
    return f'<{tag}{scoped} style="{_CELL};text-align:{align};background:none">{_shown(value)}</{tag}>'


def _shown(value: object) -> str:
    if value is None:
        return ""
    return number(value) if _is_number(value) else escaped(str(value))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_numbers(rows: Sequence[Sequence[object]], columns: int) -> list[bool]:
    """Which columns are of numbers, whose headings stand at the right as they do."""
    return [any(_is_number(row[column]) for row in rows) for column in range(columns)]
