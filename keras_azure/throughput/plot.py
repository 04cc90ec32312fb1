"""A report of `bench` as bars."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

_BOUND, _OTHER, _CEILING = "#c44e52", "#1f77b4", "#b0b0b0"


def draw(report: Mapping[str, Any]) -> Figure:
    """Images/s of each part; the one that bounds stands out; lines go from the slowest round to the fastest."""
    measured = report["measured"]
    figure = Figure(figsize=(8, 0.6 * len(measured) + 1.6), layout="constrained")
    axes = figure.subplots()
    for row, (name, numbers) in enumerate(measured.items()):
        speed, rates = numbers["images_per_second"], numbers.get("rates") or [numbers["images_per_second"]]
        colour = _BOUND if name == report["bound"] else _CEILING if name == "ceiling" else _OTHER
        spread = [[max(0.0, speed - min(rates))], [max(0.0, max(rates) - speed)]]
        axes.barh(row, speed, xerr=spread, color=colour, height=0.7, error_kw={"elinewidth": 1, "capsize": 2})
        axes.annotate(
            f"{speed:,.0f}", (max(rates), row), xytext=(6, 0), textcoords="offset points", verticalalignment="center"
        )
    axes.set_yticks(range(len(measured)), measured)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(max(numbers.get("rates") or [numbers["images_per_second"]])
                                for numbers in measured.values()))  # fmt: skip
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(f"images/s; the {report['bound']} bounds")
    size = "x".join(map(str, report["image_shape"]))
    axes.set_title(
        f"{report['model']}, {size}, batches of {report['batch_size']}, {report['precision']}, {report['device']}",
        loc="left",
        fontsize=10,
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure
