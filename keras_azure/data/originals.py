"""The images of a data set as they are stored, each in its own size, and whether or not all of them can be read."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from keras_azure.data import Dataset
from keras_azure.data.locate import shadowed
from keras_azure.data.overview import known_labels
from keras_azure.description.events import Observer
from keras_azure.registry.registry import DATASETS, as_spec
from keras_azure.registry.specs import Spec


class Original(NamedTuple):
    """An image as it is stored, but upright.

    Attributes:
        pixels: uint8 (height, width, channels), 0..255, with 1 or 3 channels.
        label: what the data set says of it.
        mode: what the file has, in words: "gray", "colour", "colour, transparent".
    """

    pixels: np.ndarray
    label: Any
    mode: str


class Originals(Protocol):
    """All that may be the images of a data set.

    Attributes:
        class_names: a label is an index into them.
        split_sizes: how many images there are in each split, those included that cannot be read.
        description: what data this is, as a phrase.
        task: what labels are: "classify" where each is one class.
        is_labelled: whether the classes say what is in the images.
    """

    class_names: tuple[str, ...]
    split_sizes: dict[str, int]
    description: str
    task: str
    is_labelled: bool

    def labels(self, split: str) -> np.ndarray | None:
        """Of all images of a split, int64 (N,); None where they are known only when the images are read."""
        ...

    def place(self, split: str, index: int) -> str:
        """Where an image is within the data: "train/cat/b.png"."""
        ...

    def read(self, split: str, index: int) -> Original:
        """
        Raises:
            UnreadableFile: it cannot be read.
        """
        ...


def open_originals(spec: str | Spec, observer: Observer) -> Originals:
    """The images of the data set that a spec names.

    Raises:
        UsageError: there is no such data set, or it does not take these options.
        DataError: it is no data set, whatever its images are.
    """
    dataset = DATASETS.build(spec)
    if note := shadowed(as_spec(spec)):
        observer.message(note)
    return originals_of(dataset, observer)


def originals_of(dataset: Any, observer: Observer) -> Originals:
    """Those of a data set that is not prepared yet; one that has nothing else to give gives what training reads."""
    if hasattr(dataset, "originals"):
        found: Originals = dataset.originals(observer)
        return found
    if hasattr(dataset, "prepare"):
        dataset.prepare(observer)
    return as_read(dataset)


def as_read(dataset: Dataset) -> Originals:
    """The images of a data set that is ready, as training reads them."""
    return _AsRead(
        tuple(dataset.class_names),
        dict(dataset.split_sizes),
        dataset.description,
        getattr(dataset, "task", "classify"),
        dataset,
    )


@dataclass
class _AsRead:
    class_names: tuple[str, ...]
    split_sizes: dict[str, int]
    description: str
    task: str
    dataset: Dataset
    is_labelled: bool = True

    def labels(self, split: str) -> np.ndarray | None:
        return known_labels(self.dataset, split)

    def place(self, split: str, index: int) -> str:
        return f"{split} {index}"

    def read(self, split: str, index: int) -> Original:
        pixels, label = self.dataset.read(split, index)
        return Original(np.asarray(pixels), label, "gray" if pixels.shape[-1] == 1 else "colour")
