"""What is counted, and what is not; no clock is judged but by a sleep, which takes as long as it says or longer."""

import statistics
import time

import numpy as np
import pytest

from keras_azure.throughput.timing import Candidate, measure, percentile


class Steps:
    """Steps of a known length, which remembers the calls."""

    def __init__(self, seconds: float, log: list | None = None, name: str = ""):
        self.seconds, self.calls, self.log, self.name = seconds, [], log, name

    def run(self, steps: int) -> None:
        self.calls.append(steps)
        if self.log is not None:
            self.log.append(self.name)
        time.sleep(steps * self.seconds)


def test_a_lap_has_as_many_steps_as_it_is_told_and_the_first_step_is_apart():
    steps = Steps(0.002)
    timing = measure({"it": Candidate(steps.run, 10, steps=7, one_by_one=False)}, rounds=3, seconds=0.01)["it"]
    assert steps.calls == [1, *[7] * (1 + 2 * 3)]  # warm-up, and before each lap as many that are not counted
    assert timing.first_seconds >= 0.002
    assert len(timing.rates) == 3
    assert timing.images_per_second == statistics.median(timing.rates)
    assert max(timing.rates) <= 10 / 0.002  # a sleep is never shorter than it should be
    assert timing.step_seconds == []


def test_calls_grow_until_they_take_a_share_of_a_lap():
    steps = Steps(0.001)
    measure({"it": Candidate(steps.run, 1, one_by_one=False)}, rounds=2, seconds=0.1)
    assert steps.calls[:3] == [1, 1, 2]
    assert 2 <= steps.calls[-1] <= 16  # ten steps take a tenth of a lap; a busy machine sleeps longer
    assert len(set(steps.calls[-4:])) == 1

    lots = Steps(0.0001)
    measure({"it": Candidate(lots.run, 1, lot=6, one_by_one=False)}, rounds=1, seconds=0.05)
    assert all(count % 6 == 0 for count in lots.calls[1:])


def test_what_a_stream_has_ready_is_not_counted():
    class Buffered(Steps):
        ready = 50  # steps that cost nothing, after each rest

        def run(self, count: int) -> None:
            free = min(count, self.ready)
            self.ready -= free
            time.sleep((count - free) * self.seconds)

    steps = Buffered(0.004)
    timing = measure({"it": Candidate(steps.run, 1, one_by_one=False)}, rounds=1, seconds=0.1)["it"]
    assert timing.images_per_second <= 1 / 0.004


def test_steps_are_timed_one_by_one_unless_they_tell_their_own_times():
    steps = Steps(0.001)
    timing = measure({"it": Candidate(steps.run, 1, steps=5)}, rounds=2, seconds=0.05)["it"]
    assert len(timing.step_seconds) >= 2
    assert min(timing.step_seconds) >= 0.001
    assert timing.slow_step >= timing.median_step

    told = measure({"it": Candidate(lambda count: [0.5] * count, 1, steps=5)}, rounds=2, seconds=0.01)["it"]
    assert told.step_seconds == [0.5] * 10


def test_rounds_are_interleaved():
    log: list[str] = []
    candidates = {name: Candidate(Steps(0, log, name).run, 1, steps=1, one_by_one=False) for name in "abc"}
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
