"""One split of a data set, ready to be read: in memory, mapped from the disk, or decoded anew each time."""

import operator
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import psutil
import tensorflow as tf

from keras_azure.data import Dataset, HeldDataset, has_fingerprint, is_held
from keras_azure.data.label_forms import Label, LabelForm
from keras_azure.data.memory import aligned_empty, require_memory
from keras_azure.data.overview import known_labels
from keras_azure.data.store import can_store, open_stored
from keras_azure.data.streams import Streams
from keras_azure.data.threads import map_in_threads
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, DataError, KerasAzureError, UnreadableFile

Cache = Literal["auto", "memory", "disk", "none"]

SHARE_OF_MEMORY = 0.5  # a split may take so much of what is free


@dataclass
class Source:
    """One split of a data set, ready to be read in a TensorFlow graph.

    Attributes:
        form: of the labels.
        read: indices (batch,) int64 -> pictures (batch, height, width, channels) uint8 and labels (batch,) int64, or
            (batch, n) where a label is a vector.
        read_labels: indices (batch,) int64 -> labels, where they are known without decoding.
        pictures: all pictures, decoded, uint8 (size, height, width, channels), in memory or mapped from the disk; None
            where they are decoded each time.
        failure: the error of a picture that could not be read while training went on. TensorFlow reports such an
            error as text of its own; this is the original.
        streams: to be closed before streams of batches are let go of that are not at their end.
    """

    size: int
    image_shape: tuple[int, int, int]
    form: LabelForm
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    read_labels: Callable[[tf.Tensor], tf.Tensor] | None = None
    pictures: np.ndarray | None = None
    failure: Exception | None = None
    streams: Streams = field(default_factory=Streams)

    def targets(self, labels: tf.Tensor) -> tf.Tensor:
        """What a model is to give for images of these labels, float32 (batch, n): a class is one-hot."""
        return tf.cast(labels, tf.float32) if self.form.shape else tf.one_hot(labels, self.form.count)


def open_source(dataset: Dataset, split: str, observer: Observer, cache: Cache = "auto") -> Source:
    """Decodes a split once, or not before its pictures are needed.

    Args:
        cache: "memory" holds the decoded pictures there, "disk" in a store that later runs find again, "none" decodes
            each picture each time; "auto" is the first of these that there is room for. A data set that is in memory
            anyway stays there.

    Raises:
        DataError: a picture cannot be read, a label is of no class, or there is no room where the cache is asked for.
        BrokenPlugin: the data set gives something else than its contract says.
    """
    if is_held(dataset):
        return held_source(*_checked_arrays(dataset, split), LabelForm.of(dataset))
    needed = dataset.split_sizes[split] * int(np.prod(dataset.image_shape))
    if cache == "memory":
        require_memory(needed, f"The split {split!r}, decoded,", hint="--cache disk, or --cache none")
    if cache == "memory" or (cache == "auto" and needed <= SHARE_OF_MEMORY * psutil.virtual_memory().available):
        size = dataset.split_sizes[split]
        pictures, labels = aligned_empty((size, *dataset.image_shape)), LabelForm.of(dataset).empty(size)
        _read_all(dataset, split, pictures, labels, observer)
        # The tensor is the array's own memory: a copy would need as much again, and its time.
        shared = tf.experimental.dlpack.from_dlpack(pictures.__dlpack__())
        return held_source(shared, labels, LabelForm.of(dataset))
    if cache == "disk" or (cache == "auto" and can_store(dataset, split)):
        try:
            return _stored_source(dataset, split, observer)
        except UnreadableFile:
            raise
        except DataError as error:
            if cache == "disk":
                raise
            observer.message(f"Pictures are decoded in each epoch: {error.problem}")  # the room went to another run
    return _streaming_source(dataset, split)


