"""Two reports of `bench`, before and now: what got slower."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_azure.errors import UsageError

# What must be the same, or numbers cannot be compared.
_SAME = ("model", "image_shape", "augment", "batch_size", "precision")
_PARTS = ("input", "step", "run")  # of which a ceiling is none: nobody waits for it


@dataclass(frozen=True)
class Change:
    """Of one part, images/s: medians over the rounds."""

    part: str
    before: float
    now: float

    @property
    def ratio(self) -> float:
        return self.now / self.before

    def is_slower(self, tolerance: float) -> bool:
        return self.ratio < 1 - tolerance


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Each part that both reports have.

    Raises:
        UsageError: they are of other runs, have no part in common, or the earlier one is no report.
    """
    try:
        others = [name for name in _SAME if before[name] != now[name]]
        earlier = {part: float(before["measured"][part]["images_per_second"]) for part in before["measured"]}
    except (LookupError, TypeError, ValueError, AttributeError):
        raise UsageError("The file to compare with is no report.", expected="what kaz bench --json printed") from None
    if others:
        differing = ", ".join(f"{name} {before[name]} then and {now[name]} now" for name in others)
        raise UsageError(f"The reports cannot be compared: {differing}.", hint="the same settings for both")
    common = [part for part in _PARTS if earlier.get(part, 0) > 0 and part in now["measured"]]
    if not common:
        raise UsageError(
            f"The file to compare with has none of what is measured now ({', '.join(now['measured'])}).",
            hint=f"kaz bench {before.get('part')}, or another file",
        )
    return [Change(part, earlier[part], now["measured"][part]["images_per_second"]) for part in common]


def elsewhere(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What else differs and may be the reason: the engine, the device, cores and versions."""
    then, today = before.get("environment") or {}, now["environment"]
    return [
        f"{name}: {then.get(name, 'none')} then, {today.get(name, 'none')} now"
        for name in {**then, **today}
        if then.get(name) != today.get(name)
    ]
