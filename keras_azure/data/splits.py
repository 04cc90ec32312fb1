"""The splits of a data set: their names, how one split is divided in two, and how all of them are described."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_azure.data.formats.layout import some_of
from keras_azure.data.formats.options import SPLITS
from keras_azure.errors import DataError

_IN_WORDS = {"train": "training", "validation": "validation", "test": "test"}
_SEED = 20_160_901  # of every split that is made here; a run's own seed must not change what it is tested on
_VALIDATION_STREAM = 2  # the second seed of the split, so that it equals nothing else drawn from the run's seed


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
    labels: np.ndarray, class_names: Sequence[str], test_share: float, source: str
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """As `stratified_split`, for data that has no test images of its own.

    Returns:
        The indices of the training samples and of the test samples, and a line on classes that give the test none.

    Raises:
        DataError: no class has two images.
    """
    if labels.ndim > 1:
        return *hold_out(labels, None, test_share, source), ()
    train, test = stratified_split(labels, test_share)
    if not len(test):
        raise DataError(
            f"Each class of {source} has just one image, which cannot be both trained and tested on.",
            hint="add images of the classes",
        )
    alone = [class_names[label] for label in np.setdiff1d(labels, labels[test])]
    return train, test, (f"There are no test images of {some_of(alone)}, which have one image each.",) if alone else ()


def hold_out_validation(
    size: int,
    share: float,
    seed: int,
    labels: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    source: str = "the data",
) -> tuple[np.ndarray, np.ndarray]:
    """Divides the training samples of a run into those that it trains on and those that it validates on.

    Args:
        size: how many there are.
        share: from 0 to below 1, for validation.
        seed: the run's.
        labels: as in `hold_out`, each of which gives its share; None draws samples at random.
        groups: as in `hold_out`.
        source: what the data is called in messages.

    Returns:
        The indices of either, sorted, so that reading them in order walks through the files in order.

    Raises:
        DataError: one of them would be empty.
    """
    held_out, random = size_held_out(size, share), np.random.default_rng([seed, _VALIDATION_STREAM])
    if held_out and labels is not None:
        return hold_out(labels, groups, share, source, random)
    shuffled = random.permutation(size)
    return np.sort(shuffled[held_out:]), np.sort(shuffled[:held_out])


def size_held_out(size: int, share: float) -> int:
    """How many of the training samples of a run it validates on.

    Raises:
        DataError: it would have none to train or to validate on.
    """
    held_out = round(size * share)
    if share and not 0 < held_out < size:
        raise DataError(
            f"A validation_split of {share} of {size} training pictures leaves none "
            f"for {'training' if held_out else 'validation'}.",
            hint="--validation-split 0, or more pictures",
        )
    return held_out


def hold_out(
    labels: np.ndarray,
    groups: np.ndarray | None,
    test_share: float,
    source: str,
    random: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """As `hold_out_test`, of images that are in groups, or have several labels or numbers each.

    Args:
        random: in which order images are looked at; by default always the same.
        labels: classes (N,), or vectors (N, k): labels of 0 and 1, or numbers.
        groups: of each image, int64 (N,), of which none is divided; None where each image stands alone.

    Raises:
        DataError: there are no two groups, or no two images.
    """
    of_image = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(of_image.max(initial=-1)) + 1
    if count < 2:
        what = "image" if groups is None else "group"
        raise DataError(
            f"There is just one {what} in {source}, which cannot be both trained and tested on.",
            expected=f"two {what}s or more, or a split column",
        )
    is_test = _chosen_groups(of_image, labels, test_share, random or np.random.RandomState(_SEED))[of_image]
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _chosen_groups(
    groups: np.ndarray, labels: np.ndarray, share: float, random: np.random.Generator | np.random.RandomState
) -> np.ndarray:
    """Which groups of images make a share of each label, as near as whole groups allow: iterative stratification
    (Sechidis et al., 2011), in which the label that has the fewest images left is divided next.

    Args:
        groups: of each image, int64 (N,), from 0 to G - 1.
        labels: as in `hold_out`.
        share: above 0 and below 1.

    Returns:
        bool (G,): at least one is chosen, and one is not.
    """
    sizes = np.bincount(groups)
    rows, columns = _having(labels)
    num_labels = int(columns.max(initial=-1)) + 1
    # How many images of a group have a label, where some have; by group, and in the order of labels.
    pairs, counts = np.unique(groups[rows] * max(num_labels, 1) + columns, return_counts=True)
    of_group, of_label = np.divmod(pairs, max(num_labels, 1))
    starts = np.searchsorted(of_group, np.arange(len(sizes) + 1))
    rank = np.empty(len(sizes), np.int64)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]  # large ones first: small ones make up for them
    rank[order] = np.arange(len(sizes))
    by_label = np.lexsort((rank[of_group], of_label))
    places = np.searchsorted(of_label[by_label], np.arange(num_labels + 1))
    remaining = np.bincount(of_label, counts, num_labels)
    wanted, wanted_images = remaining * share, len(groups) * share
    left, chosen = np.ones(len(sizes), bool), np.zeros(len(sizes), bool)

    def decide(group: int, missing: float, mine: float) -> None:
        """Takes a group if that is nearer to what is missing than without."""
        nonlocal wanted_images
        taken = wanted_images >= sizes[group] / 2 if missing == mine / 2 else missing > mine / 2
        left[group], chosen[group] = False, taken
        mine_of = slice(starts[group], starts[group + 1])
        remaining[of_label[mine_of]] -= counts[mine_of]
        if taken:
            wanted[of_label[mine_of]] -= counts[mine_of]
            wanted_images -= sizes[group]

    while (remaining > 0).any():
        label = int(np.argmin(np.where(remaining > 0, remaining, np.inf)))
        for pair in by_label[places[label] : places[label + 1]]:
            if left[of_group[pair]]:
                decide(of_group[pair], wanted[label], counts[pair])
    for group in order[left[order]]:  # images without any label
        decide(group, wanted_images, sizes[group])
    if not chosen.any() or chosen.all():
        chosen[order[-1]] = not chosen[order[-1]]  # the smallest
    return chosen


def _having(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which images have what of that which is to be divided evenly, two arrays (pairs,): their classes, their labels,
    or the tenth that their first number is in."""
    if labels.ndim == 2 and labels.dtype == np.uint8:
        rows, columns = np.nonzero(labels)
        return rows, columns
    if labels.ndim == 2:
        tenths = np.quantile(labels[:, 0], np.linspace(0, 1, 11)[1:-1])
        labels = np.searchsorted(tenths, labels[:, 0], side="right")
    return np.arange(len(labels)), np.unique(labels, return_inverse=True)[1]


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
    source: str, split_sizes: Mapping[str, int], image_shape: tuple[int, int, int], names: int, task: str = "classify"
) -> str:
    """The description of a data set: "digits: 1437 training and 360 test pictures of 28x28x1 in 10 classes".

    Args:
        names: how many classes, labels or numbers there are; 0 without labels.
    """
    *first, last = [f"{split_sizes[split]} {_IN_WORDS[split]}" for split in SPLITS if split in split_sizes]
    shape = "x".join(map(str, image_shape))
    words = {
        "classify": f" in {names} classes",
        "multilabel": f" with {names} labels",
        "regress": f" with {names} numbers",
    }
    said = words[task] if names else ", without labels"
    if names == 1:
        said = said.removesuffix("s")
    return f"{source}: {', '.join(first)} and {last} pictures of {shape}{said}"
