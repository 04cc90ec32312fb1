"""A data set that is in memory."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from keras_azure.data import TaskName
from keras_azure.data.formats.options import SPLITS
from keras_azure.data.label_forms import Label, LabelForm
from keras_azure.data.splits import check_index
from keras_azure.errors import DataError

_BATCH = 256  # pictures


class ArrayDataset:
    """Pictures and labels in NumPy arrays, as a data set.

    Args:
        class_names: the names of the classes 0, 1, ...; two or more. Of labels or numbers one or more.
        splits: "train", "test" and, if there is one, "validation"; for each the pictures, uint8
            (N, height, width, channels) with values 0..255 and 1 or 3 channels, and the labels: integers (N,) of
            classes; 0 and 1, (N, labels), where each image has several; floating-point numbers, (N,) or (N, numbers).
        description: one phrase that tells a user which data this is.
        task: "classify", "multilabel" or "regress"; "auto" is what the labels of "train" are.

    Raises:
        DataError: the arrays are not so.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
        description: str,
        task: Literal["auto", "classify", "multilabel", "regress"] = "auto",
    ):
        self.class_names = tuple(class_names)
        self.description = description
        _check_names(splits, description)
        self.task: TaskName = _task_of(splits["train"][1]) if task == "auto" else task
        check_classes(self.class_names, description, self.task)
        form = LabelForm.of(self)
        self._splits = {
            split: _checked(*splits[split], form, f"The split {split!r} of {description}")
            for split in SPLITS
            if split in splits
        }
        shapes = {split: pictures.shape[1:] for split, (pictures, _) in self._splits.items()}
        if len(set(shapes.values())) > 1:
            raise DataError(f"The pictures of {description} differ in shape: {shapes}.", expected="one shape")
        self.image_shape = shapes["train"]
        self.split_sizes = {split: len(labels) for split, (_, labels) in self._splits.items()}

    def read(self, split: str, index: int) -> tuple[np.ndarray, Label]:
        check_index(split, index, self.split_sizes)
        pictures, labels = self._splits[split]
        return pictures[index], labels[index] if labels.ndim > 1 else int(labels[index])

    def arrays(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """All pictures (N, height, width, channels) uint8 and labels of a split, not to be written to. Labels are int64
        (N,), uint8 (N, labels) or float32 (N, numbers)."""
        return self._splits[split]

    def known_labels(self, split: str) -> np.ndarray:
        return self._splits[split][1]


def fingerprint_of(pictures: np.ndarray, labels: np.ndarray) -> str:
    """Equal only for the same pictures and labels in the same order."""
    content = hashlib.blake2b(repr(pictures.shape).encode(), digest_size=16)
    for start in range(0, len(pictures), _BATCH):  # a copy of a part, where the array is no plain one
        content.update(np.ascontiguousarray(pictures[start : start + _BATCH]).data)
    content.update(labels.astype("<i8" if labels.ndim == 1 else labels.dtype.newbyteorder("<")).tobytes())
    return content.hexdigest()


def check_classes(class_names: tuple[str, ...], description: str, task: TaskName = "classify") -> None:
    """Refuses what leaves nothing to tell apart.

    Raises:
        DataError: there are fewer than two classes, no label, no number, or two with one name.
    """
    least = 2 if task == "classify" else 1
    if len(class_names) < least or len(set(class_names)) < len(class_names):
        called = {"classify": "classes", "multilabel": "labels", "regress": "numbers"}[task]
        raise DataError(
            f"The {called} of {description} are {', '.join(map(repr, class_names)) or 'none'}.",
            expected=f"{'two' if least == 2 else 'one'} or more, with different names",
        )


def _task_of(labels: Any) -> TaskName:
    """What labels are for that are in arrays of this package."""
    array = np.asarray(labels)
    if array.dtype.kind == "f":
        return "regress"
    return "multilabel" if array.ndim == 2 and not is_one_hot(array) else "classify"


def is_one_hot(array: np.ndarray) -> bool:
    """Whether each row (N, classes) is one 1 and else 0."""
    return bool(np.all((array == 0) | (array == 1)) and np.all(array.sum(axis=1) == 1))


def _check_names(splits: Mapping[str, tuple[np.ndarray, np.ndarray]], description: str) -> None:
    if not {"train", "test"} <= set(splits) <= set(SPLITS):
        raise DataError(
            f"The splits of {description} are {', '.join(map(repr, splits)) or 'none'}.",
            expected="'train', 'test' and, if there is one, 'validation'",
        )


def _checked(pictures: np.ndarray, labels: np.ndarray, form: LabelForm, source: str) -> tuple[np.ndarray, np.ndarray]:
    pictures, labels = np.asarray(pictures), np.asarray(labels)
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[-1] not in (1, 3):
        raise DataError(
            f"{source} has pictures of type {pictures.dtype} and shape {pictures.shape}.",
            expected="uint8 (N, height, width, channels) with 1 or 3 channels",
        )
    if 0 in pictures.shape:
        raise DataError(f"{source} is empty: its pictures have the shape {pictures.shape}.")
    pictures, labels = pictures.view(), _checked_labels(labels, len(pictures), form, source)
    pictures.flags.writeable = labels.flags.writeable = False  # read() gives views, and many threads share them
    return pictures, labels


def _checked_labels(labels: np.ndarray, size: int, form: LabelForm, source: str) -> np.ndarray:
    if form.shape:
        try:
            return form.vectors(labels[:, np.newaxis] if labels.ndim == 1 else labels, size).copy()
        except ValueError as error:
            raise DataError(f"{source} has labels {error}.", expected=f"for each picture {form.in_words}") from error
    if labels.shape != (size,) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{source} has labels of type {labels.dtype} and shape {labels.shape}.",
            expected=f"integers ({size},), one for each picture",
        )
    if labels.min() < 0 or labels.max() >= form.count:
        raise DataError(
            f"{source} has labels from {labels.min()} to {labels.max()}.",
            expected=f"0 to {form.count - 1}, one for each class",
        )
    return labels.astype(np.int64)
