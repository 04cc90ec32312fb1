import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fixtures.clock import Clock

from keras_azure.data import threads
from keras_azure.data.threads import map_in_threads

PATIENCE_SECONDS = 300.0  # so that a test that waits for what does not come ends


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(threads, "time", clock)
    return clock


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set as soon as the threads are told to begin nothing new."""
    told = threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            told.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr(threads, "ThreadPoolExecutor", Pool)
    return told


@pytest.mark.parametrize("seconds", [0, 0.001])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 23])
def test_results_come_in_the_order_of_the_items(count, seconds):
    def square(number: int) -> int:
        time.sleep(seconds * (number % 3))
        return number * number

    assert list(map_in_threads(square, range(count), 4)) == [number**2 for number in range(count)]


def test_what_takes_long_runs_in_threads_and_what_does_not_stays_here(clock):
    here, others = threading.current_thread().name, set()
    both = threading.Event()

    def slow(number: int) -> str:
        clock.sleep(0.002)
        name = threading.current_thread().name
        if name != here:
            others.add(name)
            if len(others) == 2:
                both.set()
            assert both.wait(PATIENCE_SECONDS)
        return name

    assert set(map_in_threads(slow, range(40), 2)) == {here, *others}  # the first ones here
    assert set(map_in_threads(lambda _: threading.current_thread().name, range(40), 2)) == {here}


@pytest.mark.parametrize("wrong", [0, 1, 20])
def test_nothing_new_is_begun_after_a_failure(clock, given_up, wrong):
    done = []

    def work(number: int) -> None:
        clock.sleep(0.001)
        if number == wrong:
            raise ValueError(f"number {number}")
        if number > wrong:
            assert given_up.wait(PATIENCE_SECONDS)
        done.append(number)

    with pytest.raises(ValueError, match=f"number {wrong}"):
        list(map_in_threads(work, range(1000), 2))
    assert len(done) < wrong + 10  # those that were begun already


def test_nothing_new_is_begun_when_nobody_asks_for_more(clock, given_up):
    done = []

    def work(number: int) -> None:
        clock.sleep(0.001)
        if number > 20:
            assert given_up.wait(PATIENCE_SECONDS)
        done.append(number)

    results = map_in_threads(work, range(1000), 2)
    for _ in range(10):
        next(results)
    results.close()
    assert len(done) < 30
