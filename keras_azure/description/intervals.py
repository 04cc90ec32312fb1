"""How often something is done in training, as text: `500steps`, `10min`."""

import re
import sys
from dataclasses import dataclass

from keras_azure.errors import ConfigError

_FORM = re.compile(r"(\d{1,9}) ?(steps?|s|min|h)")
_SECONDS = {"s": 1, "min": 60, "h": 3600}


@dataclass(frozen=True)
class Interval:
    """A number of steps or of seconds; the other is None. Without either it is never over."""

    steps: int | None = None
    seconds: int | None = None

    def is_over(self, steps: int, seconds: float) -> bool:
        """Whether so many steps, which took so many seconds, are as long as the interval or longer."""
        if self.steps is not None:
            return steps >= self.steps
        return self.seconds is not None and seconds >= self.seconds

    def steps_left(self, steps: int) -> int:
        """How many more steps, after so many, make it over: unknown for seconds, and then more than any run has."""
        return sys.maxsize if self.steps is None else max(1, self.steps - steps)


def parse_interval(text: str | None) -> Interval:
    """The interval that a text describes; None is the one that is never over.

    Raises:
        ConfigError: the text is no interval.
    """
    if text is None:
        return Interval()
    match = _FORM.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise ConfigError(
            f"The setting 'checkpoint_every' cannot be {text!r}.",
            expected="a number of steps, seconds, minutes or hours: 500steps, 30s, 10min, 2h",
        )
    number, unit = int(match[1]), match[2]
    return Interval(seconds=number * _SECONDS[unit]) if unit in _SECONDS else Interval(steps=number)
