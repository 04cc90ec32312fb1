"""What a report shows of images: those of the test, where the model looks, and what an autoencoder gave back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_azure.data import Dataset
from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError
from keras_azure.models.kinds import Model, kind_of
from keras_azure.reporting.finished import FinishedRun
from keras_azure.reporting.maps import Explain, explanation_of, no_maps
from keras_azure.reporting.tested_images import TestedImages
from keras_azure.training.evaluation import SHOWN

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Pictures:
    """
    Attributes:
        images: of the test; None of an autoencoder.
        explain: where the model looks.
        came_back: test images, and what the autoencoder made of them, uint8 (height, width, channels).
        missing: why there are none.
    """

    images: TestedImages | None = None
    explain: Explain = no_maps
    came_back: Sequence[Pair] = ()
    missing: str = ""

    @property
    def problem(self) -> str:
        """Why images are missing, in a sentence, as far as that is known by now; empty where none is."""
        return self.images.problem if self.images else self.missing


def pictures_of(
    run: FinishedRun,
    dataset: Dataset | None,
    model: Model | None,
    problem: str = "",
    observer: Observer | None = None,
) -> Pictures:
    """
    Args:
        dataset: which the run was tested on, or None.
        model: of the run, or None.
        problem: why one of them is not there, in a sentence.
        observer: hears how far explanations are.
    """
    if run.answers is not None:
        explain = no_maps if model is None else explanation_of(model, observer)
        return Pictures(TestedImages(dataset, run.answers, problem), explain)
    if dataset is None or model is None:
        return Pictures(missing=problem)
    try:
        return Pictures(came_back=_came_back(dataset, model))
    except KerasAzureError as error:
        return Pictures(missing=f"Images of the test cannot be read any more: {error.problem}")


def _came_back(dataset: Dataset, model: Model) -> list[Pair]:
    kind = kind_of(model)
    assert kind is not None, "of a finished run"
    count = min(SHOWN, dataset.split_sizes["test"])
    images = [dataset.read("test", index)[0] for index in range(count)]
    given = kind.predict(model, np.stack(images).astype(np.float32))
    back = (given.clip(0, 1) * 255).round().astype(np.uint8)
    return [*zip(images, back, strict=True)]
