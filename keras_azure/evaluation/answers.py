"""What a model said of each image of a split, beside the truth: all figures, reports and comparisons follow from it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_azure.data import TASKS, TaskName
from keras_azure.errors import RunFailed, UsageError
from keras_azure.files import write_atomically

_TRUTH = {"classify": np.int64, "multilabel": np.uint8, "regress": np.float32}


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said of the images of a split, in their order.

    Attributes:
        task: what the model is for.
        names: of its classes, labels or numbers.
        given: float32 (n, names): probabilities, or numbers in their units.
        truth: classes, int64 (n,); of labels 0 and 1, uint8 (n, names); numbers, float32 (n, names).
        samples: the index of each image in the split, int64 (n,).
        split: "test", "validation" or "train".
        data: the digest of the images and labels of the split: equal only for the same in the same order; empty where
            the data set has none.
        thresholds: of labels, from which on each is predicted; of classes and numbers none.
    """

    task: TaskName
    names: tuple[str, ...]
    given: np.ndarray
    truth: np.ndarray
    samples: np.ndarray
    split: str = "test"
    data: str = ""
    thresholds: tuple[float, ...] = ()

    def __len__(self) -> int:
        return len(self.given)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, int64 (n,); of labels 0 and 1, uint8 (n, names); the numbers."""
        if self.task == "classify":
            return self.given.argmax(axis=1)
        if self.task == "multilabel":
            return (self.given >= np.asarray(self.thresholds)).astype(np.uint8)
        return self.given

    @property
    def right(self) -> np.ndarray:
        """Whether the class, or all labels, of each image are right, bool (n,).

        Raises:
            ValueError: numbers are near or far, and neither right nor wrong.
        """
        if self.task == "regress":
            raise ValueError("numbers are neither right nor wrong")
        same = np.asarray(self.predicted == self.truth)
        return same if same.ndim == 1 else np.asarray(same.all(axis=1))

    def only(self, chosen: np.ndarray) -> "Answers":
        """Those of some images.

        Args:
            chosen: bool (n,).
        """
        given, truth, samples = self.given[chosen], self.truth[chosen], self.samples[chosen]
        return replace(self, given=given, truth=truth, samples=samples)

    def comparable(self, other: "Answers") -> bool:
        """Whether both are about the same images, in the same order."""
        return (
            bool(self.data)
            and (self.task, self.names, self.split, self.data) == (other.task, other.names, other.split, other.data)
            and np.array_equal(self.samples, other.samples)
            and np.array_equal(self.truth, other.truth)
        )

    def save(self, path: Path) -> None:
        """Writes them as an `.npz` file; equal ones give equal files.

        Raises:
            RunFailed: the disk is full or not writable.
        """
        arrays = {
            "task": np.array(self.task),
            "names": np.array(self.names, np.str_),
            "given": self.given,
            "truth": self.truth,
            "samples": self.samples,
            "split": np.array(self.split),
            "data": np.array(self.data),
            "thresholds": np.array(self.thresholds, np.float64),
        }

        def write(beside: Path) -> None:
            with beside.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # its stubs take one of them for allow_pickle

        write_atomically(path, write)

    @classmethod
    def load(cls, path: Path) -> "Answers":
        """What `save` wrote.

        Raises:
            UsageError: there is no such file.
            RunFailed: it is damaged.
        """
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                return cls._checked({name: file[name] for name in file.files})
        except FileNotFoundError:
            raise UsageError(f"There are no predictions in {path}.", hint="kaz evaluate, which makes them") from None
        except Exception as error:  # zipfile and NumPy raise what the damaged part happened to cause
            said = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
            raise RunFailed(f"The predictions in {path} cannot be read: {reason}.") from None

    @classmethod
    def _checked(cls, arrays: dict[str, Any]) -> "Answers":
        task = str(arrays["task"])
        if task not in TASKS:
            raise ValueError(f"the task is {task!r}")
        names = tuple(map(str, arrays["names"].tolist()))
        given, truth, samples = arrays["given"], arrays["truth"], arrays["samples"]
        count = len(samples)
        wanted = (count,) if task == "classify" else (count, len(names))
        thresholds = tuple(map(float, arrays["thresholds"].tolist()))
        fits = (
            (given.dtype, given.shape) == (np.float32, (count, len(names)))
            and (truth.dtype, truth.shape) == (_TRUTH[task], wanted)
            and (samples.dtype, samples.shape) == (np.int64, (count,))
            and len(thresholds) == (len(names) if task == "multilabel" else 0)
            and (task != "classify" or not count or 0 <= truth.min() <= truth.max() < len(names))
        )
        if not fits:
            raise ValueError("its parts do not fit together")
        return cls(task, names, given, truth, samples, str(arrays["split"]), str(arrays["data"]), thresholds)
