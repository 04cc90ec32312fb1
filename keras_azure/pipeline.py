"""From a data set to batches for the model: one function, `batches`, that reads in the order in which the data flows.

The shuffle is a permutation of indices (a small block cipher on the position, `RandomIndexShuffle` in TensorFlow, under
a random key for each epoch), so that it is global, needs no buffer, and gives any position of any epoch at once. A
sample's place and its augmentation depend on `(seed, epoch, sample index)` alone: threads, prefetching and the point of
a resume change nothing.
"""

import math
import operator
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import psutil
import tensorflow as tf

from keras_azure.augmentations import Augment
from keras_azure.augmentations.draws import threefry
from keras_azure.augmentations.kernels import aligned_empty
from keras_azure.datasets import Dataset
from keras_azure.datasets.memory import require_memory
from keras_azure.datasets.threads import map_in_threads
from keras_azure.errors import BrokenPlugin, DataError, KerasAzureError, UnreadableFile
from keras_azure.observers import Observer
from keras_azure.store import can_store, open_stored
from keras_azure.streams import Streams

Cache = Literal["auto", "memory", "disk", "none"]

SHARE_OF_MEMORY = 0.5  # a split may take so much of what is free
BYTES_AT_ONCE = 1 << 21  # of pictures that are made in one call
_MOST_STEPS_AT_ONCE = 32
_BYTES_AHEAD = 8 * BYTES_AT_ONCE  # of batches that wait for the model
_STEPS_AHEAD = (2, 32)
_as_it_is = tf.autograph.experimental.do_not_convert
_SHUFFLE_STREAM = 0xFFFF  # which no augmentation has
_SHUFFLE_ROUNDS = 8  # TensorFlow's 4 let the order of some keys be told from chance


@dataclass
class Source:
    """One split of a data set, ready to be read in a TensorFlow graph.

    Attributes:
        read: indices (batch,) int64 -> pictures (batch, height, width, channels) uint8 and labels (batch,) int64.
        read_labels: indices (batch,) int64 -> labels (batch,) int64, where the pictures are decoded.
        pictures: all pictures, decoded, uint8 (size, height, width, channels), in memory or mapped from the disk; None
            where they are decoded each time.
        failure: the error of a picture that could not be read while training went on. TensorFlow reports such an
            error as text of its own; this is the original.
        streams: to be closed before streams of batches are let go of that are not at their end.
    """

    size: int
    image_shape: tuple[int, int, int]
    num_classes: int
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    read_labels: Callable[[tf.Tensor], tf.Tensor] | None = None
    pictures: np.ndarray | None = None
    failure: Exception | None = None
    streams: Streams = field(default_factory=Streams)


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
    if hasattr(dataset, "arrays"):
        return held_source(*_checked_arrays(dataset, split), len(dataset.class_names))
    needed = dataset.split_sizes[split] * int(np.prod(dataset.image_shape))
    if cache == "memory":
        require_memory(needed, f"The split {split!r}, decoded,", hint="--cache disk, or --cache none")
    if cache == "memory" or (cache == "auto" and needed <= SHARE_OF_MEMORY * psutil.virtual_memory().available):
        size = dataset.split_sizes[split]
        pictures, labels = aligned_empty((size, *dataset.image_shape)), np.empty(size, np.int64)
        _read_all(dataset, split, pictures, labels, observer)
        # The tensor is the array's own memory: a copy would need as much again, and its time.
        shared = tf.experimental.dlpack.from_dlpack(pictures.__dlpack__())
        return held_source(shared, labels, len(dataset.class_names))
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


def labels_of(source: Source, samples: np.ndarray) -> np.ndarray:
    """The labels of some samples, int64 (n,). Where nothing is decoded yet, all these pictures are for it."""
    if source.read_labels is not None:
        return source.read_labels(tf.constant(samples, tf.int64)).numpy()
    return np.concatenate([np.argmax(labels, axis=1) for _, labels in batches(source, samples, batch_size=32)])


