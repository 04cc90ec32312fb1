"""The number that epochs are judged by, in early stopping and for the epoch to keep: `--monitor`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keras_azure.description.config import RunConfig
from keras_azure.errors import ConfigError
from keras_azure.registry.registry import as_spec


@dataclass(frozen=True)
class Monitor:
    """What tells good epochs from bad ones.

    Attributes:
        name: of a column of the history.
        highest: whether the highest is the best, and not the lowest.
    """

    name: str = "val_loss"
    highest: bool = False

    def __str__(self) -> str:
        """What early stopping waits for: "lower validation loss", "higher val_accuracy"."""
        name = "validation loss" if self.name == "val_loss" else self.name
        return f"{'higher' if self.highest else 'lower'} {name}"


VALIDATION_LOSS = Monitor()


def find_monitor(config: RunConfig, metrics: Iterable[Any]) -> Monitor:
    """The monitor of a config: `val_loss`, or a metric's `val_NAME`, with `(mode=max)` or `(mode=min)` where that is
    not known.

    Args:
        metrics: the `keras.metrics.Metric`s that the run's model is compiled with.

    Raises:
        ConfigError: the run has no such number, or it is unknown whether a high one is good.
    """
    spec = as_spec(config.monitor)
    highest = {"val_loss": False, **{f"val_{metric.name}": _highest_is_best(metric) for metric in metrics}}
    if spec.name not in highest:
        raise ConfigError(
            f"The run has no {spec.name!r} to monitor.",
            expected=f"one of {', '.join(highest)}",
            hint="--metric NAME adds another one, as val_NAME",
        )
    mode = spec.options.get("mode")
    if spec.options.keys() - {"mode"} or mode not in (None, "min", "max"):
        raise ConfigError(
            f"The setting 'monitor' cannot be {config.monitor!r}.", expected=f"{spec.name}, or {spec.name}(mode=max)"
        )
    found = highest[spec.name] if mode is None else mode == "max"
    if found is None:
        raise ConfigError(
            f"Whether a high {spec.name} is good is not known.",
            hint=f"--monitor '{spec.name}(mode=max)', or mode=min",
        )
    return Monitor(spec.name, found)


def _highest_is_best(metric: object) -> bool | None:
    """By Keras's own rule, which its callbacks have too; None where it does not know."""
    direction = getattr(metric, "_direction", None)
    return None if direction is None else direction == "up"
