"""The reader of arrays and of `tf.data.Dataset`s that are given in Python, see `given.py`."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_azure.data import TaskChoice
from keras_azure.data.array_like import as_dataset
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.given import Samples, Streamed
from keras_azure.data.memory import require_memory
from keras_azure.data.sizes import ResizedDataset
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

_INFINITE = -1  # tf.data.INFINITE_CARDINALITY
_NOTE_EVERY = 64  # elements between two notes of progress


def given_arrays(
    splits: Mapping[str, Samples],
    image_size: tuple[int, int] | None,
    test_split: float,
    task: TaskChoice,
    observer: Observer,
) -> ArrayDataset | ResizedDataset:
    """Reads what `given.GivenArrays` describes."""
    arrays = {
        split: samples if isinstance(samples, tuple) else _read(samples, split, observer)
        for split, samples in splits.items()
    }
    names = {split: (f"the images to {split}", f"the labels to {split}") for split in splits}
    return as_dataset(arrays, "arrays", names, observer, image_size=image_size, test_split=test_split, task=task)


def _read(stream: Streamed, split: str, observer: Observer) -> tuple[np.ndarray, np.ndarray]:
    """All images and labels of a `tf.data.Dataset`."""
    if int(stream.cardinality()) == _INFINITE:
        raise DataError(f"The tf.data.Dataset to {split} never ends.", expected="one without repeat()")
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for done, element in enumerate(_elements(stream, split), start=1):
        image, label = element
        if done == 1:
            batched = _is_batched(image, label)
        images.append(image if batched else image[np.newaxis])
        labels.append(label if batched else label[np.newaxis])
        if done % _NOTE_EVERY == 0:
            require_memory(image.nbytes * _NOTE_EVERY, f"The tf.data.Dataset to {split}")
            observer.advance(f"Reading the tf.data.Dataset to {split}", done, done)
    if not images:
        raise DataError(f"The tf.data.Dataset to {split} is empty.")
    shapes = {image.shape[1:] for image in images}
    if len(shapes) > 1:
        first, second = itertools.islice(sorted(shapes), 2)
        raise DataError(
            f"The images of the tf.data.Dataset to {split} differ in shape, such as {first} and {second}.",
            expected="one shape: dataset.map(lambda image, label: (tf.image.resize(image, (64, 64)), label))",
        )
    return np.concatenate(images), np.concatenate(labels)


def _elements(stream: Streamed, split: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Its elements as arrays."""
    try:
        for element in stream.as_numpy_iterator():
            if not isinstance(element, tuple) or len(element) != 2:
                raise _wrong(split, f"elements of {_kind(element)}")
            image, label = map(np.asarray, element)
            if image.ndim not in (2, 3, 4) or image.ndim - label.ndim not in (1, 2, 3):
                raise _wrong(split, f"images {image.shape} and labels {label.shape}")
            yield image, label
    except DataError:
        raise
    except Exception as error:  # whatever the functions in it raise
        first = next(iter(str(error).splitlines()), "")
        raise DataError(
            f"The tf.data.Dataset to {split} cannot be read: {type(error).__name__}: {first}",
            hint="what fails in it fails outside, too: list(dataset.as_numpy_iterator())",
        ) from error


def _is_batched(image: np.ndarray, label: np.ndarray) -> bool:
    """Whether an element has many samples: one image is (height, width) or (height, width, channels), and one label a
    number, a text, or one-hot."""
    if image.ndim == 3 and label.ndim == 1:  # one image and its one-hot label, or gray images without channels
        return image.shape[-1] not in (1, 3) and len(image) == len(label)
    return image.ndim == 4 or label.ndim == 2


def _kind(element: Any) -> str:
    return f"{len(element)} parts" if isinstance(element, tuple) else f"type {type(element).__name__}"


def _wrong(split: str, found: str) -> DataError:
    return DataError(
        f"The tf.data.Dataset to {split} has {found}.", expected="(image, label), batched or not, without weights"
    )
