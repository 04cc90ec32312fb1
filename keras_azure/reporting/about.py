"""What a report says of any run, whatever its task: settings, data, curves, speed, cost, versions."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from keras_azure.backends.asked import NODE_OF, machine_of
from keras_azure.description.commands import command
from keras_azure.description.config import RunConfig
from keras_azure.description.folder import DESCRIPTION
from keras_azure.errors import KerasAzureError
from keras_azure.planning.cost import Paid
from keras_azure.reporting.charts import Line, line_chart
from keras_azure.reporting.curves import history_charts, title_of
from keras_azure.reporting.finished import FinishedRun
from keras_azure.reporting.limits import Limits
from keras_azure.reporting.parts import Code, Part, Section, Table, Text, Value, charts, named, percent
from keras_azure.reporting.text import number

_NO_SCORES = ("epoch", "seconds", "images_per_second", "learning_rate", "stage", "stage_learning_rate")
_PARTS = ("train", "validation", "test")
_IN_WORDS = {"train": "Training", "validation": "Validation", "test": "Test"}


def result(run: FinishedRun) -> Section:
    scores = [(title_of(name), number(value)) for name, value in run.scores.items()]
    kept = run.facts.get("kept_epoch")
    temperature = run.facts.get("temperature")
    epochs = f"{run.facts['epochs']}, of which the weights of epoch {kept} are kept" if kept else run.facts["epochs"]
    return Section(
        "Result",
        [
            Table(
                "Scores of the saved model on the test split, and the run",
                (),
                [
                    ("Model", run.config.model),
                    ("Data", run.config.data),
                    *((f"Test, {name}", value) for name, value in scores),
                    *([("Calibrated with the temperature", temperature)] if temperature else []),
                    ("Epochs", epochs),
                    ("Parameters", run.facts["parameters"]),
                    ("Time", duration(run.facts["seconds"])),
                ],
            )
        ],
    )


def settings(run: FinishedRun) -> Section:
    config = run.config
    if given := config.python_texts():
        again: list[Part] = [
            Text(
                f"The run was given objects of a Python program, which no file can bring back: {', '.join(given)}. "
                "With them, this repeats it:"
            ),
            Code(f"keras_azure.run(config={str(run.run_dir / DESCRIPTION)!r}, ...)"),
        ]
    else:
        again = [Text("This repeats the run:"), Code(command("kaz", "run", "--config", run.run_dir / DESCRIPTION))]
    chosen: list[tuple[str, str]] = []
    others: list[tuple[str, str]] = []
    for setting in dataclasses.fields(RunConfig):
        value = getattr(config, setting.name)
        rows = others if value == setting.default else chosen
        rows.append((setting.name, _in_words(value)))
    return Section(
        "Settings",
        [
            *again,
            Table("What was chosen", ("Setting", "Value"), chosen),
            Table(f"{len(others)} settings that have their defaults", ("Setting", "Value"), others, folded=True),
        ],
    )


def data(run: FinishedRun, limits: Limits) -> Section:
    known, names = run.data, run.facts["class_names"]
    if not known:
        return Section("Data", [Text(f"{len(names)} names: {', '.join(names[: limits.unfolded])}")])
    height, width, channels = known["image_shape"]
    images, counts = known["images"], known.get("counts", {})
    parts: list[Part] = [Text(known["description"])]
    parts += [Text(note) for note in known["notes"]]
    parts.append(
        Table(
            f"Images of {height}x{width}, {'in gray' if channels == 1 else 'in colour'}",
            ("Part", "Images"),
            [(_IN_WORDS[part], images[part]) for part in _PARTS],
        )
    )
    shown = [part for part in _PARTS if part in counts]
    if shown:
        rows: list[tuple[Value, ...]] = [
            (named(name), *(counts[part][place] for part in shown)) for place, name in enumerate(names[: limits.rows])
        ]
        left = f", of which {limits.rows} are listed" if len(names) > limits.rows else ""
        parts.append(
            Table(
                f"Images of each of {len(names)} names{left}",
                ("Name", *(_IN_WORDS[part] for part in shown)),
                rows,
                folded=len(rows) > limits.unfolded,
            )
        )
    return Section("Data", parts)


def training(run: FinishedRun) -> Section:
    first: Mapping[str, float] = run.history[0] if run.history else {}
    scores = [name for name in first if name not in _NO_SCORES and not name.startswith("val_")]
    drawn = history_charts(run.history, scores)
    return Section("Training", [*charts(drawn)] or [Text("There were no epochs.")])


def speed(run: FinishedRun) -> Section:
    known = run.facts.get("performance") or {}
    rows: list[tuple[Value, Value]] = [
        ("Images a second, without the first step", round(run.facts["images_per_second"]))
    ]
    for name, title in (("step_median_seconds", "A step, median"), ("step_99th_percentile_seconds", "99 % of steps")):
        if name in known:
            rows.append((title, f"{1000 * known[name]:.3g} ms"))
    if "waiting_share" in known:
        rows.append(("Share of the time in which steps waited for images", percent(known["waiting_share"])))
    for name, title in (
        ("steps_per_call", "Steps in a call"),
        ("engine", "Engine"),
        ("device", "Device"),
        ("threads", "Threads"),
    ):
        if name in known:
            rows.append((title, known[name]))
    if "xla" in known:
        rows.append(("XLA", "yes" if known["xla"] else "no"))
    paces = [(row["epoch"], row["images_per_second"]) for row in run.history if "images_per_second" in row]
    chart = (
        line_chart([Line("images/s", paces)], title="Images a second", across="Epoch", whole=True)
        if len(paces) > 1
        else ""
    )
    return Section("Speed", [Table("How fast the run was", (), rows), *charts([chart])])


def cost(run: FinishedRun) -> Section:
    """What the machines of the run's backend cost, where it tells. On one of its nodes run.json says that the run is on
    the machine itself, and what was asked for is in the environment."""
    backend = os.environ.get(NODE_OF) or run.config.backend
    try:
        machine = machine_of(backend)
    except KerasAzureError as error:
        return Section("Cost", [Text(f"What the run cost is not known: {error.problem}")])
    if machine.here:
        return Section("Cost", [Text("The run was on a machine of one's own, which has no price.")])
    paid = Paid.of(machine, run.facts["seconds"])
    if paid is None:
        return Section("Cost", [Text("What the run cost is not known: its backend names no price.")])
    return Section(
        "Cost",
        [
            Text(
                f"About {paid.usd:.2f} USD: {paid.hours:.2f} hours of {machine.nodes} x {machine.name} at "
                f"{paid.price.usd_per_hour:.3f} USD an hour ({paid.price.date}); starting and idling come on top."
            )
        ],
    )


def environment(run: FinishedRun) -> Section:
    return Section("Environment", [Table("What the run ran on", (), [*run.facts["environment"].items()])])


def duration(seconds: float) -> str:
    """ "12.3 s", "4 min 5 s", "3 h 2 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _in_words(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    return (
        {None: "none", True: "yes", False: "no"}.get(value, str(value))
        if value is None or isinstance(value, bool)
        else str(value)
    )