def held_source(values: np.ndarray | tf.Tensor, labels: np.ndarray, num_classes: int) -> Source:
    """A source of anything that is in memory, such as features, float32 (size, n); labels are int64 (size,)."""
    with tf.device("cpu:0"):  # a whole split would not fit on a GPU, and is gathered from by the host
        values, labels = tf.convert_to_tensor(values), tf.convert_to_tensor(labels)

    def gather(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.gather(values, indices), gather_labels(indices)

    def gather_labels(indices: tf.Tensor) -> tf.Tensor:
        return tf.gather(labels, indices)

    # A view of the tensor's own memory, for what takes pictures without TensorFlow.
    view = np.asarray(memoryview(values))
    return Source(len(labels), tuple(values.shape[1:]), num_classes, gather, gather_labels, view)


def steps_in_epoch(size: int, batch_size: int) -> int:
    return -(-size // batch_size)


def batches(
    source: Source,
    samples: np.ndarray,
    *,
    batch_size: int,
    seed: int | None = None,
    endless: bool = False,
    first_step: int = 0,
    steps: int | None = None,
    augment: Augment | None = None,
    augment_on: Literal["host", "device"] = "host",
    class_weights: np.ndarray | None = None,
    targets: Literal["labels", "pictures"] = "labels",
) -> tf.data.Dataset:
    """Batches of pictures (batch, height, width, channels), 0..255, and one-hot labels (batch, num_classes) float32.

    Args:
        source: where the samples are read.
        samples: the indices of the samples to use, (n,).
        seed: shuffles each epoch in another order; None keeps the order of `samples`.
        endless: batches are always full and run over the end of the data into the next round, instead of ending each
            epoch with what is left.
        first_step: the step to begin with, counted over all epochs; nothing before it is computed.
        steps: how many steps to give; one epoch by default.
        augment: changes pictures and labels by the draws of each sample.
        augment_on: "device" gives what `DeviceAugment` needs in place of the pictures: `images` and `parameters`.
        class_weights: float32 (num_classes,); adds a weight (batch,) for each sample, after its label.
        targets: "pictures" gives, in place of the labels, the pictures themselves, float32 in 0..1.
    """
    steps = steps_in_epoch(len(samples), batch_size) if steps is None else steps
    order = _Order(samples, batch_size, seed, endless, first_step, steps)

    def read(steps: tf.Tensor) -> tuple[Any, ...]:
        """The pictures and labels, and perhaps weights, of some steps, one behind the other."""
        epoch, indices = order.samples(steps[0], steps[-1] + 1)
        if augment is not None and augment_on == "device":
            images, labels = augment.split(source, seed or 0, epoch, indices, samples)
        elif augment is not None:
            images, labels = augment.on_host(source, seed or 0, epoch, indices, samples)
        else:
            images, labels = source.read(indices)  # (samples, height, width, channels) uint8, (samples,)
            images = tf.ensure_shape(images, (None, *source.image_shape))
            labels = tf.one_hot(labels, source.num_classes)
        if targets == "pictures":
            return images, tf.cast(images, tf.float32) / 255
        if class_weights is not None:
            return images, labels, tf.linalg.matvec(labels, class_weights)  # of mixed labels, the mean
        return images, labels

    def read_apart(steps: tf.Tensor) -> tuple[tuple[Any, ...], tf.Tensor, tf.Tensor]:
        """The same, and where each step begins and ends in it."""
        starts, ends = (order.first_sample(each) - order.first_sample(steps[0]) for each in (steps, steps + 1))
        return read(steps), starts, ends

    at_once = steps_at_once(batch_size, source.image_shape)
    make = read if at_once == 1 else read_apart
    if augment is None:  # another package's augmentation may need AutoGraph; we do not, and it takes half a second
        make = _as_it_is(make)
    numbers = source.streams.stoppable(tf.data.Dataset.range(first_step, first_step + steps).batch(at_once))
    made = numbers.map(make, num_parallel_calls=os.cpu_count(), deterministic=True)
    made = made if at_once == 1 else made.flat_map(_as_it_is(_by_step))
    # Without tuning, for which each stream would have a thread more, whose end takes TensorFlow up to seconds.
    options = tf.data.Options()
    options.autotune.enabled = False
    return source.streams.kept(made.prefetch(_steps_ahead(batch_size, source.image_shape)).with_options(options))


def samples_of_step(samples: np.ndarray, step: int, *, batch_size: int, seed: int, endless: bool) -> np.ndarray:
    """The indices, (batch,), of what `batches` gives in a step, counted over all epochs."""
    order = _Order(samples, batch_size, seed, endless, step, 1)
    return order.samples(tf.constant(step, tf.int64), tf.constant(step + 1, tf.int64))[1].numpy()


class _Order:
    """Which samples each of `steps` steps has; the arguments are as in `batches`."""

    def __init__(
        self, samples: np.ndarray, batch_size: int, seed: int | None, endless: bool, first_step: int, steps: int
    ):
        self._samples = tf.constant(samples, tf.int64)
        self._count = len(samples)
        self._batch_size = batch_size
        self._endless = endless
        self._steps_per_epoch = steps_in_epoch(self._count, batch_size)
        self._first_epoch = self.first_sample(first_step) // self._count
        self._keys = None
        if seed is not None:
            epochs = np.arange(self._first_epoch, self.first_sample(first_step + steps) // self._count + 1)
            self._keys = tf.constant(_shuffle_keys(seed, epochs))

    def first_sample(self, step: tf.Tensor | int) -> tf.Tensor | int:
        """Where a step begins in the samples, counted over all epochs."""
        if self._endless:
            return step * self._batch_size
        return step // self._steps_per_epoch * self._count + step % self._steps_per_epoch * self._batch_size

    def samples(self, first_step: tf.Tensor, last_step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The epoch and the index, int64 (samples,), of each sample from a step up to before another."""
        counted = tf.range(self.first_sample(first_step), self.first_sample(last_step))
        epoch, position = counted // self._count, counted % self._count
        return epoch, tf.gather(self._samples, self._shuffled(epoch, position))

    def _shuffled(self, epoch: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        if self._keys is None:
            return position
        # The raw operation: tf.random.experimental.index_shuffle pads a list of seeds along the wrong axis (2.21).
        return tf.raw_ops.RandomIndexShuffle(
            index=position,
            seed=tf.gather(self._keys, epoch - self._first_epoch),
            max_index=tf.constant(self._count - 1, tf.int64),
            rounds=_SHUFFLE_ROUNDS,
        )


def _shuffle_keys(seed: int, epochs: np.ndarray) -> np.ndarray:
    """The first three random words of each epoch's shuffle, uint32 (epochs, 3): those of `draws.words`, without Numba,
    which takes longer to load than to compute them."""
    key = (np.uint32([seed]), epochs.astype(np.uint32))
    blocks = [threefry(key, (np.uint32([0]), np.uint32([(_SHUFFLE_STREAM << 16) + block]))) for block in range(2)]
    return np.stack([*blocks[0], *blocks[1]], axis=1)[:, :3]


def steps_at_once(batch_size: int, image_shape: tuple[int, int, int]) -> int:
    """How many batches are made in one go, by each thread: of small pictures several, or calls would cost more than
    pixels."""
    return min(max(1, BYTES_AT_ONCE // (batch_size * math.prod(image_shape))), _MOST_STEPS_AT_ONCE)


def _steps_ahead(batch_size: int, image_shape: tuple[int, int, int]) -> int:
    """How many batches are kept ready."""
    least, most = _STEPS_AHEAD
    return min(max(least, _BYTES_AHEAD // (batch_size * math.prod(image_shape))), most)


def _by_step(samples: tuple[Any, ...], starts: tf.Tensor, ends: tf.Tensor) -> tf.data.Dataset:
    @_as_it_is
    def batch(start: tf.Tensor, end: tf.Tensor) -> tuple[Any, ...]:
        return tf.nest.map_structure(lambda values: values[start:end], samples)

    return tf.data.Dataset.from_tensor_slices((starts, ends)).map(batch)


def _stored_source(dataset: Dataset, split: str, observer: Observer) -> Source:
    if not hasattr(dataset, "fingerprint"):
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

    for done, _ in enumerate(map_in_threads(read, range(size), os.cpu_count()), start=1):
        observer.advance(f"Reading {split} pictures", done, size)


def _reader(dataset: Dataset, split: str) -> Callable[[int], tuple[np.ndarray, int]]:
    """`dataset.read` of a split, which gives what the contract says or raises an error that names the sample."""
    shape, num_classes = tuple(dataset.image_shape), len(dataset.class_names)

    def read(index: int) -> tuple[np.ndarray, int]:
        try:
            picture, label = dataset.read(split, index)
            label = operator.index(label)
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
        if not 0 <= label < num_classes:
            raise _no_class(dataset, split, index, label)
        return picture, label

    return read


def _checked_arrays(dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
    """`dataset.arrays(split)`, looked at as `_reader` does with each sample."""
    size, num_classes = dataset.split_sizes[split], len(dataset.class_names)
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
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != (size,):
        raise BrokenPlugin(
            f"The labels of the split {split!r} of {dataset.description} are {_described(labels)}.",
            expected=f"int64 ({size},), one for each picture",
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
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


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"of type {value.dtype} and shape {value.shape}"
    return f"no array but of type {type(value).__name__}"


def _source(dataset: Dataset, split: str, *reading: Any) -> Source:
    return Source(dataset.split_sizes[split], dataset.image_shape, len(dataset.class_names), *reading)


def _streaming_source(dataset: Dataset, split: str) -> Source:
    pool, read_sample = ThreadPoolExecutor(os.cpu_count()), _reader(dataset, split)

    def read_many(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        try:
            pictures, labels = zip(*pool.map(read_sample, indices.tolist()), strict=True)
        except KerasAzureError as error:
            source.failure = error
            raise
        return np.stack(pictures), np.array(labels, np.int64)

    def read(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pictures, labels = tf.numpy_function(read_many, [indices], (tf.uint8, tf.int64))
        return pictures, tf.ensure_shape(labels, (None,))

    source = _source(dataset, split, read)
    return source
