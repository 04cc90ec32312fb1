"""What machines cost."""

from dataclasses import dataclass

from keras_azure.backends.machine import Machine, Price

# Minutes from a job's submission until a new node works, beside the building of a new environment, which Azure does
# once. An assumption: Azure promises no time.
START_MINUTES = (3.0, 10.0)


@dataclass(frozen=True)
class Range:
    """An estimate: it is expected to be between `low` and `high`."""

    low: float
    high: float

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def __mul__(self, factor: float) -> "Range":
        return Range(self.low * factor, self.high * factor)


def machine_cost(hours: float, machines: int, usd_per_hour: float) -> float:
    """US dollars for so many machines, each for so many hours."""
    return hours * machines * usd_per_hour


@dataclass(frozen=True)
class Paid:
    """What the machines of a run that is over cost while it ran, without their start and idle time.

    Attributes:
        usd: US dollars for all of them.
        hours: so long.
        price: of one, for an hour.
    """

    usd: float
    hours: float
    price: Price

    @classmethod
    def of(cls, machine: Machine, seconds: float) -> "Paid | None":
        """None where no price is known; that of a machine that is no more is that of the one in its place."""
        price = next((each.price for each in (machine, machine.instead_of) if each and each.price), None)
        if price is None:
            return None
        return cls(machine_cost(seconds / 3600, machine.nodes, price.usd_per_hour), seconds / 3600, price)


def run_cost(seconds: Range, machines: int, usd_per_hour: float, idle_minutes: float) -> Range:
    """US dollars for a run on a cluster that is empty before: its nodes start, work, and are idle before they go.

    Args:
        seconds: of the run itself.
        idle_minutes: after which the cluster lets an idle node go.
    """
    low, high = (
        machine_cost(run / 3600 + (start + idle_minutes) / 60, machines, usd_per_hour)
        for run, start in zip((seconds.low, seconds.high), START_MINUTES, strict=True)
    )
    return Range(low, high)
