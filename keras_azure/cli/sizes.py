"""`kaz sizes`: Azure's machines with GPUs, from the package's own table; offline, but for `--prices`."""

import dataclasses
import datetime
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keras_azure.cli.output import print_json, print_lines_of, print_text
from keras_azure.description.commands import command
from keras_azure.errors import DataUnavailable, UnknownName, UsageError
from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from keras_azure.backends.azure.service import Service
    from keras_azure.backends.azure.sizes import Size, Substitution
    from keras_azure.backends.azure.workspace import Workspace
    from keras_azure.backends.machine import Price

_EXPLANATION = """
GB: memory of each GPU. FP32, FP16: TFLOPS of a whole GPU, FP16 on tensor cores.
kaz sizes NAME shows a size in full, with its sources.
""".rstrip()
_COLUMNS = 80


def register(app: typer.Typer) -> None:
    app.command("sizes")(sizes)


def sizes(
    name: Annotated[
        str | None, typer.Argument(help="Only this size, in full: NC6, or Standard_NC6.", show_default=False)
    ] = None,
    *,
    gpu: Annotated[str | None, typer.Option(help="Only with this GPU: T4, a100, ...", show_default=False)] = None,
    min_memory: Annotated[int, typer.Option(min=0, metavar="GB", help="Only with that much memory a GPU.")] = 0,
    available: Annotated[bool, typer.Option("--available", help="Only sizes that are not retired.")] = False,
    sort: Annotated[
        Literal["price", "memory", "tflops", "name"] | None,
        typer.Option(help="The lowest price, most memory a GPU or most FP32 TFLOPS a GPU first, or by name."),
    ] = None,
    prices: Annotated[
        bool, typer.Option("--prices", help="With today's prices, from Azure's public list; needs a network.")
    ] = False,
    region: Annotated[
        str | None, typer.Option(help="The region of --prices. Default: eastus.", show_default=False)
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="With what the workspace's region offers and the quota left; needs a login.")
    ] = False,
    workspace: Annotated[
        str | None,
        typer.Option(
            metavar="WORKSPACE",
            help="The workspace of --check: a config.json, or SUBSCRIPTION/GROUP/NAME. By default the nearest "
            "config.json.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List Azure's GPU machines: memory, speed, price, and whether they are retired."""
    if region and not prices:
        raise UsageError(
            "--region is the region of --prices.", hint=command("kaz", "sizes", "--prices", "--region", region)
        )
    today = datetime.date.today()
    chosen: list[Size] = [_table("find_size")(name)] if name else list(_table("SIZES"))
    if gpu:
        chosen = _with_gpu(chosen, gpu)
    chosen = [
        size for size in chosen if size.gpu_memory_gb >= min_memory and not (available and size.is_retired(today))
    ]
    if prices:
        chosen = _priced(chosen, region)
    if sort:
        chosen.sort(key=_SORTS[sort])
    here = _availability(chosen, workspace) if check else {}
    if json:
        print_json([_as_object(size, today) | here.get(size.name, {}) for size in chosen])
    elif not chosen:
        print_text("No size is like that.", err=True)
    elif name:
        _print_size(chosen[0], today, here.get(chosen[0].name))
    else:
        _print_table(chosen, today, here)


def _availability(sizes: Sequence["Size"], workspace: str | None) -> dict[str, Any]:
    """What the workspace's region has of the sizes, with a line that says which it is."""
    find_workspace: Callable[[str | None], Workspace] = lazy("keras_azure.backends.azure.workspace:find_workspace")
    service: Service = lazy("keras_azure.backends.azure.service:Service")(find_workspace(workspace))
    found: dict[str, Any] = lazy("keras_azure.backends.azure.cluster:availability")(service, sizes)
    print_text(f"Workspace {service.workspace.workspace_name} in {service.description.location}", err=True)
    return found


def _table(name: str) -> Any:
    return lazy(f"keras_azure.backends.azure.sizes:{name}")  # which takes some milliseconds to read


def _with_gpu(sizes: Sequence["Size"], gpu: str) -> list["Size"]:
    # By whole words: A100 is "A100 SXM" too, and A10 is not A100.
    found = [size for size in sizes if f" {gpu.lower()} " in f" {size.gpu.lower()} "]
    if not found:
        raise UnknownName.among("GPU", gpu, [size.gpu for size in sizes], hint="kaz sizes")
    return found


def _priced(sizes: Sequence["Size"], region: str | None) -> list["Size"]:
    """The sizes with the prices of a region; as they are, with a message, where there are none to be had."""
    try:
        default: str = lazy("keras_azure.backends.azure.prices:DEFAULT_REGION")
        region = region or default
        prices: dict[str, Price] = lazy("keras_azure.backends.azure.prices:retail_prices")(region)
    except DataUnavailable as error:
        print_text(f"{error.problem} The table is without them.", err=True)
        return list(sizes)
    today = datetime.date.today().isoformat()
    if old := sorted({price.date for price in prices.values()} - {today}):
        print_text(f"Azure's prices cannot be read today; these are of {old[0]}.", err=True)
    if not prices:
        print_text(f"Azure lists no prices for the region {region}.", err=True)
    return [
        dataclasses.replace(size, prices=(*size.prices, prices[size.name])) if size.name in prices else size
        for size in sizes
    ]


def _last(value: float | None, *, most_first: bool = False) -> tuple[bool, float]:
    """What to sort by: sizes of which it is not known come last."""
    return value is None, 0.0 if value is None else -value if most_first else value


_SORTS: dict[str, Callable[["Size"], Any]] = {
    "price": lambda size: _last(size.prices[-1].usd_per_hour if size.prices else None),
    "memory": lambda size: _last(size.gpu_memory_gb, most_first=True),
    "tflops": lambda size: _last(size.fp32_tflops, most_first=True),
    # Numbers as such: NC6 before NC12.
    "name": lambda size: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", size.name.lower())],
}


def _as_object(size: "Size", today: datetime.date) -> dict[str, Any]:
    """The attributes of the size, as keras_azure.backends.azure.sizes explains them, and what follows from them."""
    return {
        **dataclasses.asdict(size),
        "gpu_count": _number(size.gpu_count),
        "retirement": size.retirement.isoformat() if size.retirement else None,
        "retired": size.is_retired(today),
        "backend": size.backend_name,
    }


def _number(count: Fraction) -> int | float:
    return int(count) if count.denominator == 1 else round(float(count), 4)


def _print_table(sizes: Sequence["Size"], today: datetime.date, here: Mapping[str, Any]) -> None:
    # Not at the top: it takes longer to load than all the rest of `kaz --help`.
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("size", overflow="fold")
    table.add_column("GPUs")
    for heading in ("GB", "FP32", "FP16", "USD/h"):
        table.add_column(heading, justify="right")
    table.add_column("retired")
    if here:
        table.add_column("here")
    for size in sizes:
        table.add_row(
            size.short_name,
            f"{size.gpu_count} {size.gpu}",
            str(size.gpu_memory_gb),
            _figure(size.fp32_tflops),
            _figure(size.tensor_tflops),
            _price(size),
            f"{size.retirement:%Y-%m}" if size.is_retired(today) else "",
            *([_cores(here[size.name])] if here else []),
        )
    print_lines_of(table)
    print_text(_EXPLANATION)
    if here:
        print_text("here: cores left of those allowed, where the region offers the size.")
    for remark in sorted({_remark(size) for size in sizes if size.prices}):
        print_text(remark)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:g}"


def _price(size: "Size") -> str:
    """The newest price, with a star if it is not one of --prices."""
    if not size.prices:
        return ""
    price = size.prices[-1]
    return f"{price.usd_per_hour:.2f}" if price.region else f"{price.usd_per_hour:.2f}*"


def _remark(size: "Size") -> str:
    price = size.prices[-1]
    if price.region:
        return f"USD/h: {price.region}, {price.date}, pay as you go, Linux."
    return f"* in {price.date}, from {price.source.partition(':')[0]}."


def _cores(found: Mapping[str, Any]) -> str:
    """ "994 of 1000", or "no" for a size that is not offered."""
    if not found["offered"]:
        return "no"
    if found["cores_allowed"] is None:
        return "yes"
    return f"{found['cores_allowed'] - found['cores_used']} of {found['cores_allowed']}"


def _print_size(size: "Size", today: datetime.date, here: Mapping[str, Any] | None) -> None:
    rows = [
        ("Size", size.name),
        ("Backend", size.backend_name),
        ("Series", size.series),
        ("Quota", size.family),
        ("GPUs", f"{size.gpu_count} {size.gpu}"),
        ("GPU memory", f"{size.gpu_memory_gb} GB each"),
        ("FP32", size.fp32_tflops and f"{size.fp32_tflops:g} TFLOPS a GPU"),
        ("FP16", size.tensor_tflops and f"{size.tensor_tflops:g} TFLOPS a GPU, on tensor cores"),
        ("Bandwidth", size.memory_bandwidth_gbps and f"{size.memory_bandwidth_gbps} GB/s between GPU and memory"),
        ("NVLink", "yes" if size.nvlink else "none documented"),
        ("InfiniBand", size.infiniband or "none"),
        ("vCPUs", str(size.vcpus)),
        ("RAM", f"{size.ram_gib} GiB"),
        ("Retired", _retirement(size, today)),
    ]
    if size.retirement:
        rows.append(("Successor", size.successor or "none given"))
    if size.is_retired(today):
        instead: Substitution = _table("substitute")(size, today)
        losses = ", ".join(instead.losses) or "nothing is lost"
        rows.append(("Runs on", f"{instead.size.name}: {losses}"))
    if here:
        rows.append(("Cores left", _cores(here) if here["offered"] else "not offered here"))
    for price in size.prices:
        where = f"in {price.region}, " if price.region else ""
        rows.append(("Price", f"{price.usd_per_hour:g} USD/h {where}{price.date}, {price.source}"))
    rows += [("Source", size.source), ("", size.gpu_source), ("", size.retirement_source)]
    for heading, text in rows:
        if text:
            print_text(f"{heading:<10}  {text}")
    if size.note:
        print_text(f"\n{textwrap.fill(size.note, _COLUMNS)}")


def _retirement(size: "Size", today: datetime.date) -> str:
    if size.retirement is None:
        return "no"
    return f"{size.retirement}" if size.is_retired(today) else f"will be on {size.retirement}"
