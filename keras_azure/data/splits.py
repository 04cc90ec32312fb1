"""The splits of a data set: their names, how one split is divided in two, and how all of them are described."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_azure.data.formats.options import SPLITS
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

_IN_WORDS = {"train": "training", "validation": "validation", "test": "test"}
_SEED = 20_160_901  # of every split that is made here; a run's own seed must not change what it is tested on


def stratified_split(labels: np.ndarray, test_share: float) -> tuple[np.ndarray, np.ndarray]:
    """Divides samples into training and test samples, the same ones every time and on every machine.

    Each class gives its share to the test samples, and at least one if it has two; the whole test share is as near to
    `test_share` as that allows.

    Args:
        labels: the class of each sample, (N,).
        test_share: above 0 and below 1.

    Returns:
        The indices of the training samples and of the test samples, each sorted.
    """
    labels = np.asarray(labels)
    # RandomState and not default_rng: NumPy promises that its numbers never change.
    order = np.random.RandomState(_SEED).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, shuffled within each
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    rank = np.arange(len(labels)) - np.repeat(starts, counts)  # of each sample within its class
    is_test = rank < np.repeat(_test_counts(counts, test_share), counts)
    return np.sort(order[~is_test]), np.sort(order[is_test])


def hold_out_test(
    labels: np.ndarray, class_names: Sequence[str], test_share: float, source: str, observer: Observer
) -> tuple[np.ndarray, np.ndarray]:
    """As `stratified_split`, for data without test images of its own, and said in one line.

    Raises:
        DataError: no class has two images.
    """
    train, test = stratified_split(labels, test_share)
    if not len(test):
        raise DataError(
            f"There are no test images in {source}, and no class has two images, one of which could be held out.",
            expected="two images or more of a class",
        )
    single = [class_names[label] for label in np.setdiff1d(labels, labels[test])]
    untested = (
        f"; none of {', '.join(single[:3])}{', ...' if single[3:] else ''}, with one image each" if single else ""
    )
    observer.message(
        f"There are no test images: {test_share:g} of each class, {len(test)} images, are held out for the test"
        f"{untested}"
    )
    return train, test


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


def described(source: str, split_sizes: Mapping[str, int], image_shape: tuple[int, int, int], num_classes: int) -> str:
    """The description of a data set: "digits: 1437 training and 360 test pictures of 28x28x1 in 10 classes".

    Without labels there are 0 classes.
    """
    *first, last = [f"{split_sizes[split]} {_IN_WORDS[split]}" for split in SPLITS if split in split_sizes]
    shape = "x".join(map(str, image_shape))
    classes = f" in {num_classes} classes" if num_classes else ", without labels"
    return f"{source}: {', '.join(first)} and {last} pictures of {shape}{classes}"
