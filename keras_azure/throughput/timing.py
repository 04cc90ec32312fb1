"""Laps of what makes steps: warm, the first step apart, the device waited for, medians over interleaved rounds."""

import contextlib
import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

_SETTLE = 0.5  # of a lap; so long something runs before it is measured, until buffers and thread counts have settled
_SHARE_OF_CALL = 0.1  # of a lap; a call is so long at least, as there is a wait for the device at its end
_SINGLE_STEPS = 200  # of a round that are timed one by one, at most; they may take as long as the lap itself
_REST_SECONDS = 5.0  # waited for this process to come to rest, at most


@dataclass
class Timing:
    """What was measured of one candidate.

    Attributes:
        images_per_step: pictures of a step.
        first_seconds: of the first step, which compiles and is in nothing else.
        rates: images/s of each round; within a round nothing waits for the device but its end.
        step_seconds: of single steps, each until the device was done.
    """

    images_per_step: int
    first_seconds: float = 0.0
    rates: list[float] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)

    @property
    def images_per_second(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rates)

    @property
    def median_step(self) -> float:
        """Seconds."""
        return statistics.median(self.step_seconds)

    @property
    def slow_step(self) -> float:
        """The 99th percentile of the steps, seconds."""
        return percentile(self.step_seconds, 99)


@dataclass
class Candidate:
    """Something that makes steps.

    Args:
        run: makes so many steps and comes back when the device has done them; gives the seconds of each, where they can
            be told from within.
        images_per_step: pictures of a step.
        steps: of each lap; by default as many as take `seconds`.
        lot: of a stream, how many steps come at once, so that laps have whole lots.
        one_by_one: whether steps are to be timed one by one, by calls of their own where `run` gives no times.
    """

    run: Callable[[int], Sequence[float] | None]
    images_per_step: int
    steps: int | None = None
    lot: int = 1
    one_by_one: bool = True
    _call: int = 0  # steps of one call

    def warm_up(self, timing: Timing, seconds: float) -> None:
        """The first step, then some, until calls are so long that what is around them does not count."""
        timing.first_seconds = _timed(self.run, 1)
        self._call = self.steps or self.lot
        begun = time.perf_counter()
        while True:
            taken = _timed(self.run, self._call)
            if time.perf_counter() > begun + seconds or self.steps is not None:
                return
            if taken < _SHARE_OF_CALL * seconds:
                self._call *= 2

    def lap(self, timing: Timing, seconds: float) -> None:
        """Some steps that are not counted, which empty what a stream has ready; then those that are."""
        self._run_for(_SETTLE * seconds)
        begun = time.perf_counter()
        steps, each = self._run_for(seconds)
        timing.rates.append(steps * self.images_per_step / (time.perf_counter() - begun))
        if each is not None:
            timing.step_seconds += each
        elif self.one_by_one:
            begun = time.perf_counter()
            for number in range(_SINGLE_STEPS):
                if number and time.perf_counter() > begun + seconds:
                    break
                timing.step_seconds.append(_timed(self.run, 1))

    def _run_for(self, seconds: float) -> tuple[int, list[float] | None]:
        """How many steps were made in so long, one call at least, and the seconds of each, if they are told."""
        steps, begun = 0, time.perf_counter()
        each: list[float] | None = []
        while True:
            told = self.run(self._call)
            steps += self._call
            each = None if each is None or told is None else [*each, *told]
            if self.steps is not None or time.perf_counter() >= begun + seconds:
                return steps, each


def measure(
    candidates: Mapping[str, Candidate],
    *,
    rounds: int,
    seconds: float,
    told: Callable[[int, int], None] = lambda done, total: None,
    wait_for_turn: Callable[[], None] = lambda: None,
    around_laps: AbstractContextManager[Any] | None = None,
) -> dict[str, Timing]:
    """Measures candidates in interleaved rounds, so that what slows the machine for a while slows all of them.

    Args:
        candidates: what makes steps; each is warmed up first.
        rounds: laps of each.
        seconds: a lap takes about so long.
        told: hears how many of all laps, warm-up included, are done.
        wait_for_turn: called before each lap: other processes may have theirs in between.
        around_laps: entered when all is warm, such as what watches the device.
    """
    timings = {name: Timing(candidate.images_per_step) for name, candidate in candidates.items()}
    order, total, done = random.Random(0), len(candidates) * (1 + rounds), 0
    for name, candidate in candidates.items():
        rest()
        candidate.warm_up(timings[name], seconds)
        told(done := done + 1, total)
    with around_laps or contextlib.nullcontext():
        for _ in range(rounds):
            for name in order.sample(list(candidates), len(candidates)):
                wait_for_turn()
                rest()
                candidates[name].lap(timings[name], seconds)
                told(done := done + 1, total)
    return timings


def percentile(values: Sequence[float], percent: float) -> float:
    """By linear interpolation between the two nearest ranks, as NumPy's."""
    ranked = sorted(values)
    place = (len(ranked) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ranked) - 1)
    return ranked[below] + (ranked[above] - ranked[below]) * (place - below)


def rest() -> None:
    """Waits until this process uses no processor any more: buffers that one candidate left are filled by then."""
    gc.collect()
    given_up, before = time.perf_counter() + _REST_SECONDS, time.process_time()
    while time.perf_counter() < given_up:
        time.sleep(0.05)
        now = time.process_time()
        if now - before <= 0.01:
            return
        before = now


def _timed(run: Callable[[int], object], steps: int) -> float:
    begun = time.perf_counter()
    run(steps)
    return time.perf_counter() - begun
