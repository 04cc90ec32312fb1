"""Measures several candidates in interleaved rounds: what slows the machine down for a while slows all of them.

A first round is not counted. Each round takes the candidates in another order, and waits before each until the process
has come to rest, so that no prefetching of one is paid for by the next.
"""

import contextlib
import gc
import os
import random
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

import psutil

ROUNDS = int(os.environ.get("KAZ_BENCH_ROUNDS", 5))
SECONDS = float(os.environ.get("KAZ_BENCH_SECONDS", 1.0))  # a lap takes about so long
_SETTLE = 0.5  # laps begin so long after the first batch (in laps), when buffers and thread counts have settled
_REST_SECONDS = 10  # waited for the process to come to rest, at most

Batches = Iterator[tuple[Any, Any]]  # (batch, height, width, channels) and (batch, classes), without end
# Entered, it starts to make batches; left, it has stopped all its threads.
Stream = contextlib.AbstractContextManager[Batches]


@dataclass(frozen=True)
class Lap:
    """What one candidate did in one round.

    Attributes:
        first_batch_seconds: from nothing to the first batch, which is counted in neither `images` nor `seconds`.
    """

    images: float
    seconds: float
    first_batch_seconds: float | None = None


@dataclass
class Outcome:
    """What became of a candidate: its laps, or the error that ended it.

    Attributes:
        first_batch_seconds: of the round that is not counted, where tracing and compiling happen.
        more: other numbers, for the report.
    """

    laps: list[Lap] = field(default_factory=list)
    first_batch_seconds: float | None = None
    error: Exception | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def images_per_second(self) -> float | None:
        """The median over the rounds."""
        return statistics.median(self.rates) if self.laps else None

    @property
    def seconds(self) -> float | None:
        """Of one image, or of what else was timed: the median over the rounds."""
        return statistics.median(lap.seconds / lap.images for lap in self.laps) if self.laps else None

    @property
    def rates(self) -> list[float]:
        return [lap.images / lap.seconds for lap in self.laps]


@dataclass(frozen=True)
class Group:
    """Candidates that did the same work in one run.

    Attributes:
        ours: the names of the candidates that the others are compared with.
        unit: "s" where a lap is one thing that takes so long, and no images are counted.
    """

    title: str
    ours: tuple[str, ...]
    outcomes: Mapping[str, Outcome]
    unit: Literal["images/s", "s"] = "images/s"


def interleave(
    titles: Sequence[str], candidates: Mapping[str, Callable[[], Mapping[str, Lap]]]
) -> dict[str, dict[str, Outcome]]:
    """Runs each candidate once a round; gives the outcomes by title, and then by candidate.

    Args:
        titles: what is measured.
        candidates: functions that run once and give a lap for each title. One that raises `LeftOut` or fails is not run
            again.
    """
    found = {title: {name: Outcome() for name in candidates} for title in titles}
    running, order = list(candidates), random.Random(0)
    for number in range(1 + ROUNDS):
        for name in order.sample(running, len(running)):
            rest()
            try:
                laps = candidates[name]()
            except Exception as error:
                running.remove(name)
                for title in titles:
                    found[title][name] = Outcome(error=error)
                continue
            for title in titles:
                if number == 0:
                    found[title][name].first_batch_seconds = laps[title].first_batch_seconds
                else:
                    found[title][name].laps.append(laps[title])
    return found


class LeftOut(Exception):
    """A candidate cannot be measured here; the text says why, and what would mend it."""


def require(*modules: str) -> None:
    """Leaves the candidate out if one of the modules is not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise LeftOut(f'{" and ".join(missing)} not installed: pip install ".[bench]"')


class StreamLaps:
    """Laps of an endless stream, which is started anew for each: as many batches as took `SECONDS` the first time."""

    def __init__(self, open_stream: Callable[[], Stream], batch_size: int, image_shape: tuple[int, int, int]):
        self._open_stream = open_stream
        self._batch_shape = (batch_size, *image_shape)
        self._batches: int | None = None

    def __call__(self) -> Lap:
        started = time.perf_counter()
        with self._open_stream() as stream:
            images, labels = next(stream)
            first_batch_seconds = time.perf_counter() - started
            if tuple(images.shape) != self._batch_shape or len(labels) != len(images):
                raise AssertionError(f"a batch of {tuple(images.shape)}, expected {self._batch_shape}")
            settled = time.perf_counter() + _SETTLE * SECONDS
            while time.perf_counter() < settled:
                next(stream)
            begun = time.perf_counter()
            if self._batches is None:
                self._batches = 0
                while time.perf_counter() < begun + SECONDS:
                    next(stream)
                    self._batches += 1
            else:
                for _ in range(self._batches):
                    next(stream)
            seconds = time.perf_counter() - begun
        return Lap(self._batches * self._batch_shape[0], seconds, first_batch_seconds)


def rest() -> None:
    """Waits until this process and its children use no processor any more."""
    gc.collect()
    given_up = time.perf_counter() + _REST_SECONDS
    before = _processor_seconds()
    while time.perf_counter() < given_up:
        time.sleep(0.1)
        now = _processor_seconds()
        if now - before <= 0.01:  # one tick of the clock that the system counts with
            return
        before = now
    warnings.warn("the process does not come to rest: something still runs beside the measurement", stacklevel=2)


def _processor_seconds() -> float:
    process, total = psutil.Process(), 0.0
    for running in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            times = running.cpu_times()
            total += times.user + times.system
    return total
