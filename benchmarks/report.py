"""Tables, a JSON file and a plot of what the benchmarks measured."""

import datetime
import json
import os
import platform
import statistics
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import cpuinfo  # which pytest-benchmark needs, too
import psutil

from benchmarks.rounds import Group, LeftOut, Outcome

_PACKAGES = (
    *("tensorflow", "keras", "jax", "numpy", "scipy", "pillow", "mlflow"),
    *("albumentations", "opencv-python-headless", "grain", "torch"),
)
_OURS, _OTHERS = "#1f77b4", "#b0b0b0"


def table(group: Group) -> Iterator[str]:
    """Lines of text: the fastest first, then what was left out."""
    ours = [name for name in group.ours if group.outcomes[name].images_per_second]
    header = ["", group.unit, "slowest..fastest", "first batch", *(f"{name} / it" for name in ours)]
    rows = []
    for name, outcome in _by_speed(group):
        first = outcome.first_batch_seconds
        rows.append(
            [
                name,
                _shown(group, outcome.images_per_second),
                f"{_shown(group, min(outcome.rates))}..{_shown(group, max(outcome.rates))}",
                "" if first is None else f"{first:.2f} s",
                *(_ratio(group, one, name) for one in ours),
            ]
        )
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        name, *numbers = row
        yield "  ".join([name.ljust(widths[0]), *map(str.rjust, numbers, widths[1:])]).rstrip()
    for name, outcome in group.outcomes.items():
        if outcome.error is not None:
            yield f"{name}: {_reason(outcome)}"


def write_report(stem: Path, groups: list[Group]) -> list[Path]:
    """Writes `stem`.json and, if something was measured, `stem`.png; gives their paths."""
    stem.parent.mkdir(exist_ok=True)
    numbers, plot = stem.with_suffix(".json"), stem.with_suffix(".png")
    report = {"machine": machine(), "groups": [_described(group) for group in groups]}
    numbers.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    measured = [group for group in groups if _by_speed(group)]
    if not measured:
        return [numbers]
    _draw(plot, measured)
    return [numbers, plot]


def _by_speed(group: Group) -> list[tuple[str, Outcome]]:
    measured = [(name, outcome) for name, outcome in group.outcomes.items() if outcome.images_per_second]
    return sorted(measured, key=lambda pair: -pair[1].images_per_second)


def _shown(group: Group, rate: float) -> str:
    return f"{1 / rate:,.2f}" if group.unit == "s" else f"{rate:,.0f}"


def _ratio(group: Group, ours: str, name: str) -> str:
    return f"{group.outcomes[ours].images_per_second / group.outcomes[name].images_per_second:.3g}"


def _reason(outcome: Outcome) -> str:
    left_out = isinstance(outcome.error, LeftOut)
    text = str(outcome.error) if left_out else f"failed: {type(outcome.error).__name__}: {outcome.error}"
    return text.splitlines()[0]


def _described(group: Group) -> dict[str, Any]:
    candidates: dict[str, Any] = {}
    for name, outcome in group.outcomes.items():
        if outcome.images_per_second is None:
            candidates[name] = {"left_out": _reason(outcome)}
            continue
        candidates[name] = {
            **({"seconds": outcome.seconds} if group.unit == "s" else {"images_per_second": outcome.images_per_second}),
            "rounds": outcome.rates,
            "first_batch_seconds": outcome.first_batch_seconds,
            "first_batch_seconds_later": _median([lap.first_batch_seconds for lap in outcome.laps]),
            **outcome.more,
        }
    speeds = {name: outcome.images_per_second for name, outcome in _by_speed(group)}
    ratios = {
        ours: {name: speeds[ours] / speed for name, speed in speeds.items() if name != ours}
        for ours in group.ours
        if ours in speeds
    }
    return {"title": group.title, "candidates": candidates, "ratios": ratios}


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "os": _os(),
        "processor": cpuinfo.get_cpu_info().get("brand_raw"),
        "processors": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "python": platform.python_version(),
        "packages": versions,
    }


def _os() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform(terse=True)


def _draw(path: Path, groups: list[Group]) -> None:
    """A bar for each candidate, from the fastest down; its line goes from the slowest round to the fastest."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    counts = [len(_by_speed(group)) for group in groups]
    figure = Figure(figsize=(10, sum(0.34 * count + 1.1 for count in counts)), layout="constrained")
    axes = figure.subplots(len(groups), squeeze=False, height_ratios=[count + 1 for count in counts])[:, 0]
    for axis, group in zip(axes, groups, strict=True):
        ranked = _by_speed(group)
        names = [name for name, _ in ranked]
        speeds = [outcome.images_per_second for _, outcome in ranked]
        spread = [
            [speed - min(outcome.rates) for speed, (_, outcome) in zip(speeds, ranked, strict=True)],
            [max(outcome.rates) - speed for speed, (_, outcome) in zip(speeds, ranked, strict=True)],
        ]
        colours = [_OURS if name in group.ours else _OTHERS for name in names]
        axis.barh(names, speeds, xerr=spread, color=colours, height=0.7, error_kw={"elinewidth": 1, "capsize": 2})
        for row, (speed, (_, outcome)) in enumerate(zip(speeds, ranked, strict=True)):
            axis.annotate(
                _shown(group, speed),
                (max(outcome.rates), row),
                xytext=(6, 0),
                textcoords="offset points",
                verticalalignment="center",
                fontsize=9,
            )
        axis.invert_yaxis()
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.xaxis.set_minor_formatter(NullFormatter())  # or it names ticks so close that they overlap
        axis.set_xlim(min(speeds) / 2, max(speeds) * 3)  # the number of the longest bar stands within
        axis.set_title(group.title, loc="left", fontsize=11)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
    unit = "times a second; the labels are seconds" if groups[-1].unit == "s" else "images/s"
    axes[-1].set_xlabel(f"{unit} (logarithmic), medians; the lines go from the slowest to the fastest round")
    figure.savefig(path, dpi=120)
