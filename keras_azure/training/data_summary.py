"""What metrics.json says of a run's data, so that it is known when the data is not there any more."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_azure.data import task_of_data
from keras_azure.description.events import Observer
from keras_azure.pipeline import labels_of
from keras_azure.redaction import redacted
from keras_azure.training.data import Part, RunData


class Noted(Observer):
    """Keeps what is told of data, and passes it on."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.notes: list[str] = []

    def message(self, text: str) -> None:
        self.notes.append(text)
        self._observer.message(text)

    def advance(self, activity: str, done: int, total: int) -> None:
        self._observer.advance(activity, done, total)


def summary(data: RunData, notes: Sequence[str]) -> dict[str, Any]:
    """What is known of a run's data, JSON-safe.

    Args:
        notes: what was told of it when it was opened.

    Returns:
        `description`, `notes`, `image_shape`, how many `images` there are to train, to validate and to test on, and
        `counts`: of these how many have each class or label, where that is known without decoding an image.
    """
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    counts = {name: _counts(part, len(data.dataset.class_names)) for name, part in parts.items()}
    return {
        "description": redacted(data.dataset.description),
        "notes": [redacted(note) for note in notes if note != data.dataset.description],
        "image_shape": list(data.facts.image_shape),
        "images": {name: len(part) for name, part in parts.items()},
        "counts": {
            name: found
            for name, found in counts.items()
            if found is not None and task_of_data(data.dataset) != "regress"
        },
    }


def _counts(part: Part, names: int) -> list[int] | None:
    if part.source.read_labels is None:
        return None
    labels = labels_of(part.source, part.samples)
    found: list[int] = (np.bincount(labels, minlength=names) if labels.ndim == 1 else labels.sum(axis=0)).tolist()
    return found
