"""A size of Azure's as the machine of a run: what stands in for a retired one, and what it costs."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace

from keras_azure.backends.azure.cluster import Compute
from keras_azure.backends.azure.prices import DEFAULT_REGION, retail_prices
from keras_azure.backends.azure.sizes import SIZES, Size, substitute
from keras_azure.backends.machine import Machine, Price
from keras_azure.description.events import Observer
from keras_azure.errors import DataUnavailable, NotAvailable


@dataclass(frozen=True)
class Prices:
    """What machines cost an hour today, by the names of sizes.

    Attributes:
        dedicated, spot: of nodes that stay, and of spot nodes.
    """

    dedicated: Mapping[str, Price]
    spot: Mapping[str, Price]

    def of(self, size: Size, *, spot: bool = False) -> Price | None:
        """The newest price of one node; None if none is known. The table of sizes has none of spot nodes."""
        if spot:
            return self.spot.get(size.name)
        return self.dedicated.get(size.name) or next(reversed(size.prices), None)


def current_size(asked: Size, *, strict: bool = False) -> tuple[Size, str]:
    """The size that Azure still has in place of the one asked for, and what to say of it.

    Raises:
        NotAvailable: it is retired, and no other may take its place.
        UsageError: it is retired, and Microsoft names no successor.
    """
    today = datetime.date.today()
    if not asked.is_retired(today):
        return asked, ""
    if strict:
        raise NotAvailable(
            f"Azure retired {asked.name} on {asked.retirement}.",
            hint=f"--backend {substitute(asked, today).size.backend_name}; or without --strict-size",
        )
    found = substitute(asked, today)
    losses = f", with {', '.join(found.losses)}" if found.losses else ""
    return found.size, f"Azure retired {asked.name} on {asked.retirement}; the run goes to {found.size.name}{losses}"


def machine_of(compute: Compute, asked: Size, note: str, prices: Prices | None) -> Machine:
    """The machine that a job has, with the one that was asked for where that is retired."""
    prices = prices or Prices({}, {})
    found = replace(
        _machine(compute.size, prices, spot=compute.spot),
        nodes=compute.nodes,
        idle_minutes=0 if compute.serverless else compute.idle_minutes,
        note=note,
    )
    return found if asked == compute.size else replace(found, instead_of=_machine(asked, prices, spot=compute.spot))


def current_machines(prices: Prices | None) -> list[Machine]:
    """One machine of each size that is not retired and that TensorFlow's packages for NVIDIA run on."""
    today, prices = datetime.date.today(), prices or Prices({}, {})
    return [
        replace(_machine(size, prices), idle_minutes=Compute.idle_minutes)
        for size in SIZES
        if not size.is_retired(today) and not size.needs_rocm
    ]


def todays_prices(region: str | None, observer: Observer) -> Prices | None:
    """Today's prices in a region; None, with a message, where there are none to be had.

    Raises:
        UsageError: that is no region.
    """
    region = region or DEFAULT_REGION
    try:
        dedicated, spot = retail_prices(region), retail_prices(region, spot=True)
    except DataUnavailable as error:
        observer.message(f"{error.problem} The plan is without today's.")
        return None
    today = datetime.date.today().isoformat()
    if old := sorted({price.date for price in dedicated.values()} - {today}):
        observer.message(f"Azure's prices cannot be read today; these are of {old[0]}.")
    return Prices(dedicated, spot)


def _machine(size: Size, prices: Prices, *, spot: bool = False) -> Machine:
    return Machine(
        backend=size.backend_name,
        name=size.name,
        gpu=size.gpu,
        gpu_count=size.gpu_count,
        gpu_memory_gb=size.gpu_memory_gb,
        fp32_tflops=size.fp32_tflops,
        tf32_tflops=size.tf32_tflops,
        tensor_tflops=size.tensor_tflops,
        memory_bandwidth_gbps=size.memory_bandwidth_gbps,
        needs_rocm=size.needs_rocm,
        cores=size.vcpus,
        spot=spot,
        price=prices.of(size, spot=spot),
    )
