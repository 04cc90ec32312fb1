"""What labels are for each task: a class, 0 or 1 for each of several labels, or numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_azure.data import Named, TaskName, task_of_data

Label = int | np.ndarray  # of an image: a class, or a vector

_TYPES: dict[TaskName, np.dtype] = {
    "classify": np.dtype(np.int64),
    "multilabel": np.dtype(np.uint8),
    "regress": np.dtype(np.float32),
}
_SMALLEST_DEVIATION = 1e-12  # of numbers that are all one


@dataclass(frozen=True)
class LabelForm:
    """What a label is.

    Attributes:
        task: that labels are for.
        count: of the classes, the labels, or the numbers.
    """

    task: TaskName
    count: int

    @classmethod
    def of(cls, dataset: Named) -> "LabelForm":
        return cls(task_of_data(dataset), len(dataset.class_names))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the label of one image: a class is a number, all else a vector."""
        return () if self.task == "classify" else (self.count,)

    @property
    def dtype(self) -> np.dtype:
        return _TYPES[self.task]

    @property
    def in_words(self) -> str:
        """What is expected of the label of one image."""
        return {
            "classify": f"an integer from 0 to {self.count - 1}",
            "multilabel": f"0 or 1 for each of {self.count} labels: uint8 ({self.count},)",
            "regress": f"finite numbers: float32 ({self.count},)",
        }[self.task]

    def empty(self, size: int) -> np.ndarray:
        return np.empty((size, *self.shape), self.dtype)

    def vectors(self, labels: Any, size: int | None = None) -> np.ndarray:
        """Label vectors as they are kept: of one image (count,), or of `size` images (size, count).

        Raises:
            ValueError: they are none of this form.
        """
        array = np.asarray(labels)
        shape = self.shape if size is None else (size, *self.shape)
        if array.shape != shape or array.dtype.kind not in "buif":
            raise ValueError(f"of type {array.dtype} and shape {array.shape}")
        if self.task == "multilabel" and not np.all((array == 0) | (array == 1)):
            raise ValueError(f"{array.dtype} with {array[(array != 0) & (array != 1)].flat[0]} among them")
        found = array.astype(self.dtype, copy=False)
        if self.task == "regress" and not np.isfinite(found).all():
            raise ValueError(f"{array.dtype} with {array[~np.isfinite(found)].flat[0]} among them")
        return found

    def checked(self, labels: Any, size: int) -> np.ndarray:
        """The labels of `size` images as they are kept, classes too: int64 (size,).

        Raises:
            ValueError: they are none of this form.
        """
        if self.shape:
            return self.vectors(labels, size)
        array = np.asarray(labels)
        if array.shape != (size,) or array.dtype.kind not in "iu":
            raise ValueError(f"of type {array.dtype} and shape {array.shape}")
        if len(wrong := array[(array < 0) | (array >= self.count)]):
            raise ValueError(f"of no class, such as {wrong[0]}")
        return array.astype(self.dtype, copy=False)

    def from_targets(self, targets: np.ndarray) -> np.ndarray:
        """Labels again, of what a model is to give for some images, (n, count) float32; of mixed ones the larger."""
        if self.task == "classify":
            return targets.argmax(axis=1)
        return (targets >= 0.5).astype(self.dtype) if self.task == "multilabel" else targets.astype(self.dtype)


@dataclass(frozen=True)
class Scaling:
    """What brings each number to mean 0 and deviation 1, so that all count the same in a loss.

    Attributes:
        mean, deviation: of each number.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, numbers: np.ndarray) -> "Scaling":
        """That of numbers (n, count)."""
        mean, deviation = numbers.mean(axis=0, dtype=np.float64), numbers.std(axis=0, dtype=np.float64)
        # A number that never changes is predicted by its mean.
        return cls(tuple(mean.tolist()), tuple(np.where(deviation < _SMALLEST_DEVIATION, 1.0, deviation).tolist()))

    def apply(self, numbers: Any) -> Any:
        return (numbers - _row(self.mean)) / _row(self.deviation)

    def undo(self, scaled: Any) -> Any:
        return scaled * _row(self.deviation) + _row(self.mean)


def _row(values: Sequence[float]) -> np.ndarray:
    return np.array([values], np.float32)
