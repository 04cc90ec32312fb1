"""Writes README's tables of performance from what one run of the benchmarks has measured.

    pytest benchmarks --benchmark-json results.json && python -m benchmarks.readme results.json

All between the two marks in README.md is replaced. Whatever was not measured has no table.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_azure.files import write_text

BEGIN, END = "<!-- performance: python -m benchmarks.readme -->", "<!-- end of performance -->"
_README = Path(__file__).resolve().parents[1] / "README.md"
_SHOWN_PACKAGES = ("tensorflow", "keras", "jax", "numpy")

# By topic, which is the module's name, by title and by candidate: what was measured.
Results = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__.partition("\n")[0])
    parser.add_argument("results", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("readme", type=Path, nargs="?", default=_README, help="by default README.md")
    chosen = parser.parse_args(arguments)
    try:
        measured = json.loads(chosen.results.read_text(encoding="utf-8"))
        text = chosen.readme.read_text(encoding="utf-8")
        text = replaced(text, performance(measured))
    except (OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    write_text(chosen.readme, text)


def replaced(readme: str, tables: str) -> str:
    """README with `tables` between its marks.

    Raises:
        ValueError: it has not both marks once, in their order.
    """
    before, first, rest = readme.partition(BEGIN)
    _, last, after = rest.partition(END)
    if not first or not last or BEGIN in rest or END in after:
        raise ValueError(f"README needs the lines {BEGIN!r} and, behind it, {END!r}, each once")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def performance(measured: Mapping[str, Any]) -> str:
    """The section's text, from the JSON of pytest-benchmark.

    Raises:
        ValueError: it has no results of these benchmarks.
    """
    try:
        machine, results = measured["machine_info"]["described"], _by_topic(measured["benchmarks"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the file has no results of these benchmarks: {error!r}") from None
    if not results:
        raise ValueError("the file has no results of these benchmarks")
    parts = [_described(machine)]
    for topic, table in _TABLES.items():
        if topic in results:
            parts.append(table(results[topic]))
    return "\n".join(parts)


def _by_topic(benchmarks: Sequence[Mapping[str, Any]]) -> Results:
    found: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for benchmark in benchmarks:
        more = benchmark["extra_info"]
        if "topic" in more:
            found.setdefault(more["topic"], {}).setdefault(benchmark["group"], {})[more["candidate"]] = more
    return found


def _described(machine: Mapping[str, Any]) -> str:
    packages = ", ".join(
        f"{name} {machine['packages'][name]}" for name in _SHOWN_PACKAGES if machine["packages"].get(name)
    )
    return (
        f"Measured on {machine['date'][:10]}, in one run: {machine['processor']}, {machine['processors']} cores, "
        f"{machine['memory_gib']:.0f} GiB of memory, {machine['os']}, Python {machine['python']}, {packages}.\n"
        "Medians over interleaved rounds.\n"
    )


def _whole_run(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each batch size: our images/s, and how many times that of each peer it is."""
    from_title = {title: title.rpartition(" ")[2] for title in groups}
    plain = {title: group for title, group in groups.items() if "chapter" not in title}
    peers = list(dict.fromkeys(name for group in plain.values() for name, more in group.items() if not more["ours"]))
    rows = []
    for title, group in plain.items():
        ours = _speed(group, "kaz run")
        ratios = [_ratio(ours, _speed(group, peer)) for peer in peers]
        rows.append([from_title[title], _number(ours), *ratios])
    text = "`kaz run cnn` on pictures of MNIST's form, with display, tracking and checkpoints: its images/s, and how\n"
    text += "many times as fast as each it is:\n\n"
    text += _table(["batch size", "images/s", *peers], rows)
    for title, group in groups.items():
        if title not in plain:
            others = [name for name, more in group.items() if not more["ours"]]
            ratios = [
                f"{_ratio(_speed(group, 'kaz run'), _speed(group, name))} times as fast as {name}" for name in others
            ]
            text += f"\nWith the recipe `chapter`, batches of {from_title[title]}: {', '.join(ratios)}.\n"
    return text


def _training_step(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each model, a column for each engine, precision and compiler: images/s."""
    ways = list(dict.fromkeys(name for group in groups.values() for name in group))
    rows = [[title, *(_number(_speed(group, way)) for way in ways)] for title, group in groups.items()]
    return "The training step alone, on pictures that are in memory already, images/s:\n\n" + _table(["", *ways], rows)


def _input_pipeline(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each peer, a column for each group: how many times as fast as it we are."""
    peers = list(dict.fromkeys(name for group in groups.values() for name, more in group.items() if not more["ours"]))
    rows = [
        [peer, *(_ratio(_speed(group, "ours"), _speed(group, peer)) for group in groups.values())] for peer in peers
    ]
    return "The input pipeline, how many times as fast as each:\n\n" + _table(["beside", *groups], rows)


def _start(groups: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [[name, f"{more['seconds']:.2f} s"] for group in groups.values() for name, more in group.items()]
    return "Start, from the process's beginning; `kaz run cnn` on the digits:\n\n" + _table(["to", ""], rows)


def _others(heading: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each candidate: images/s, and how many times as fast the first of ours is."""
    rows = []
    for title, group in groups.items():
        ours = next((name for name, more in group.items() if more["ours"]), None)
        for name in group:
            rows.append([title, name, _number(_speed(group, name)), _ratio(_speed(group, ours), _speed(group, name))])
    return f"{heading}:\n\n" + _table(["", "", "images/s", "ours is so many times as fast"], rows)


_TABLES = {
    "whole_run": _whole_run,
    "training_step": _training_step,
    "start": _start,
    "input_pipeline": _input_pipeline,
    "photographs": lambda groups: _others("Photographs in a folder", groups),
    "frozen_features": lambda groups: _others("The head of a frozen network", groups),
    "checkpoint_cost": lambda groups: _others("Checkpoints", groups),
}


def _speed(group: Mapping[str, Any], name: str | None) -> float | None:
    return group.get(name, {}).get("images_per_second")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _ratio(ours: float | None, theirs: float | None) -> str:
    return "" if not ours or not theirs else f"{ours / theirs:.2f}" if ours < 10 * theirs else f"{ours / theirs:.0f}"


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def lines() -> Iterator[str]:
        yield f"| {' | '.join(heading)} |"
        yield f"|{'---|' * len(heading)}"
        for row in rows:
            yield f"| {' | '.join(row)} |"

    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    main()
