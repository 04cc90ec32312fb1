"""One pass through all images: each is read once, measured, and given to whoever wants its pixels too."""

import os
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from keras_azure.checking.measures import Measures, measure
from keras_azure.data.formats.options import SPLITS
from keras_azure.data.memory import require_memory
from keras_azure.data.originals import Original, Originals
from keras_azure.data.threads import map_in_threads
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

UNKNOWN = -1  # the label of an image that has no single class, or that could not be read
_BYTES_OF_AN_IMAGE = 8_000  # that are needed for each, most of it for how it fits on others


class Also(Protocol):
    """Who wants the pixels of all images, too."""

    def take(self, image: Original) -> np.ndarray:
        """What of an image; threads ask at the same time."""
        ...

    def keep(self, number: int, taken: np.ndarray) -> None:
        """Takes it, in the order of the images."""
        ...


@dataclass(frozen=True)
class Looked:
    """All images of a data set, numbered through its splits.

    Attributes:
        originals: the data set.
        places: split and index of each image.
        labels: int64 (N,), `UNKNOWN` where there is no single class.
        measures: of each image; None of one that cannot be read.
        modes: what the files have, in words; empty where they cannot be read.
        problems: why an image cannot be read, by its number.
    """

    originals: Originals
    places: list[tuple[str, int]]
    labels: np.ndarray
    measures: list[Measures | None]
    modes: list[str]
    problems: dict[int, str]

    def place(self, number: int) -> str:
        """Where an image is within the data, for people."""
        return self.originals.place(*self.places[number])

    def split(self, number: int) -> str:
        return self.places[number][0]

    @property
    def readable(self) -> list[int]:
        """The numbers of the images that can be read."""
        return [number for number, found in enumerate(self.measures) if found is not None]


def look(originals: Originals, observer: Observer, also: Also | None = None) -> Looked:
    """Reads and measures all images, in threads.

    Args:
        also: gets what it wants of each image, in the same pass.

    Raises:
        DataError: the data set has no image that can be read.
    """
    splits = [split for split in SPLITS if split in originals.split_sizes]
    places = [(split, index) for split in splits for index in range(originals.split_sizes[split])]
    require_memory(len(places) * _BYTES_OF_AN_IMAGE, f"What is measured of {originals.description}")
    single = originals.task == "classify"
    known = [originals.labels(split) if single else None for split in splits]
    labels = np.concatenate(
        [
            np.full(originals.split_sizes[split], UNKNOWN) if found is None else found
            for split, found in zip(splits, known, strict=True)
        ]
    ).astype(np.int64)

    def work(place: tuple[str, int]) -> tuple[Measures, str, object, np.ndarray | None] | str:
        try:
            image = originals.read(*place)
        except UnreadableFile as error:
            return error.problem
        return measure(image.pixels), image.mode, image.label, None if also is None else also.take(image)

    found = Looked(originals, places, labels, [], [], {})
    for number, outcome in enumerate(map_in_threads(work, places, os.cpu_count() or 1)):
        if isinstance(outcome, str):
            found.problems[number] = outcome
            found.measures.append(None)
            found.modes.append("")
        else:
            measures, mode, label, taken = outcome
            found.measures.append(measures)
            found.modes.append(mode)
            if single:
                labels[number] = int(label)  # type: ignore[call-overload]  # of one class it is a number
            if also is not None and taken is not None:
                also.keep(number, taken)
        observer.advance("Looking at images", number + 1, len(places))
    if not found.readable:
        raise DataError(f"No image of {originals.description} can be read.", hint="kaz data check of other data")
    return found
