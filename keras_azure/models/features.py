"""The outputs of a frozen network, computed once for all epochs."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np

from keras_azure.data import FingerprintedDataset, task_of_data
from keras_azure.data.label_forms import LabelForm
from keras_azure.description.events import Observer

BATCH_SIZE = 32  # pictures that features are computed of at once
Stream = Callable[[], Iterable[tuple[Any, Any]]]  # gives pictures (batch, height, width, channels), and targets


def compute_features(
    network: keras.Model, stream: Stream, pictures: int, form: LabelForm, observer: Observer, check: Callable[[], None]
) -> tuple[np.ndarray, np.ndarray]:
    """What the network gives for each of a stream of pictures, and their labels.

    Args:
        pictures: how many there will be.
        form: of their labels.
        check: called between batches; raises what ends the work.

    Returns:
        float32 (pictures, num_features), which holds all of half precision too, and labels of the form.
    """
    features, labels = np.empty((pictures, network.output_shape[-1]), np.float32), form.empty(pictures)
    done = 0
    for images, targets, *_ in stream():
        # NumPy in between: tf.data gives TensorFlow's tensors, which no other engine takes.
        end = done + len(images)
        features[done:end] = np.asarray(network.predict_on_batch(np.asarray(images)))
        labels[done:end] = form.from_targets(np.asarray(targets))
        done = end
        observer.advance("Computing features", done, pictures)
        check()
    return features, labels


def stored_features(
    network: keras.Model,
    dataset: FingerprintedDataset,
    split: str,
    stream: Stream,
    observer: Observer,
    check: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray]:
    """As `compute_features` of all pictures of a split, from the store on the disk if they are there; else put there.

    Raises:
        DataError: the store has no room for them.
    """
    from keras_azure.data.store import open_stored  # here, as plugins of models import this module, and need no store

    stored, form = _Stored(network, dataset), LabelForm.of(dataset)

    def fill(contents: np.ndarray, labels: np.ndarray) -> None:
        features, labels[:] = compute_features(network, stream, len(labels), form, observer, check)
        contents[:] = features.view(np.uint8).reshape(contents.shape)

    contents, labels = open_stored(stored, split, fill, observer)
    return np.asarray(contents).view(np.float32).reshape(len(labels), -1), labels


def can_store_features(network: keras.Model, dataset: FingerprintedDataset, split: str) -> bool:
    """Whether the store has room for the features of a split."""
    from keras_azure.data.store import can_store

    return can_store(_Stored(network, dataset), split)


class _Stored:
    """The features of a data set in the form in which the store keeps pictures: as bytes."""

    def __init__(self, network: keras.Model, dataset: FingerprintedDataset):
        self._network, self._dataset = network, dataset
        self.task, self.class_names = task_of_data(dataset), dataset.class_names
        self.split_sizes = dataset.split_sizes
        self.image_shape = (1, 1, network.output_shape[-1] * np.dtype(np.float32).itemsize)
        self.description = f"features of {dataset.description}"

    def fingerprint(self, split: str, observer: Observer) -> str:
        """Of the pictures, the network's weights, and what it makes of some pictures, which tells of all else."""
        content = hashlib.blake2b(self._dataset.fingerprint(split, observer).encode(), digest_size=16)
        for weight in self._network.weights:
            content.update(np.ascontiguousarray(weight).data)
        pixels = np.random.default_rng(0).integers(0, 256, (2, *self._network.input_shape[1:]))
        vectors = self._network.predict_on_batch(pixels.astype(np.float32))
        content.update(np.ascontiguousarray(vectors, np.float32).data)
        return content.hexdigest()
