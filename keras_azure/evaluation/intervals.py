"""How sure a share of some images is."""

from dataclasses import dataclass

import numpy as np

_95_PERCENT = 1.959963984540054  # standard deviations of a normal distribution within which 95 % of it lie


@dataclass(frozen=True)
class Share:
    """A share of some images, with its 95 % interval.

    Attributes:
        value: 0..1.
        low, high: the Wilson score interval.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, part: int, total: int) -> "Share | None":
        """So many out of so many; None where there are none to take a share of.

        >>> Share.of(9, 10)
        Share(value=0.9, low=0.5958..., high=0.9821...)

        The interval is that of Wilson, Probable inference, the law of succession, and statistical inference, Journal
        of the American Statistical Association 22 (1927): unlike that of the normal distribution it stays within
        0..1, and says something where all are right.
        """
        if not total:
            return None
        value, squared = part / total, _95_PERCENT**2
        middle = (value + squared / (2 * total)) / (1 + squared / total)
        reach = float(np.sqrt(value * (1 - value) / total + squared / (4 * total**2)))
        half = _95_PERCENT * reach / (1 + squared / total)
        return cls(value, min(max(0.0, middle - half), value), max(min(1.0, middle + half), value))

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.low:.2%} to {self.high:.2%})"
