"""Our pipeline, and the ceiling: the same batches with nothing done to them."""

import contextlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from benchmarks.pictures import CLASSES, Pictures
from benchmarks.rounds import Batches
from keras_azure.augmentations import build_augment
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.source import open_source
from keras_azure.description.events import Observer
from keras_azure.pipeline import batches
from keras_azure.throughput.ceiling import plain_batches

_STEPS = 1 << 20  # of a stream that does not end; it makes a key for each epoch


@contextlib.contextmanager
def ours(pictures: Pictures, recipe: tuple[str, ...] = ("chapter",), *, cast: bool = False) -> Iterator[Batches]:
    """As `kaz run` reads: pictures uint8, which the model casts where it computes; or cast to float32 on the host."""
    arrays = pictures.images, pictures.labels
    dataset = ArrayDataset([str(label) for label in range(CLASSES)], {"train": arrays, "test": arrays}, "random")
    source = open_source(dataset, "train", Observer())
    augment = build_augment(recipe, dataset.image_shape, CLASSES)
    samples = np.arange(len(pictures))
    stream = batches(source, samples, batch_size=pictures.batch_size, seed=0, steps=_STEPS, augment=augment)
    with contextlib.closing(source.streams):
        yield iter(_cast(stream) if cast else stream)


@contextlib.contextmanager
def ceiling(pictures: Pictures) -> Iterator[Batches]:
    """Batch and cast: what tf.data needs to bring pictures from an array to the model, in order, as float32."""
    yield iter(plain_batches(pictures.images, pictures.one_hot, pictures.batch_size))


@contextlib.contextmanager
def slices(pictures: Pictures, *, cast: bool = True) -> Iterator[Batches]:
    """Slices of one array in order, cast to float32, or as they are: a higher ceiling, without a sample in it."""
    with tf.device("cpu:0"):
        images, labels = tf.constant(pictures.images), tf.constant(pictures.one_hot)

    def read(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return images[start : start + pictures.batch_size], labels[start : start + pictures.batch_size]

    starts = tf.data.Dataset.range(0, len(pictures), pictures.batch_size).repeat()
    if not cast:
        yield iter(starts.map(read).prefetch(tf.data.AUTOTUNE))
        return

    def read_and_cast(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels, one_hot = read(start)
        return tf.cast(pixels, tf.float32), one_hot

    yield iter(starts.map(read_and_cast, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE))


def _cast(stream: tf.data.Dataset) -> tf.data.Dataset:
    def cast(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(images, tf.float32), labels

    return stream.map(cast, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