def held_source(values: np.ndarray | tf.Tensor, labels: np.ndarray, form: LabelForm) -> Source:
    """A source of anything that is in memory, such as features, float32 (size, n); labels are of the form."""
    with tf.device("cpu:0"):  # a whole split would not fit on a GPU, and is gathered from by the host
        values, labels = tf.convert_to_tensor(values), tf.convert_to_tensor(labels)

    def gather(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(values, indices), gather_labels(indices)

    def gather_labels(indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(labels, indices)

    # A view of the tensor's own memory, for what takes pictures without TensorFlow.
    view = np.asarray(memoryview(values))
    return Source(len(labels), tuple(values.shape[1:]), form, gather, gather_labels, view)


def _stored_source(dataset: Dataset, split: str, observer: Observer) -> Source:
    if not has_fingerprint(dataset):
        raise DataError(
            f"The pictures of {dataset.description} cannot be kept on the disk: the data set does not tell what is in "
            "it, so that a change would go unnoticed.",
            hint="--cache memory, or --cache none",
        )
    fill = partial(_read_all, dataset, split, observer=observer)
    pictures, stored_labels = open_stored(dataset, split, fill, observer)
    labels = tf.convert_to_tensor(stored_labels)

    def read(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.numpy_function(lambda chosen: pictures[chosen], [indices], tf.uint8, stateful=False)
        return images, read_labels(indices)

    def read_labels(indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(labels, indices)

    return _source(dataset, split, read, read_labels, pictures)


def _read_all(dataset: Dataset, split: str, pictures: np.ndarray, labels: np.ndarray, observer: Observer) -> None:
    """Fills the arrays with the samples of a split, in the order of their indices."""
    size, read_sample = len(labels), _reader(dataset, split)

    def read(index: int) -> None:
        pictures[index], labels[index] = read_sample(index)

    for done, _ in enumerate(map_in_threads(read, range(size), os.cpu_count() or 1), start=1):
        observer.advance(f"Reading {split} pictures", done, size)


def _reader(dataset: Dataset, split: str) -> Callable[[int], tuple[np.ndarray, Label]]:
    """`dataset.read` of a split, which gives what the contract says or raises an error that names the sample."""
    shape, form = tuple(dataset.image_shape), LabelForm.of(dataset)

    def read(index: int) -> tuple[np.ndarray, Label]:
        try:
            picture, given = dataset.read(split, index)
            index_of_class = 0 if form.shape else operator.index(given)
        except KerasAzureError:
            raise
        except MemoryError as error:
            raise DataError(
                f"There is not enough memory to read the sample {index} of the split {split!r}: {error}.",
                hint="a smaller --batch-size or --image-size, or a machine with more memory",
            ) from error
        except Exception as error:  # a plugin may raise anything
            raise BrokenPlugin(
                f"The sample {index} of the split {split!r} of {dataset.description} cannot be read: "
                f"{type(error).__name__}: {error}.",
                expected="read(split, index) that gives a picture and a label, a whole number",
            ) from error
        # Neither would be noticed later: a label of no class is a row of zeros, and an array takes what can be spread.
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape != shape:
            raise BrokenPlugin(
                f"The picture {index} of the split {split!r} of {dataset.description} is {_described(picture)}.",
                expected=f"uint8 {shape}, as its image_shape says",
            )
        if form.shape:
            try:
                return picture, form.vectors(given)
            except ValueError as error:
                raise BrokenPlugin(
                    f"The label of the sample {index} of the split {split!r} of {dataset.description} is {error}.",
                    expected=form.in_words,
                ) from error
        if not 0 <= index_of_class < form.count:
            raise _no_class(dataset, split, index, index_of_class)
        return picture, index_of_class

    return read


def _checked_arrays(dataset: HeldDataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """`dataset.arrays(split)`, looked at as `_reader` does with each sample."""
    size, form = dataset.split_sizes[split], LabelForm.of(dataset)
    try:
        pictures, labels = map(np.asarray, dataset.arrays(split))
    except KerasAzureError:
        raise
    except Exception as error:
        raise BrokenPlugin(
            f"The arrays of the split {split!r} of {dataset.description} cannot be read: {type(error).__name__}: "
            f"{error}.",
            expected="arrays(split) that gives pictures and labels",
        ) from error
    shape = (size, *dataset.image_shape)
    if pictures.dtype != np.uint8 or pictures.shape != shape:
        raise BrokenPlugin(
            f"The pictures of the split {split!r} of {dataset.description} are {_described(pictures)}.",
            expected=f"uint8 {shape}, as its split_sizes and image_shape say",
        )
    if form.shape:
        try:
            return pictures, form.vectors(labels, size)
        except ValueError as error:
            raise BrokenPlugin(
                f"The labels of the split {split!r} of {dataset.description} are {error}.",
                expected=f"for each image {form.in_words}",
            ) from error
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (size,):
        raise BrokenPlugin(
            f"The labels of the split {split!r} of {dataset.description} are {_described(labels)}.",
            expected=f"int64 ({size},), one for each picture",
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= form.count))
    if len(wrong):
        raise _no_class(dataset, split, wrong[0], labels[wrong[0]])
    return pictures, labels.astype(np.int64, copy=False)


def _no_class(dataset: Dataset, split: str, index: int, label: int) -> DataError:
    num_classes = len(dataset.class_names)
    return DataError(
        f"The sample {index} of the split {split!r} of {dataset.description} has the label {label}, and there are "
        f"{num_classes} classes.",
        expected=f"0 to {num_classes - 1}",
    )


def _described(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"of type {value.dtype} and shape {value.shape}"
    return f"no array but of type {type(value).__name__}"


def _source(
    dataset: Dataset,
    split: str,
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    read_labels: Callable[[tf.Tensor], tf.Tensor] | None = None,
    pictures: np.ndarray | None = None,
) -> Source:
    size, form = dataset.split_sizes[split], LabelForm.of(dataset)
    return Source(size, dataset.image_shape, form, read, read_labels, pictures)


def _streaming_source(dataset: Dataset, split: str) -> Source:
    pool, read_sample, form = ThreadPoolExecutor(os.cpu_count()), _reader(dataset, split), LabelForm.of(dataset)

    def read_many(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            pictures, labels = zip(*pool.map(read_sample, indices.tolist()), strict=True)
        except KerasAzureError as error:
            source.failure = error
            raise
        return np.stack(pictures), np.array(labels, form.dtype)

    def read(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pictures, labels = tf.numpy_function(read_many, [indices], (tf.uint8, tf.as_dtype(form.dtype)))
        return pictures, tf.ensure_shape(labels, (None, *form.shape))

    source = _source(dataset, split, read, _labels_reader(known_labels(dataset, split)))
    return source


def _labels_reader(known: np.ndarray | None) -> Callable[[tf.Tensor], tf.Tensor] | None:
    if known is None:
        return None
    with tf.device("cpu:0"):
        labels = tf.convert_to_tensor(known)
    return lambda indices: tf.gather(labels, indices)
