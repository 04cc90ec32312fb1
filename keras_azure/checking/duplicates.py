"""Images that are there more than once, as groups of their numbers."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from keras_azure.checking import near
from keras_azure.checking.measures import Measures
from keras_azure.data.threads import map_in_threads
from keras_azure.description.events import Observer

Groups = list[list[int]]
_AT_ONCE = 256  # images whose candidates are searched in one piece of work
_FLAT = 8  # levels between the darkest and the brightest pixel of a thumbnail on which nothing can be laid
_FIT = 0.8  # what one image has to explain of another, where different images have nothing in common
_BEYOND = 3  # places down the list of what fits on an image: how far is looked for where its copies end
_BEST_FIT = 0.998  # what is enough, whatever the others fit: no two of 70,000 digits do that


def exact_duplicates(measures: Sequence[Measures | None]) -> Groups:
    """Images of equal pixels."""
    found = defaultdict(list)
    for number, each in enumerate(measures):
        if each is not None:
            found[each.digest].append(number)
    return [group for group in found.values() if len(group) > 1]


def near_duplicates(measures: Sequence[Measures | None], exact: Groups, observer: Observer) -> Groups:
    """Images that are nearly the same: of another size, stored with loss, or cut at the edges.

    How much two images may have in common by chance depends on what they show: photographs hardly anything,
    handwritten digits nearly all. So an image's copies are those that fit on it far better than the next ones do: see
    `thresholds`. Of more than `near.NEAREST - _BEYOND` copies that are cut, some may not be found.

    Each hash is compared with all others, which takes longer than all else beyond some 500,000 images: see the README.

    Args:
        exact: the groups of equal images; a group of near ones holds all of them.
    """
    copies = {group[0]: group for group in exact}
    others = {number for group in exact for number in group[1:]}
    numbers = [
        number
        for number, each in enumerate(measures)
        if each is not None and number not in others and np.ptp(each.thumbnail) > _FLAT
    ]
    if len(numbers) < 2:
        return []
    thumbnails = np.stack([found.thumbnail for number in numbers if (found := measures[number]) is not None])
    pairs = _candidates(near.hashes(thumbnails), observer)
    fits = _fits(near.smoothed(thumbnails), pairs, observer)
    alike = pairs[fits >= thresholds(pairs, fits, len(numbers))]
    joined = groups_of((numbers[one], numbers[other]) for one, other in alike.tolist())
    return [sorted(each for number in group for each in copies.get(number, [number])) for group in joined]


def thresholds(pairs: np.ndarray, fits: np.ndarray, count: int) -> np.ndarray:
    """What each pair has to fit to be one image, (n,).

    What fits on an image, the best first, ends as its copies where it falls: from a place on the list to the third
    after that, as what is next to the copies may be some other view of the same thing. What the third leaves
    unexplained has to be the more, the less it is: on digits all others fit as well.

    Args:
        pairs: the candidates, (n, 2).
        fits: of each pair, (n,).
        count: how many images there are.
    """
    sides, values = pairs.T.reshape(-1), np.maximum(np.tile(fits, 2), 0)
    order = np.lexsort((-values, sides))
    sides, values = sides[order], values[order]
    rank = np.arange(len(sides)) - np.searchsorted(sides, sides)
    listed = rank < near.NEAREST
    left = np.ones((count, near.NEAREST))  # unexplained by the best, the second best ...
    left[sides[listed], rank[listed]] = 1 - values[listed]
    copies, beyond = left[:, :-_BEYOND], left[:, _BEYOND:]
    most = np.where(copies <= (1 - _FIT) * beyond**4, copies, -1).max(axis=1)  # -1: it has no copies
    return np.minimum(1 - most[pairs].min(axis=1), _BEST_FIT)


def groups_of(pairs: Iterable[tuple[int, int]]) -> Groups:
    """What hangs together by pairs, sorted."""
    parent: dict[int, int] = {}

    def root(number: int) -> int:
        while (above := parent.setdefault(number, number)) != number:
            parent[number] = number = parent[above]
        return number

    for one, other in pairs:
        parent[root(one)] = root(other)
    found = defaultdict(list)
    for number in sorted(parent):
        found[root(number)].append(number)
    return sorted(found.values())


def _candidates(hashes: np.ndarray, observer: Observer) -> np.ndarray:
    """Pairs of images that may be one, int64 (n, 2), the smaller number first."""
    starts = range(0, len(hashes), _AT_ONCE)

    def search(start: int) -> np.ndarray:
        last = min(start + _AT_ONCE, len(hashes))
        others = near.nearest(hashes, start, last)
        pairs = np.stack(np.broadcast_arrays(np.arange(start, last)[:, np.newaxis], others), axis=-1).reshape(-1, 2)
        return np.sort(pairs[pairs[:, 1] >= 0], axis=1)

    found = []
    for start, pairs in zip(starts, map_in_threads(search, starts, os.cpu_count() or 1), strict=True):
        found.append(pairs)
        observer.advance("Looking for duplicates", min(start + _AT_ONCE, len(hashes)), len(hashes))
    return np.unique(np.concatenate(found), axis=0)


def _fits(smoothed: np.ndarray, pairs: np.ndarray, observer: Observer) -> np.ndarray:
    """How well the images of each pair fit, (n,): the one on the other, or the other on the one."""
    starts = range(0, len(pairs), _AT_ONCE)

    def compare(start: int) -> np.ndarray:
        return near.best_fits(smoothed, pairs[start : start + _AT_ONCE])

    found = [np.empty(0)]
    for start, fits in zip(starts, map_in_threads(compare, starts, os.cpu_count() or 1), strict=True):
        found.append(fits)
        observer.advance("Comparing images", min(start + _AT_ONCE, len(pairs)), len(pairs))
    return np.concatenate(found)
