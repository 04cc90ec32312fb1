"""From a data set to batches for the model: one function, `batches`, that reads in the order in which the data flows.

The shuffle is a permutation of indices (a small block cipher on the position, `RandomIndexShuffle` in TensorFlow, under
a random key for each epoch), so that it is global, needs no buffer, and gives any position of any epoch at once. A
sample's place and its augmentation depend on `(seed, epoch, sample index)` alone: threads, prefetching and the point of
a resume change nothing.
"""

import math
import os
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from keras_azure.augmentations import Augment
from keras_azure.augmentations.draws import threefry
from keras_azure.data.label_forms import Scaling
from keras_azure.data.source import Source

BYTES_AT_ONCE = 1 << 21  # of pictures that are made in one call
_MOST_STEPS_AT_ONCE = 32
_BYTES_AHEAD = 8 * BYTES_AT_ONCE  # of batches that wait for the model
_STEPS_AHEAD = (2, 32)
_as_it_is = tf.autograph.experimental.do_not_convert
_SHUFFLE_STREAM = 0xFFFF  # which no augmentation has
_SHUFFLE_ROUNDS = 8  # TensorFlow's 4 let the order of some keys be told from chance


def labels_of(source: Source, samples: np.ndarray) -> np.ndarray:
    """The labels of some samples, int64 (n,), or (n, k) where they are vectors. Where nothing is decoded yet, all these
    pictures are for it."""
    if source.read_labels is not None:
        return source.read_labels(tf.constant(samples, tf.int64)).numpy()
    found = [source.form.from_targets(targets.numpy()) for _, targets in batches(source, samples, batch_size=32)]
    return np.concatenate(found)


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
    weights: np.ndarray | None = None,
    scaling: Scaling | None = None,
    targets: Literal["labels", "pictures"] = "labels",
) -> tf.data.Dataset:
    """Batches of pictures (batch, height, width, channels), 0..255, and what a model is to give, (batch, n) float32:
    one-hot classes, 0 or 1 for each label, or numbers.

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
        weights: float32 (source.size,); the same, and multiplied with those of classes.
        scaling: of the numbers to give.
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
            labels = source.targets(labels)
        if targets == "pictures":
            return images, tf.cast(images, tf.float32) / 255
        counts = None if weights is None else tf.gather(weights, indices)
        if class_weights is not None:
            of_classes = tf.linalg.matvec(labels, class_weights)  # of mixed labels, the mean
            counts = of_classes if counts is None else of_classes * counts
        if scaling is not None:
            labels = scaling.apply(labels)
        return (images, labels) if counts is None else (images, labels, counts)

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
    key = (np.array([seed], np.uint32), epochs.astype(np.uint32))
    counters = [np.array([[0], [(_SHUFFLE_STREAM << 16) + block]], np.uint32) for block in range(2)]
    blocks = [threefry(key, (high, low)) for high, low in counters]
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
