"""What Keras offers for the recipe `chapter`: the chapter's ImageDataGenerator, and layers in `Dataset.map`."""

import contextlib
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf
from keras.src.legacy.preprocessing.image import ImageDataGenerator

from benchmarks.pictures import Pictures
from benchmarks.rounds import Batches

_ALL = tf.data.AUTOTUNE


def chapter_generator() -> ImageDataGenerator:
    return ImageDataGenerator(
        rotation_range=20, width_shift_range=0.2, height_shift_range=0.2, horizontal_flip=True, fill_mode="nearest"
    )


@contextlib.contextmanager
def image_data_generator(pictures: Pictures) -> Iterator[Batches]:
    """The chapter's own."""
    yield chapter_generator().flow(pictures.images, pictures.one_hot, batch_size=pictures.batch_size)


@contextlib.contextmanager
def shuffle_buffer(pictures: Pictures) -> Iterator[Batches]:
    """No augmentation, as the TensorFlow guides show it: a buffer of the whole data set, then batches."""
    samples = tf.data.Dataset.from_tensor_slices((pictures.images, pictures.one_hot)).shuffle(len(pictures)).repeat()
    yield iter(samples.batch(pictures.batch_size).prefetch(_ALL))


@contextlib.contextmanager
def layers_on_single_images(pictures: Pictures) -> Iterator[Batches]:
    augment = _layers()
    samples = tf.data.Dataset.from_tensor_slices((pictures.images, pictures.one_hot)).shuffle(len(pictures)).repeat()
    yield iter(samples.map(augment, num_parallel_calls=_ALL).batch(pictures.batch_size).prefetch(_ALL))


@contextlib.contextmanager
def layers_on_batches(pictures: Pictures) -> Iterator[Batches]:
    """Shuffles indices and gathers whole batches, so that a buffer of single pictures does not hold the layers up."""
    augment = _layers()
    with tf.device("cpu:0"):
        images, labels = tf.constant(pictures.images), tf.constant(pictures.one_hot)

    def read(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augment(tf.gather(images, indices), tf.gather(labels, indices))

    indices = tf.data.Dataset.range(len(pictures)).shuffle(len(pictures)).repeat().batch(pictures.batch_size)
    yield iter(indices.map(read, num_parallel_calls=_ALL).prefetch(_ALL))


def _layers() -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    recipe = [
        keras.layers.RandomFlip("horizontal"),
        keras.layers.RandomRotation(20 / 360, fill_mode="nearest"),
        keras.layers.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
    ]

    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for layer in recipe:
            images = layer(images, training=True)
        return images, labels

    return augment
