"""The history of a run as charts, in a page and in a notebook."""

import itertools
from collections.abc import Mapping, Sequence

from keras_azure.reporting.charts import Line, line_chart
from keras_azure.reporting.text import number

_TITLES = {"macro_f1": "Macro F1", "micro_f1": "Micro F1", "mae": "Mean absolute error", "rmse": "RMSE", "r2": "R²"}


def history_charts(history: Sequence[Mapping[str, float]], scores: Sequence[str]) -> list[str]:
    """A chart for each score that the epochs have: of training and, where there is one, of validation.

    Args:
        history: a row for each epoch, as `RunResult.history`.
        scores: their names, without "val_".
    """
    charts = []
    for name in scores:
        lines = [
            Line(label, [(row["epoch"], row[column]) for row in history if column in row])
            for column, label in ((name, "training"), (f"val_{name}", "validation"))
        ]
        charts.append(line_chart(lines, title=title_of(name), across="Epoch", whole=True, marks=_stages(history)))
    return [chart for chart in charts if chart]


def title_of(score: str) -> str:
    """A score's name as a heading: "Mean absolute error", "Macro F1"."""
    return _TITLES.get(score, score.replace("_", " ").capitalize())


def _stages(history: Sequence[Mapping[str, float]]) -> list[tuple[float, str]]:
    """A mark between the epochs of two stages of fine-tuning."""
    return [
        (
            (before["epoch"] + row["epoch"]) / 2,
            f"stage {number(row['stage'])}: {number(row.get('stage_learning_rate', 0))}",
        )
        for before, row in itertools.pairwise(history)
        if "stage" in row and row["stage"] != before.get("stage")
    ]
