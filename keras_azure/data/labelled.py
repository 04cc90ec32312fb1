"""Which samples a data set of encoded images has: their keys, labels and splits, before any image is decoded."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np

from keras_azure.data.formats.layout import ClassFolders
from keras_azure.data.formats.split_names import said_of_splits
from keras_azure.data.splits import hold_out, hold_out_test
from keras_azure.errors import DataError

Key = Any  # by which an image is opened: a path, or a number
Keys = Sequence[Key] | np.ndarray


@dataclass(frozen=True)
class Labelled:
    """The samples of each split.

    Attributes:
        class_names: a label is an index into them.
        splits: for each split the keys of its images and their labels, int64 (N,).
        notes: what was left out, and how names were understood; a line each.
        origins: where the splits come from, as a phrase; empty if there is nothing to say.
        is_labelled: whether the classes say what is in the images.
        task: what the labels are for; where it is not "classify", they are vectors, (N, labels or numbers), and
            class_names the names of their places.
        groups: for each split the number of each image's group, int64 (N,); none where there are no groups.
        weights: for each split what each image counts in the loss, float32 (N,); none where all count the same.
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, tuple[Keys, np.ndarray]]
    notes: tuple[str, ...] = ()
    origins: str = ""
    is_labelled: bool = True
    task: Literal["classify", "multilabel", "regress"] = "classify"
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    weights: Mapping[str, np.ndarray] = field(default_factory=dict)

    def with_test(self, share: float, source: str) -> "Labelled":
        """With a share of the training images to test on, where there are no test images.

        Raises:
            DataError: no class has two images, or there are no two groups.
        """
        if "test" in self.splits:
            return self
        keys, labels = self.splits["train"]
        notes: tuple[str, ...] = ()
        if self.task == "classify" and not self.groups:
            train, test, notes = hold_out_test(labels, self.class_names, share, source)
        else:
            train, test = hold_out(labels, self.groups.get("train"), share, source)
        parts = {"train": train, "test": test}
        return replace(
            self,
            splits={**self.splits, **{split: (_chosen(keys, of), labels[of]) for split, of in parts.items()}},
            notes=(*self.notes, *notes),
            groups=_divided(self.groups, parts),
            weights=_divided(self.weights, parts),
        )


class Found(Protocol):
    """What may be the images of a data set: none has been opened.

    Attributes:
        keys: of all of them.
        notes: as in `Labelled`.
    """

    @property
    def keys(self) -> Keys: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def without(self, left_out: Set[Key]) -> Labelled:
        """
        Raises:
            DataError: what is left is nothing to train a classifier on.
        """
        ...


class FoundInFolders:
    """Images whose classes and splits are folders."""

    def __init__(self, folders: ClassFolders) -> None:
        self._folders = folders
        self.keys = folders.paths
        self.notes = folders.notes

    def without(self, left_out: Set[Key]) -> Labelled:
        kept = self._folders.only(set(self.keys) - left_out) if left_out else self._folders
        class_names = tuple(sorted(kept.splits["train"]))
        number = {name: label for label, name in enumerate(class_names)}
        splits = {}
        for split, classes in kept.splits.items():
            samples = sorted((path, number[name]) for name, found in classes.items() for path in found)
            splits[split] = [path for path, _ in samples], np.array([label for _, label in samples], np.int64)
        return Labelled(class_names, splits, kept.notes, kept.origins, kept.is_labelled)


class FoundWithLabels:
    """Images each of which has its label beside it."""

    def __init__(
        self,
        class_names: tuple[str, ...],
        splits: Mapping[str, tuple[np.ndarray, np.ndarray]],
        source: str,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._class_names = class_names
        self._splits = splits
        self._source = source
        self.keys = np.concatenate([keys for keys, _ in splits.values()])
        self.notes = notes

    def without(self, left_out: Set[Key]) -> Labelled:
        splits = {}
        for split, (keys, labels) in self._splits.items():
            kept = np.array([key not in left_out for key in keys.tolist()], bool)
            if kept.any():
                splits[split] = keys[kept], labels[kept]
        trained = len(np.unique(splits["train"][1])) if "train" in splits else 0
        if trained < 2:
            raise DataError(
                f"There are training images of {trained} classes in {self._source}.", expected="two classes or more"
            )
        return Labelled(self._class_names, splits, (), "; ".join(said_of_splits(splits)))


def _divided(columns: Mapping[str, np.ndarray], parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A column of all splits, of which that of "train" becomes parts."""
    return {**columns, **{split: columns["train"][of] for split, of in parts.items()}} if columns else {}


def _chosen(keys: Keys, indices: np.ndarray) -> Keys:
    return keys[indices] if isinstance(keys, np.ndarray) else [keys[index] for index in indices]
