"""`kaz run` and `kaz resume`. The options of `kaz run` are the fields of RunConfig: there is no second list of them."""

import contextlib
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from keras_azure.backends import RunningJob
from keras_azure.cli.flags import EPILOG, RunCommand
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
from keras_azure.cli.output import confirm, print_json, print_text
from keras_azure.description.commands import command
from keras_azure.description.result import RunResult
from keras_azure.errors import RunInterrupted, UsageError
from keras_azure.lazy import lazy

Result = TypeVar("Result")

_Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
_Verbose = Annotated[bool, typer.Option("--verbose", help="Print too on what it trained, and how fast, step by step.")]


_KNOWN_FACTS = (
    *("job_file", "size", "nodes", "cluster", "files", "bytes", "largest", "suspicious", "requirements"),
    *("usd_per_hour", "price_date"),
)


def register(app: typer.Typer) -> None:
    app.command("run", cls=RunCommand, epilog=EPILOG)(with_config_options(run))
    app.command("resume")(go_on)


def run(
    model: Annotated[
        str | None, typer.Argument(help="The model: cnn, or with options 'cnn(filters=(16, 32), dropout=0.2)'.")
    ] = None,
    *,
    set_: MODEL_OPTIONS = None,
    image_size: IMAGE_SIZE = None,
    skip_unreadable: SKIP_UNREADABLE = None,
    split_names: SPLIT_NAMES = None,
    bit_depth: BIT_DEPTH = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The run folder. By default runs/TIME-MODEL. An unfinished run of these settings goes on."),
    ] = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            help="Go on with an unfinished run: in --output, or the newest one of these settings.", show_default=False
        ),
    ] = None,
    config: CONFIG = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="On a cluster: submit, print the job's name, and do not wait for its end.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="On a cluster: write what would be submitted, without a login and a network."),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="On a cluster: submit it even if it does not fit into the GPU's memory.")
    ] = False,
    max_cost: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="USD", help="On a cluster: ask before a run that may cost more.", show_default=False
        ),
    ] = None,
    json: _Json = False,
    verbose: _Verbose = False,
    **settings: object,
) -> None:
    """Train a model, test it, and keep everything in a run folder."""
    if detach and dry_run:
        raise UsageError("--detach and --dry-run exclude each other: a dry run submits nothing.")
    arguments = dict(
        config=config,
        output=output,
        set=set_ or None,
        image_size=image_size,
        skip_unreadable=skip_unreadable,
        split_names=split_names,
        bit_depth=bit_depth,
        **given(settings),
    )
    if dry_run:
        _report_dry_run(_watched(lambda: _api("dry_run")(model, **arguments)), json)
    else:
        begin = _api("submit" if detach else "run")
        limits = {"force": force, "max_cost": max_cost, "confirm": confirm if sys.stdin.isatty() else None}
        result = _watched(lambda: begin(model, resume=resume, **limits, **arguments))
        if detach:
            _report_job(result, json)
        else:
            _report(result, json, verbose)


def go_on(
    folder: Annotated[Path, typer.Argument(help="The run folder of a run that was stopped.", show_default=False)],
    *,
    json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Go on with a run that was stopped, after its newest sound checkpoint."""
    _report(_watched(lambda: _api("resume")(folder)), json, verbose)


def _api(name: str) -> Callable[..., Any]:
    # With the display and rich, which other commands need not wait for.
    function: Callable[..., Any] = lazy(f"keras_azure.api.runs:{name}")
    return function


def _watched(execute: Callable[[], Result]) -> Result:
    # An interrupt too, from the beginning: what was made for a run that has not begun is tidied up.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what callbacks print: on stdout is the result alone
            return execute()
    except KeyboardInterrupt:
        raise RunInterrupted("Stopped before training began; nothing was kept.") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(result: RunResult, json: bool, verbose: bool) -> None:
    if json:
        print_json(result.to_json())
        return
    duration: Callable[[float], str] = lazy("keras_azure.listeners.display:duration")
    rows = {
        **_headline(result),
        "Test loss": f"{result.test_loss:.4f}",
        "Trained": f"{result.epochs} epochs in {duration(result.seconds)}, {result.images_per_second:,.0f} images/s",
        "Run folder": str(result.run_dir),
        "Tracking": _how_to_see(result.tracking),
    }
    if verbose and result.performance:
        rows |= _performance_rows(result.performance)
    for name, value in rows.items():
        print_text(f"{name:<14} {value}")


def _headline(result: RunResult) -> dict[str, str]:
    """What the test says first: the accuracy, or of labels and numbers what stands for it."""
    scores = result.test_metrics
    if "macro_f1" in scores:
        return {"Test macro F1": f"{scores['macro_f1']:.4f}", "Test micro F1": f"{scores['micro_f1']:.4f}"}
    if "rmse" in scores:
        return {"Test MAE": f"{scores['mae']:.4g}", "Test RMSE": f"{scores['rmse']:.4g}"}
    return {"Test accuracy": "none" if result.test_accuracy is None else f"{result.test_accuracy:.2%}"}


def _performance_rows(facts: Mapping[str, Any]) -> dict[str, str]:
    compiler = "with XLA" if facts["xla"] else "without XLA"
    median, slow = (1000 * facts[f"step_{name}_seconds"] for name in ("median", "99th_percentile"))
    return {
        "Engine": f"{facts['engine']} on {facts['device']}, {compiler}, {facts['threads']} threads",
        "Steps": f"{median:.2f} ms in the median, {slow:.2f} ms at the 99th percentile; "
        f"{facts['steps_per_call']} in a call",
        "Input": f"{facts['waiting_share']:.1%} of the time was spent waiting for pictures",
        "By epoch": ", ".join(f"{speed:,.0f}" for speed in facts["epoch_images_per_second"]) + " images/s",
    }


def _report_job(job: RunningJob, json: bool) -> None:
    if json:
        print_json(job.to_json())
        return
    print_text(job.name)
    print_text(f"It goes on by itself: kaz jobs wait {job.name}; kaz jobs logs -f {job.name}", err=True)


def _report_dry_run(facts: Mapping[str, Any], json: bool) -> None:
    if json:
        print_json(facts)
        return
    for name, value in _dry_run_rows(facts).items():
        print_text(f"{name:<14} {value}")
    for name, size in facts.get("largest", ()):
        print_text(f"{'':<14} {size / 1e6:>10,.2f} MB  {name}")
    for name in facts.get("suspicious", ()):
        print_text(f"Warning: {name} looks as if it held a secret, and would be uploaded", err=True)


def _dry_run_rows(facts: Mapping[str, Any]) -> dict[str, str]:
    """What is known of what would be submitted; each backend knows something else."""
    rows = {}
    if "job_file" in facts:
        rows["Job file"] = facts["job_file"]
    if "size" in facts:
        rows["Machines"] = f"{facts.get('nodes', 1)} x {facts['size']}, {facts.get('cluster') or 'serverless'}"
    if "usd_per_hour" in facts:
        known = facts["usd_per_hour"] is not None
        rows["Price"] = f"{facts['usd_per_hour']:.2f} USD an hour ({facts['price_date']})" if known else "not known"
    if "bytes" in facts:
        rows["To upload"] = f"{facts['files']} files, {facts['bytes'] / 1e6:,.1f} MB"
    return rows | {name: str(value) for name, value in facts.items() if name not in _KNOWN_FACTS}


def _how_to_see(tracking: Mapping[str, str] | None) -> str:
    if tracking is None:
        return "none"
    uri = tracking["uri"]
    return command("mlflow", "ui", "--backend-store-uri", uri) if uri.startswith("sqlite:") else uri
