"""The splits of a data set: their names, how one split is divided in two, and how all of them are described."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_azure.data import TaskName
from keras_azure.data.formats.layout import some_of
from keras_azure.data.formats.options import SPLITS
from keras_azure.errors import DataError

_IN_WORDS = {"train": "training", "validation": "validation", "test": "test"}
_SEED = 20_160_901  # of every split that is made here; a run's own seed must not change what it is tested on


def stratified_split(labels: np.ndarray, test_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Divides samples into training and test samples, the same ones every time and on every machine.

    Each class gives its share to the test samples, and at least one if it has two; the whole test share is as near to
    `test_share` as that allows. Of several labels each does, as far as that goes together; numbers are divided at
    random.

    Args:
        labels: the class of each sample, (N,); or 0 and 1, uint8 (N, labels); or numbers, float32 (N, numbers).
        test_share: above 0 and below 1.

    Returns:
        The indices of the training samples and of the test samples, each sorted.
    """
    labels = np.asarray(labels)
    if labels.ndim > 1:
        order = np.random.RandomState(_SEED).permutation(len(labels))
        count = min(max(round(len(labels) * test_share), 1), len(labels) - 1)
        test = iterative_split(labels, count, order) if labels.dtype.kind != "f" else np.sort(order[:count])
        return np.setdiff1d(np.arange(len(labels)), test), test
    # RandomState and not default_rng: NumPy promises that its numbers never change.
    order = np.random.RandomState(_SEED).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within each
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    rank = np.arange(len(labels)) - np.repeat(starts, counts)  # of each sample within its class
    is_test = rank < np.repeat(_test_counts(counts, test_share), counts)
    return np.sort(order[~is_test]), np.sort(order[is_test])


def iterative_split(labels: np.ndarray, count: int, order: np.ndarray) -> np.ndarray:
    """Chooses samples so that each label gives its share of them: iterative stratification.

    After Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", 2011: always the rarest label
    among what is left is dealt out next, each of its samples to the part that lacks most of that label.

    Args:
        labels: 0 and 1, (N, labels).
        count: how many to choose.
        order: (N,): of equally good samples the first.

    Returns:
        Their indices, sorted.
    """
    labels = np.asarray(labels, bool)
    share = count / max(len(labels), 1)
    # How many samples of each label, and in all, the chosen part and the rest still lack.
    lacking = np.outer((share, 1 - share), labels.sum(axis=0))
    room = [count, len(labels) - count]
    left = labels.sum(axis=0)
    part = np.full(len(labels), -1)

    def put(sample: int, into: int) -> None:
        part[sample] = into
        room[into] -= 1
        lacking[into] -= labels[sample]

    while left.any():
        rarest = int(np.argmin(np.where(left > 0, left, np.iinfo(left.dtype).max)))
        for sample in order[labels[order, rarest] & (part[order] < 0)].tolist():
            wanted = lacking[0, rarest] - lacking[1, rarest] or room[0] - room[1]
            put(sample, 0 if room[0] and (wanted > 0 or not room[1]) else 1)
            left -= labels[sample]
    rest = order[part[order] < 0]
    part[rest[: room[0]]] = 0
    return np.flatnonzero(part == 0)


def hold_out_test(
    labels: np.ndarray, class_names: Sequence[str], test_share: float, source: str
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """As `stratified_split`, for data that has no test images of its own.

    Returns:
        The indices of the training samples and of the test samples, and a line on classes that give the test none.

    Raises:
        DataError: no class has two images.
    """
    if labels.ndim > 1:
        if len(labels) < 2:
            raise DataError(
                f"There is one image in {source}, which cannot be both trained and tested on.", hint="add images"
            )
        train, test = stratified_split(labels, test_share)
        if labels.dtype.kind == "f":
            return train, test, ()
        few = np.flatnonzero(labels[train].any(axis=0) & ~labels[test].any(axis=0)).tolist()
        named = some_of([class_names[label] for label in few])
        return train, test, (f"There are no test images of {named}, which have too few.",) if few else ()
    train, test = stratified_split(labels, test_share)
    if not len(test):
        raise DataError(
            f"Each class of {source} has just one image, which cannot be both trained and tested on.",
            hint="add images of the classes",
        )
    alone = [class_names[label] for label in np.setdiff1d(labels, labels[test])]
    return train, test, (f"There are no test images of {some_of(alone)}, which have one image each.",) if alone else ()


def _test_counts(counts: np.ndarray, test_share: float) -> np.ndarray:
    """How many of `counts` samples of each class are for the test: rounded so that the sum is right, too."""
    exact = counts * test_share
    chosen = np.floor(exact).astype(int)
    missing = round(exact.sum()) - chosen.sum()
    chosen[np.argsort(chosen - exact, kind="stable")[:missing]] += 1  # the largest remainders
    return np.clip(chosen, 1, counts - 1)


def check_index(split: str, index: int, split_sizes: Mapping[str, int]) -> None:
    """Raises the IndexError that `Dataset.read` promises."""
    if not 0 <= index < split_sizes[split]:
        raise IndexError(f"The split {split!r} has the samples 0 to {split_sizes[split] - 1}, and not {index}.")


def described(
    source: str,
    split_sizes: Mapping[str, int],
    image_shape: tuple[int, int, int],
    num_classes: int,
    task: TaskName = "classify",
) -> str:
    """The description of a data set: "digits: 1437 training and 360 test pictures of 28x28x1 in 10 classes".

    Without labels there are 0 classes. Of other tasks it ends "with 20 labels" or "with 1 number".
    """
    *first, last = [f"{split_sizes[split]} {_IN_WORDS[split]}" for split in SPLITS if split in split_sizes]
    shape = "x".join(map(str, image_shape))
    classes = f" in {num_classes} classes" if num_classes else ", without labels"
    if task != "classify":
        called = {"multilabel": "label", "regress": "number"}[task]
        classes = f" with {num_classes} {called}{'' if num_classes == 1 else 's'}"
    return f"{source}: {', '.join(first)} and {last} pictures of {shape}{classes}"
