"""The images that a run was tested on, for as long as its data can be read."""

import os
from collections.abc import Sequence

import numpy as np

from keras_azure.data import Dataset, open_dataset
from keras_azure.data.threads import map_in_threads
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError
from keras_azure.evaluation.answers import Answers


def data_of(config: RunConfig, observer: Observer) -> tuple[Dataset | None, str]:
    """The data of a run, or why it is not there, in a sentence."""
    try:
        return open_dataset(config.data_to_open, observer), ""
    except KerasAzureError as error:
        return None, f"There are no images: the data cannot be read any more: {error.problem}"


class TestedImages:
    """The images of the test, by their places in the answers.

    Args:
        dataset: which the run read, or None.
        answers: what the model said of the images.

    Attributes:
        problem: why images are missing, in one sentence; empty where none is.
    """

    def __init__(self, dataset: Dataset | None, answers: Answers, problem: str = "") -> None:
        self._dataset = dataset
        self._answers = answers
        self.problem = problem

    def read(self, places: Sequence[int]) -> list[np.ndarray | None]:
        """Images, uint8 (height, width, channels); None for one that is not there, or another one by now."""
        if self._dataset is None:
            return [None] * len(places)
        return [*map_in_threads(self._read, [*map(int, places)], min(len(places), os.cpu_count() or 1) or 1)]

    def _read(self, place: int) -> np.ndarray | None:
        assert self._dataset is not None
        try:
            pixels, label = self._dataset.read(self._answers.split, int(self._answers.samples[place]))
        except (KerasAzureError, IndexError) as error:
            self.problem = f"Images of the test cannot be read any more: {error}".splitlines()[0]
            return None
        if not np.array_equal(np.asarray(label), self._answers.truth[place]):
            self.problem = "Images are left out: the data is not what the run was tested on any more."
            return None
        return pixels
