"""What the steps of a run took, and whether they had to wait for their pictures."""

import math
from collections import Counter

from keras_azure.description.config import RunConfig
from keras_azure.engines import StepResult

_FINENESS = 100  # places for each factor of e: times are kept within 1 %, in a few hundred numbers
_BOUND_BY_INPUT = 1 / 3  # the share of waiting from which a run is told
_FEW_STEPS = 100  # below which a run is too short to judge


class StepTimes:
    """The times of many steps, in little memory."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._steps_in_calls: Counter[int] = Counter()
        self._seconds = 0.0
        self._waited = 0.0

    def add(self, done: StepResult) -> None:
        self._counts.update(round(math.log(max(seconds, 1e-9)) * _FINENESS) for seconds in done.seconds)
        self._steps_in_calls[done.steps] += done.steps
        self._seconds += float(done.seconds.sum())
        self._waited += done.waited

    @property
    def steps(self) -> int:
        return self._counts.total()

    @property
    def waiting_share(self) -> float:
        """The share of the time that went by without a batch to work on."""
        return self._waited / self._seconds if self._seconds else 0.0

    def seconds(self, share: float) -> float:
        """What so large a share of the steps took at most: 0.5 gives the median."""
        behind = 0
        for place, count in sorted(self._counts.items()):
            behind += count
            if behind >= share * self.steps:
                return math.exp(place / _FINENESS)
        return 0.0

    def to_json(self) -> dict[str, float]:
        """In seconds; `steps_per_call` is the number in which most steps were made."""
        return {
            "steps_per_call": self._steps_in_calls.most_common(1)[0][0] if self._steps_in_calls else 1,
            "step_median_seconds": self.seconds(0.5),
            "step_99th_percentile_seconds": self.seconds(0.99),
            "waiting_share": self.waiting_share,
        }


def advice_on_input(times: StepTimes, config: RunConfig, place: str | None) -> str | None:
    """What a user should hear of a run whose steps wait for pictures; None if they do not, or are too few to tell.

    Args:
        place: where augmentations were applied, if there were any.
    """
    if times.steps < _FEW_STEPS or times.waiting_share < _BOUND_BY_INPUT:
        return None
    tries = []
    if config.cache == "none":
        tries.append("--cache auto, which decodes each picture once")
    if place == "host" and config.augment_on != "device":
        tries.append("--augment-on device, if there is a GPU")
    if config.batch_size < 128:
        tries.append(f"--batch-size {2 * config.batch_size} or more")
    tries.append("a machine with more cores")
    return f"Training waited for pictures in {times.waiting_share:.0%} of its time. Try: {'; or '.join(tries)}."
