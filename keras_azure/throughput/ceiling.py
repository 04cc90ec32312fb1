"""The most that tf.data can bring to a model: batches of pictures in memory, cast to float32, and nothing else."""

import numpy as np
import tensorflow as tf

_MOST_BYTES = 1 << 26  # of pictures that are made up for it


def plain_batches(images: np.ndarray, one_hot: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """Full batches in order, without end.

    Args:
        images: uint8 (n, height, width, channels).
        one_hot: float32 (n, classes).

    Returns:
        Batches of float32 (batch, height, width, channels) and (batch, classes).
    """
    samples = tf.data.Dataset.from_tensor_slices((images, one_hot)).repeat()
    stream = samples.batch(batch_size, drop_remainder=True, num_parallel_calls=tf.data.AUTOTUNE)

    def cast(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(images, tf.float32), labels

    return stream.map(cast, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def ceiling(image_shape: tuple[int, int, int], num_classes: int, batch_size: int) -> tf.data.Dataset:
    """`plain_batches` of noise in that form; no time depends on what pictures show."""
    rng = np.random.default_rng(0)
    count = max(batch_size, _MOST_BYTES // int(np.prod(image_shape)))
    count = -(-count // batch_size) * batch_size
    images = rng.integers(0, 256, (count, *image_shape), np.uint8)
    return plain_batches(images, np.eye(num_classes, dtype=np.float32)[np.arange(count) % num_classes], batch_size)
