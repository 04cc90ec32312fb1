"""What is counted, and what is not, by a clock that the tests move."""

import statistics

import numpy as np
import pytest
from fixtures.clock import Clock

from keras_azure.throughput.timing import Candidate, measure, percentile

TICK = 1 / 1024  # seconds; sums of it are exact


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("keras_azure.throughput.timing.time", clock)
    return clock


class Steps:
    """Steps of a known length, which remembers the calls."""

    def __init__(self, clock: Clock, seconds: float, log: list | None = None, name: str = ""):
        self.clock, self.seconds, self.calls, self.log, self.name = clock, seconds, [], log, name

    def run(self, steps: int) -> None:
        self.calls.append(steps)
        if self.log is not None:
            self.log.append(self.name)
        self.clock.sleep(steps * self.seconds)


def test_a_lap_has_as_many_steps_as_it_is_told_and_the_first_step_is_apart(clock):
    steps = Steps(clock, 2 * TICK)
    timing = measure({"it": Candidate(steps.run, 10, steps=7, one_by_one=False)}, rounds=3, seconds=10 * TICK)["it"]
    assert steps.calls == [1, *[7] * (1 + 2 * 3)]  # warm-up, and before each lap as many that are not counted
    assert timing.first_seconds == 2 * TICK
    assert timing.rates == [10 / (2 * TICK)] * 3
    assert timing.images_per_second == statistics.median(timing.rates)
    assert timing.step_seconds == []


def test_the_rate_is_the_median_of_laps_of_which_some_are_slow(clock):
    class Unsteady(Steps):
        def run(self, steps: int) -> None:
            self.seconds = {3: 4 * TICK, 5: 3 * TICK}.get(len(self.calls), TICK)  # the first and the second lap
            super().run(steps)

    timing = measure({"it": Candidate(Unsteady(clock, TICK).run, 1, steps=2, one_by_one=False)}, rounds=5, seconds=1)
    assert timing["it"].rates == [256, 1024 / 3, 1024, 1024, 1024]
    assert timing["it"].images_per_second == 1024


def test_calls_grow_until_they_take_a_share_of_a_lap(clock):
    steps = Steps(clock, TICK)
    measure({"it": Candidate(steps.run, 1, one_by_one=False)}, rounds=2, seconds=100 * TICK)
    # Until a call takes a tenth of a lap; then to the end of the warm-up, and in each round half a lap and a whole one.
    assert steps.calls == [1, 1, 2, 4, 8, *[16] * 6, *[16] * 2 * (4 + 7)]

    lots = Steps(clock, TICK / 8)
    measure({"it": Candidate(lots.run, 1, lot=6, one_by_one=False)}, rounds=1, seconds=50 * TICK)
    assert all(count % 6 == 0 for count in lots.calls[1:])
    assert lots.calls[-1] == 48


def test_what_a_stream_has_ready_is_not_counted(clock, monkeypatch):
    class Buffered(Steps):
        ready = 50  # steps that cost nothing

        def run(self, steps: int) -> None:
            free = min(steps, self.ready)
            self.ready -= free
            self.clock.sleep((steps - free) * self.seconds)

        def fill(self) -> None:
            self.ready = 50

    steps = Buffered(clock, 4 * TICK)
    monkeypatch.setattr("keras_azure.throughput.timing.rest", steps.fill)
    candidate = Candidate(steps.run, 1, one_by_one=False)
    assert measure({"it": candidate}, rounds=2, seconds=100 * TICK)["it"].rates == [1 / (4 * TICK)] * 2


def test_steps_are_timed_one_by_one_unless_they_tell_their_own_times(clock):
    steps = Steps(clock, TICK)
    timing = measure({"it": Candidate(steps.run, 1, steps=5)}, rounds=2, seconds=3.5 * TICK)["it"]
    assert timing.step_seconds == [TICK] * 4 * 2  # a round's last one begins before the lap's time is over
    assert timing.slow_step == timing.median_step == TICK
    assert steps.calls[-4:] == [1] * 4

    many = measure({"it": Candidate(steps.run, 1, steps=5)}, rounds=1, seconds=1.0)["it"]
    assert len(many.step_seconds) == 200

    class Telling(Steps):
        def run(self, steps: int) -> list[float]:
            super().run(steps)
            return [0.5] * steps

    told = measure({"it": Candidate(Telling(clock, TICK).run, 1, steps=5)}, rounds=2, seconds=1.0)["it"]
    assert told.step_seconds == [0.5] * 10


def test_rounds_are_interleaved(clock):
    log: list[str] = []
    candidates = {name: Candidate(Steps(clock, TICK, log, name).run, 1, steps=1, one_by_one=False) for name in "abc"}
    told = []
    measure(candidates, rounds=4, seconds=0.001, told=lambda done, total: told.append((done, total)))
    laps = log[-24::2]  # before each a call that is not counted
    assert all(set(laps[start : start + 3]) == set("abc") for start in range(0, 12, 3))
    assert laps != list("abc") * 4  # not always one behind the same other
    assert told[-1] == (15, 15)


def test_percentiles_are_numpys():
    values = np.random.default_rng(0).random(101).tolist()
    for percent in (0, 1, 50, 99, 100):
        assert percentile(values, percent) == pytest.approx(np.percentile(values, percent))
    assert percentile([3.0], 99) == 3.0
