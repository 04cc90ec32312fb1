"""A data set that is in memory."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from keras_azure.data.formats.options import SPLITS
from keras_azure.data.splits import check_index
from keras_azure.errors import DataError

_BATCH = 256  # pictures


class ArrayDataset:
    """Pictures and labels in NumPy arrays, as a data set.

    Args:
        class_names: the names of the classes 0, 1, ...; two or more.
        splits: "train", "test" and, if there is one, "validation"; for each the pictures, uint8
            (N, height, width, channels) with values 0..255 and 1 or 3 channels, and the labels, integers (N,).
        description: one phrase that tells a user which data this is.

    Raises:
        DataError: the arrays are not so.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
        description: str,
    ):
        self.class_names = tuple(class_names)
        self.description = description
        check_classes(self.class_names, description)
        _check_names(splits, description)
        self._splits = {
            split: _checked(*splits[split], len(self.class_names), f"The split {split!r} of {description}")
            for split in SPLITS
            if split in splits
        }
        shapes = {split: pictures.shape[1:] for split, (pictures, _) in self._splits.items()}
        if len(set(shapes.values())) > 1:
            raise DataError(f"The pictures of {description} differ in shape: {shapes}.", expected="one shape")
        self.image_shape = shapes["train"]
        self.split_sizes = {split: len(labels) for split, (_, labels) in self._splits.items()}

    def read(self, split: str, index: int) -> tuple[np.ndarray, int]:
        check_index(split, index, self.split_sizes)
        pictures, labels = self._splits[split]
        return pictures[index], int(labels[index])

    def arrays(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """All pictures (N, height, width, channels) uint8 and labels (N,) int64 of a split, not to be written to."""
        return self._splits[split]


def fingerprint_of(pictures: np.ndarray, labels: np.ndarray) -> str:
    """Equal only for the same pictures and labels in the same order."""
    content = hashlib.blake2b(repr(pictures.shape).encode(), digest_size=16)
    for start in range(0, len(pictures), _BATCH):  # a copy of a part, where the array is no plain one
        content.update(np.ascontiguousarray(pictures[start : start + _BATCH]).data)
    content.update(labels.astype("<i8").tobytes())
    return content.hexdigest()


def check_classes(class_names: tuple[str, ...], description: str) -> None:
    """Refuses what leaves nothing to tell apart.

    Raises:
        DataError: there are fewer than two classes, or two with one name.
    """
    if len(class_names) < 2 or len(set(class_names)) < len(class_names):
        raise DataError(
            f"The classes of {description} are {', '.join(map(repr, class_names)) or 'none'}.",
            expected="two or more, with different names",
        )


def _check_names(splits: Mapping[str, tuple[np.ndarray, np.ndarray]], description: str) -> None:
    if not {"train", "test"} <= set(splits) <= set(SPLITS):
        raise DataError(
            f"The splits of {description} are {', '.join(map(repr, splits)) or 'none'}.",
            expected="'train', 'test' and, if there is one, 'validation'",
        )


def _checked(pictures: np.ndarray, labels: np.ndarray, num_classes: int, source: str) -> tuple[np.ndarray, np.ndarray]:
    pictures, labels = np.asarray(pictures), np.asarray(labels)
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] not in (1, 3):
        raise DataError(
            f"{source} has pictures of type {pictures.dtype} and shape {pictures.shape}.",
            expected="uint8 (N, height, width, channels) with 1 or 3 channels",
        )
    if 0 in pictures.shape:
        raise DataError(f"{source} is empty: its pictures have the shape {pictures.shape}.")
    if labels.shape != (len(pictures),) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{source} has labels of type {labels.dtype} and shape {labels.shape}.",
            expected=f"integers ({len(pictures)},), one for each picture",
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise DataError(
            f"{source} has labels from {labels.min()} to {labels.max()}.",
            expected=f"0 to {num_classes - 1}, one for each class",
        )
    pictures, labels = pictures.view(), labels.astype(np.int64)
    pictures.flags.writeable = labels.flags.writeable = False  # read() gives views, and many threads share them
    return pictures, labels
