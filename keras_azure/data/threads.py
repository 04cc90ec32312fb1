"""Many small pieces of work on files, in threads where that helps."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_FIRST = 2  # pieces that are timed
_AT_ONCE = 4  # pieces that a thread takes: for one alone, handing it over may take as long as doing it
_WORTH_A_THREAD = 1e-4  # seconds for a piece: below, threads spend more on taking turns at Python's lock than they gain


def map_in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int | None) -> Iterator[Result]:
    """`map(function, items)`, in `threads` threads unless the first few pieces turn out to be done in no time.

    Nothing new is begun once a piece has failed, or nobody asks for more.
    """
    items = iter(items)
    begun = time.perf_counter()
    first = [function(item) for item in itertools.islice(items, _FIRST)]
    worth_it = time.perf_counter() - begun > _WORTH_A_THREAD * len(first)
    yield from first
    if not worth_it:
        yield from map(function, items)
        return
    shares = iter(lambda: list(itertools.islice(items, _AT_ONCE)), [])
    with ThreadPoolExecutor(threads) as pool:
        try:
            for results in pool.map(lambda share: [function(item) for item in share], shares):
                yield from results
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
