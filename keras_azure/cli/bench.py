"""`kaz bench`: how fast this machine trains a model on its data, and what holds it up."""

import json as json_library
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_azure.cli.options import (
    BIT_DEPTH,
    CONFIG,
    IMAGE_SIZE,
    MODEL_OPTIONS,
    SKIP_UNREADABLE,
    SPLIT_NAMES,
    given,
    with_config_options,
)
from keras_azure.cli.output import print_json, print_text
from keras_azure.errors import OutputExists, UsageError
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from keras_azure.throughput.comparison import Change

_PARTS = ("input", "step", "run")
_OF_CEILING = {
    "input": "of batching and casting alone",
    "step": "of what the device does in a product of large matrices",
    "run": "of the slower one of input and step alone",
}


def register(app: typer.Typer) -> None:
    app.command("bench")(with_config_options(bench))


def bench(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[input|step|run] MODEL",
            help="What to measure, a run by default; and the model, as kaz run has it.",
            show_default=False,
        ),
    ] = None,
    *,
    set_: MODEL_OPTIONS = None,
    image_size: IMAGE_SIZE = None,
    skip_unreadable: SKIP_UNREADABLE = None,
    split_names: SPLIT_NAMES = None,
    bit_depth: BIT_DEPTH = None,
    config: CONFIG = None,
    rounds: Annotated[int, typer.Option(min=1, help="Laps of each part, in turns; the median counts.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long a lap takes, about.")] = 1.0,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What --json printed before; exit code 1 if something got slower by more than --tolerance.",
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="The share by which images/s may be less than before.")
    ] = 0.1,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw what was measured: a .png, .svg or .pdf.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the plot's file if it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
    **settings: object,
) -> None:
    """Measure this machine: the input, the step, or both together as in a run.

    Nothing is trained to its end, saved or recorded. A --backend elsewhere names the price alone.
    """
    part, model = _understood(words or [])
    if plot is not None and plot.exists() and not overwrite:
        raise OutputExists(
            f"{plot} is there already, and nothing is overwritten.", hint="--overwrite, or another --plot"
        )
    if plot is not None and plot.suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{plot} cannot be drawn.", expected="a file that ends with .png, .svg or .pdf")
    before = _read(compare) if compare is not None else None
    report: dict[str, Any] = lazy("keras_azure.api.runs:bench")(
        model,
        part=part,
        config=config,
        rounds=rounds,
        seconds=seconds,
        set=set_ or None,
        image_size=image_size,
        skip_unreadable=skip_unreadable,
        split_names=split_names,
        bit_depth=bit_depth,
        **given(settings),
    )
    slower = False
    if before is not None:
        report["comparison"], slower = _compared(before, report, tolerance)
    if plot is not None:
        figure: Figure = lazy("keras_azure.throughput.plot:draw")(report)
        lazy("keras_azure.files:write_atomically")(plot, lambda beside: figure.savefig(beside, dpi=120))
    if json:
        print_json(report)
    else:
        _show(report)
    if plot is not None:
        print_text(f"Drawn: {plot}", err=True)
    if slower:
        raise typer.Exit(1)


def _understood(words: list[str]) -> tuple[str, str | None]:
    """The part and the model."""
    part, rest = (words[0], words[1:]) if words and words[0] in _PARTS else ("run", words)
    if len(rest) > 1:
        raise UsageError(
            f"{' '.join(words)!r} is more than a part and a model.", expected="kaz bench [input|step|run] MODEL"
        )
    return part, rest[0] if rest else None


def _read(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json_library.loads(path.read_text(encoding="utf-8"))
        return report
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}.", expected="what kaz bench --json printed") from error


def _compared(before: dict[str, Any], report: dict[str, Any], tolerance: float) -> tuple[list[dict[str, Any]], bool]:
    """Each part before and now, and whether one is slower by more than that share; lines on stderr say what."""
    compared: list[Change] = lazy("keras_azure.throughput.comparison:changes")(before, report)
    slower = [change for change in compared if change.is_slower(tolerance)]
    for change in slower:
        print_text(
            f"Slower: {change.part}, {_number(change.now)} images/s in place of {_number(change.before)}, "
            f"{1 - change.ratio:.0%} less; {tolerance:.0%} are tolerated",
            bold=True,
            err=True,
        )
    if slower:
        for line in lazy("keras_azure.throughput.comparison:elsewhere")(before, report):
            print_text(f"  also differs: {line}", err=True)
    rows = [
        {
            "part": change.part,
            "before": change.before,
            "now": change.now,
            "ratio": change.ratio,
            "slower": change in slower,
        }
        for change in compared
    ]
    return rows, bool(slower)


def _show(report: Mapping[str, Any]) -> None:
    size = "x".join(map(str, report["image_shape"]))
    environment = report["environment"]
    print_text(
        f"{report['model']}, {size}, batches of {report['batch_size']}, {report['precision']}: "
        f"{environment['engine']} on {report['device']}, {environment['cores']} cores",
        bold=True,
    )
    for name, text in _rows(report).items():
        print_text(f"{name:<9} {text}")
    for row in report.get("comparison", ()):
        print_text(f"{'Before':<9} {row['part']}: {_number(row['before'])} images/s; now {row['ratio']:.2f} times that")
    for line in report["next"]:
        print_text(f"{'Try':<9} {line}")


def _rows(report: Mapping[str, Any]) -> dict[str, str]:
    rows, measured = {}, report["measured"]
    for name in ("input", "step", "run"):
        if name in measured:
            rows[name.capitalize()] = f"{_number(measured[name]['images_per_second'])} images/s"
    step = measured["step"]
    times = f"; a step {_milliseconds(step['step_seconds'])}, 99 of 100 below {_milliseconds(step['step_seconds_p99'])}"
    rows["Step"] += times + f"; the first {step['first_step_seconds']:.1f} s"
    if step["flops_utilisation"] is not None:
        rows["Step"] += f"; {step['tflops']:.3g} TFLOPS, {step['flops_utilisation']:.1%} of the peak"
    if "run" in measured:
        rows["Run"] += f"; {measured['run']['waiting_share']:.0%} of the time waits for input"
    if report["share_of_ceiling"] is not None:
        rows["Ceiling"] = (
            f"{_number(report['ceiling_images_per_second'])} images/s; {report['share_of_ceiling']:.0%} of it are "
            f"reached, {_OF_CEILING[report['part']]}"
        )
    rows["Bound"] = f"by the {report['bound']}"
    if step["peak_memory_bytes"]:
        rows["Memory"] = f"{step['peak_memory_bytes'] / 1e9:.2f} GB at most"
    if step["gpu_busy"] is not None:
        rows["GPU"] = f"busy {step['gpu_busy']:.0%} of the time"
    if price := report["price"]:
        rows["Price"] = (
            f"{price['usd_per_million_images']:.2f} USD for a million pictures at this pace, on {price['size']} for "
            f"{price['usd_per_hour']:g} USD an hour ({price['date']})"
        )
    return rows


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"
