"""`kaz plan`: memory, time and money of a run, before anything is submitted."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

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
from keras_azure.cli.output import print_json, print_lines_of, print_text
from keras_azure.description.commands import command
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy

_COLUMNS = 80
_MOST_OF_A_NAME = 19  # of a machine, that is shown on one line
_PARTS = ("weights", "optimizer", "gradients", "activations", "workspace")


_BOUNDS = "bound: what a step takes longest for: compute, memory (moving tensors), launch (starting kernels), input."


def register(app: typer.Typer) -> None:
    app.command("plan")(with_config_options(plan))


def plan(
    model: Annotated[str | None, typer.Argument(help="The model, as in kaz run.", show_default=False)] = None,
    *,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            help="The machine: local, azure-nc6, ...; may be given several times. By default all that there are.",
            show_default=False,
        ),
    ] = None,
    pictures: Annotated[
        int | None,
        typer.Option(
            min=2, help="So many training pictures of --image-size, in place of --data, which is not looked at."
        ),
    ] = None,
    classes: Annotated[int, typer.Option(min=2, help="The classes of --pictures.")] = 10,
    grayscale: Annotated[bool, typer.Option("--grayscale", help="The --pictures have one channel, not three.")] = False,
    prices: Annotated[
        bool, typer.Option("--prices", help="With today's prices, such as Azure's public list; needs a network.")
    ] = False,
    region: Annotated[
        str | None, typer.Option(help="The region of --prices. By default the backend's own.", show_default=False)
    ] = None,
    set_: MODEL_OPTIONS = None,
    image_size: IMAGE_SIZE = None,
    skip_unreadable: SKIP_UNREADABLE = None,
    split_names: SPLIT_NAMES = None,
    bit_depth: BIT_DEPTH = None,
    config: CONFIG = None,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as one JSON object.")] = False,
    **settings: object,
) -> None:
    """Tell what a run would need, on one machine or on all: memory, time, money. The settings are those of kaz run."""
    if region and not prices:
        raise UsageError(
            "--region is the region of --prices.", hint=command("kaz", "plan", "--prices", "--region", region)
        )
    found: dict[str, Any] = lazy("keras_azure.api.plans:plan")(
        model,
        config=config,
        backend=backend or (),
        pictures=pictures,
        classes=classes,
        channels=1 if grayscale else 3,
        prices=prices,
        region=region,
        set=set_ or None,
        image_size=image_size,
        skip_unreadable=skip_unreadable,
        split_names=split_names,
        bit_depth=bit_depth,
        **given(settings),
    )
    if json:
        print_json(found)
    else:
        _print_plan(found)


def _print_plan(plan: Mapping[str, Any]) -> None:
    pictures, memory, operations = plan["pictures"], plan["memory"], plan["operations_per_picture"]
    shape = "x".join(map(str, pictures["image_shape"]))
    print_text(f"{plan['model']}: {plan['parameters']:,} parameters", bold=True)
    parts = ", ".join(f"{name} {_bytes(memory[name])}" for name in _PARTS)
    rows = [
        (
            "Run",
            f"{plan['epochs']} epochs of {pictures['train']:,} pictures of {shape} in {len(pictures['class_names'])} "
            f"classes, batches of {plan['batch_size']}, {plan['precision']}",
        ),
        ("Memory", f"{_bytes(memory['total'])} in a training step: {parts}"),
        ("", f"{_bytes(memory['chapters_rule'])} by the chapter's rule: parameters x 2 x batch x bytes of a number"),
        ("Computing", f"{_operations(operations['forward'])} forward, {_operations(operations['backward'])} backward"),
        ("Input", _input(plan["core_seconds_per_picture"])),
    ]
    for name, text in rows:
        for number, line in enumerate(textwrap.wrap(text, _COLUMNS - 11)):
            print_text(f"{name if number == 0 else '':<11}{line}")
    print_text()
    _print_machines(plan["machines"])
    print_text()
    for remark in _remarks(plan):
        print_text(textwrap.fill(remark, _COLUMNS, subsequent_indent="  "))


def _print_machines(machines: Sequence[Mapping[str, Any]]) -> None:
    # Not at the top: it takes longer to load than all the rest of `kaz --help`.
    from rich.table import Table

    rows = [_row(each) for each in machines]
    longest = max(len(name) for name, *_ in rows)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("machine", overflow="fold", min_width=min(longest, _MOST_OF_A_NAME))
    table.add_column("GPUs", max_width=10)
    for heading in ("batch", "images/s", "time", "USD"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("bound", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    print_lines_of(table, _COLUMNS)


def _row(machine: Mapping[str, Any]) -> tuple[str, ...]:
    name = machine["size"].removeprefix("Standard_") if machine["size"] else machine["backend"]
    gpus = f"{_count(machine['gpu_count'])} {machine['gpu']}" if machine["gpu"] else ""
    largest = "" if machine["largest_batch"] is None else f"{machine['largest_batch']:,}"
    if machine["fits"] is False:
        return name, gpus, largest, "does", "not fit", "", "memory"
    speed, seconds, usd = (machine[key] for key in ("images_per_second", "seconds", "usd"))
    return (
        name,
        gpus,
        largest,
        f"{_rounded(speed[0])}-{_rounded(speed[1])}" if speed else "",
        _short_span(seconds) if seconds else "",
        f"{_dollars(usd[0])}-{_dollars(usd[1])}" if usd else "",
        machine["bound"] or "unknown",
    )


def _short_span(seconds: Sequence[float]) -> str:
    span: Callable[[Sequence[float]], str] = lazy("keras_azure.listeners.display:span")
    return span(seconds).replace(" to ", "-")


def _remarks(plan: Mapping[str, Any]) -> list[str]:
    machines = plan["machines"]
    remarks = [f"{each['backend']}: {each['note']}." for each in machines if each["note"]]
    if len(machines) == 1:
        advice = [machines[0]["advice"]] if machines[0]["advice"] else []
    else:
        bounds = dict.fromkeys((each["bound"], each["advice"]) for each in machines if each["bound"] and each["advice"])
        advice = [f"where the bound is {bound}: {text}" for bound, text in bounds]
    if len(machines) > 1 or _is_elsewhere(machines[0]):
        remarks.append("batch: the largest that fits. time: from the first picture to the test. " + _BOUNDS)
    remarks += [f"Try {each}" for each in advice]
    if any((each["gpu_count"] or 0) > 1 for each in machines):
        remarks.append("A run uses one GPU of a machine.")
    if any(map(_is_elsewhere, machines)):
        remarks.append(
            "Estimates from counted operations, the GPU's peaks and what known trainings reach of them; the input from "
            "what it costs here. Decoding counts where the data is here."
        )
        remarks.append(_about_prices(plan))
    return [*remarks, *plan["notes"]]


def _is_elsewhere(machine: Mapping[str, Any]) -> bool:
    """Whether what is said of a machine is counted, and not tried; of one that nothing is known of, nothing is."""
    return not machine["here"] and machine["fits"] is not None


def _about_prices(plan: Mapping[str, Any]) -> str:
    prices = [each["price"] for each in plan["machines"] if each["price"]]
    if not prices:
        return "No price is known here: --prices reads today's."
    low, high = plan["start_minutes"]
    sources = sorted({f"{each['date']}{', ' + each['region'] if each['region'] else ''}" for each in prices})
    return f"USD: prices of {'; '.join(sources)}; with {low:g} to {high:g} min of a node's start, and its idle time."


def _input(cost: Mapping[str, Any]) -> str:
    parts = [] if cost["decoding"] is None else [f"{1000 * cost['decoding']:.2g} ms to decode a picture"]
    return ", ".join([*parts, f"{1000 * cost['augmenting']:.2g} ms to augment one"]) + ", of a core of this machine"


def _bytes(number: int) -> str:
    return f"{number / 1e9:.3g} GB" if number >= 1e9 else f"{number / 1e6:.3g} MB"


def _operations(number: int) -> str:
    return f"{number / 1e9:.3g} GFLOP" if number >= 1e9 else f"{number / 1e6:.3g} MFLOP"


def _rounded(number: float) -> str:
    """With two digits that count: 1,200, 87, 4.5."""
    return f"{float(f'{number:.2g}'):,.0f}" if number >= 10 else f"{number:.2g}"


def _dollars(amount: float) -> str:
    return f"{amount:.2f}" if amount < 100 else f"{amount:,.0f}"


def _count(number: float) -> str:
    return f"{number:g}" if number >= 1 else f"1/{round(1 / number)}"
