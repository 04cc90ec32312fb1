"""Many small pieces of work on files, in threads where that helps."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_TIMED = 8  # pieces, of which the quickest counts: the first ones may have waited for code to be loaded
_AT_ONCE = 4  # pieces that a thread takes: for one alone, handing it over may take as long as doing it
_WORTH_A_THREAD = 1e-4  # seconds for a piece: below, threads spend more on taking turns at Python's lock than they gain
_WAITING = 4  # shares of pieces for each thread that wait for it: more would only take memory


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """`map(function, items)`, in threads unless the first few pieces turn out to be done in no time.

    Nothing new is begun once a piece has failed, or nobody asks for more. What is done and not yet asked for is kept
    for a few pieces, however many there are.
    """
    items = iter(items)
    quickest = float("inf")
    for item in itertools.islice(items, _TIMED):
        begun = time.perf_counter()
        result = function(item)
        quickest = min(quickest, time.perf_counter() - begun)
        yield result
    if quickest < _WORTH_A_THREAD:
        yield from map(function, items)
        return

    def work(share: list[Item]) -> list[Result]:
        return [function(item) for item in share]

    shares = iter(lambda: list(itertools.islice(items, _AT_ONCE)), [])
    under_way: deque[Future[list[Result]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for share in shares:
                under_way.append(pool.submit(work, share))
                if len(under_way) > _WAITING * threads:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
