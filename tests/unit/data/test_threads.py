import threading
import time

import pytest

from keras_azure.data.threads import map_in_threads


@pytest.mark.parametrize("seconds", [0, 0.001])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 23])
def test_results_come_in_the_order_of_the_items(count, seconds):
    def square(number: int) -> int:
        time.sleep(seconds * (number % 3))
        return number * number

    assert list(map_in_threads(square, range(count), 4)) == [number**2 for number in range(count)]


def test_what_takes_long_runs_in_threads_and_what_does_not_stays_here():
    def slow(_: int) -> str:
        time.sleep(0.002)
        return threading.current_thread().name

    here = threading.current_thread().name
    assert len(set(map_in_threads(slow, range(40), 2))) == 3  # two threads, and the first ones here
    assert set(map_in_threads(lambda _: threading.current_thread().name, range(40), 2)) == {here}


@pytest.mark.parametrize("wrong", [0, 1, 20])
def test_nothing_new_is_begun_after_a_failure(wrong):
    done = []

    def work(number: int) -> None:
        time.sleep(0.001)
        if number == wrong:
            raise ValueError(f"number {number}")
        done.append(number)

    with pytest.raises(ValueError, match=f"number {wrong}"):
        list(map_in_threads(work, range(1000), 2))
    assert len(done) < 100


def test_nothing_new_is_begun_when_nobody_asks_for_more():
    done = []

    def work(number: int) -> None:
        time.sleep(0.001)
        done.append(number)

    results = map_in_threads(work, range(1000), 2)
    for _ in range(10):
        next(results)
    results.close()
    assert len(done) < 100
