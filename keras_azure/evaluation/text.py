"""An evaluation in words: lines for a terminal, tables for a notebook."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_azure.description.text_table import text_table
from keras_azure.evaluation.figures import ClassFigures, LabelFigures
from keras_azure.evaluation.intervals import Share
from keras_azure.redaction import printable
from keras_azure.reporting.notebook import table_html

if TYPE_CHECKING:
    from keras_azure.evaluation.result import EvaluationResult

_MOST_ROWS = 30  # of classes, labels or numbers that a terminal shows
_MOST_CONFUSED = 5
_NAME = 28  # characters
_WORDS = {"ece": "calibration error", "roc_auc": "ROC AUC", "mae": "MAE", "rmse": "RMSE", "r2": "R²"}
_SCORES = ("score", "value", "95 %")  # the columns of the scores of all images, which say themselves what they are
_SHARES = ("accuracy", "top_", "precision", "recall", "f1", "ece")  # scores that are shown in percent


def as_text(result: "EvaluationResult") -> str:
    """The evaluation as lines of at most about 80 characters."""
    lines = [f"{result.model}", f"{result.split}: {result.images} images of {result.data}", ""]
    lines += [*_laid_out(_SCORES, [*_scores(result)])[1:], ""]
    if result.temperature is not None:
        lines += [f"Calibrated with the temperature {result.temperature:.4g}", ""]
    headings, rows, left_out = _rows(result, _MOST_ROWS)
    if rows:
        lines += [*_laid_out(headings, rows), *([left_out] if left_out else []), ""]
    if confused := [*_confused(result)]:
        lines += ["Most often confused:", *(f"  {line}" for line in confused), ""]
    if result.groups:
        lines += [*_laid_out(_group_headings(result), _groups(result)), ""]
    return "\n".join(lines).rstrip()


def as_html(result: "EvaluationResult") -> str:
    """The same as tables."""
    headings, rows, left_out = _rows(result, _MOST_ROWS)
    caption = f"{result.split}: {result.images} images of {result.data}"
    found = table_html(("", "", ""), [*_scores(result)], caption=caption)
    if rows:
        found += table_html(headings, rows, caption=left_out)
    if result.groups:
        found += table_html(_group_headings(result), _groups(result))
    return found


def score_in_words(name: str, value: float) -> str:
    """A score as a text: shares in percent."""
    if any(part in name for part in _SHARES):
        return f"{value:.2%}"
    return f"{value:.4g}"


def _in_words(name: str) -> str:
    return _WORDS.get(name, name.replace("_", " ").replace("f1", "F1"))


def _scores(result: "EvaluationResult") -> Iterator[tuple[str, str, str]]:
    """Each score, its value, and its 95 % interval where it has one."""
    figures = result.figures
    shares: dict[str, Share] = {}
    if isinstance(figures, ClassFigures):
        shares = {"accuracy": figures.accuracy, **{f"top_{k}": share for k, share in figures.top.items()}}
    elif isinstance(figures, LabelFigures):
        shares = {"subset_accuracy": figures.all_right}
    for name, value in result.scores.items():
        interval = f"{shares[name].low:.2%} to {shares[name].high:.2%}" if name in shares else ""
        yield _in_words(name), score_in_words(name, value), interval


def _rows(result: "EvaluationResult", most: int) -> tuple[Sequence[str], list[Sequence[str]], str]:
    """The table of classes, labels or numbers; the worst of them, where there are more than `most`."""
    figures = result.figures
    if figures is None:
        return (), [], ""
    if not isinstance(figures, ClassFigures):
        columns = [name for name in next(iter(figures.each.values())) if name != "images"]
        has_images = isinstance(figures, LabelFigures)
        rows = [
            [
                _short(name),
                *([f"{each['images']:.0f}"] if has_images else []),
                *(_or_dash(each.get(column), "{:.4g}") for column in columns),
            ]
            for name, each in figures.each.items()
        ]
        headings = ["label" if has_images else "number", *(["images"] if has_images else [])]
        headings += [_in_words(column) for column in columns]
        left_out = f"... and {len(rows) - most} more; --json has all" if len(rows) > most else ""
        return headings, [*rows[:most]], left_out
    chosen = [*figures.rows]
    left_out = ""
    if len(chosen) > most:
        known = [row for row in chosen if row.f1 is not None]
        chosen = sorted(known, key=lambda row: row.f1 or 0)[:most]
        left_out = f"... the {len(chosen)} of {len(figures.rows)} classes with the lowest F1; --output has all"
    headings = ["class", "images", "precision", "recall", "(95 %)", "F1", "AP"]
    rows = [
        [
            _short(row.name),
            str(row.support),
            "-" if row.precision is None else f"{row.precision.value:.1%}",
            *(["-", ""] if row.recall is None else [f"{row.recall.value:.1%}", _interval(row.recall)]),
            _or_dash(row.f1, "{:.1%}"),
            _or_dash(row.average_precision, "{:.3f}"),
        ]
        for row in chosen
    ]
    return headings, [*rows], left_out


def _confused(result: "EvaluationResult") -> Iterator[str]:
    figures = result.figures
    if not isinstance(figures, ClassFigures):
        return
    wrong = figures.confusion - np.diag(np.diag(figures.confusion))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSED]
    for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if count := int(wrong[row, column]):
            named = [repr(_short(figures.rows[place].name)) for place in (row, column)]
            yield f"{named[0]} taken for {named[1]}: {count} of {figures.rows[row].support} images"


def _group_headings(result: "EvaluationResult") -> Sequence[str]:
    return ["group", "images", *(_in_words(name) for name in _group_scores(result))]


def _groups(result: "EvaluationResult") -> list[Sequence[str]]:
    return [
        [
            _short(name),
            str(group.images),
            *(
                score_in_words(each, group.scores[each]) if each in group.scores else "-"
                for each in _group_scores(result)
            ),
        ]
        for name, group in result.groups.items()
    ]


def _group_scores(result: "EvaluationResult") -> list[str]:
    """The scores that a table of groups has room for."""
    return [name for name in ("accuracy", "macro_f1", "micro_f1", "mae", "rmse") if name in result.scores][:4]


def _interval(share: Share) -> str:
    return f"{share.low:.0%}-{share.high:.0%}"


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"


def _laid_out(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column at the left and all others, which are numbers, at the right."""
    return text_table(headings, rows, right=headings[1:])
