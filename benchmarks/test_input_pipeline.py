"""How fast pictures that are held in memory reach the model, beside what else a user would write for it.

    pytest benchmarks

Each round takes an epoch of shuffled batches through to the end; a first epoch before the rounds is not counted.
"""

import numpy as np
import pytest
import tensorflow as tf

from keras_azure.datasets import ArrayDataset
from keras_azure.observers import Observer
from keras_azure.pipeline import batches, open_source

PICTURES, CLASSES = 16_384, 10


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Pictures (N, 28, 28, 1) uint8 and labels (N,)."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (PICTURES, 28, 28, 1), np.uint8), np.arange(PICTURES) % CLASSES


def ours(arrays: tuple[np.ndarray, np.ndarray], batch_size: int) -> tf.data.Dataset:
    dataset = ArrayDataset([str(label) for label in range(CLASSES)], {"train": arrays, "test": arrays}, "random")
    source = open_source(dataset, "train", Observer())
    return batches(source, np.arange(PICTURES), batch_size=batch_size, seed=0)


def shuffle_buffer(arrays: tuple[np.ndarray, np.ndarray], batch_size: int) -> tf.data.Dataset:
    """What the TensorFlow guides show: a buffer of the whole data set, then batches."""
    samples = tf.data.Dataset.from_tensor_slices(arrays).shuffle(PICTURES, seed=0)
    one_hot = samples.map(lambda image, label: (image, tf.one_hot(label, CLASSES)), num_parallel_calls=tf.data.AUTOTUNE)
    return one_hot.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def ceiling(arrays: tuple[np.ndarray, np.ndarray], batch_size: int) -> tf.data.Dataset:
    """Batches in order, and nothing else: slices of one array."""
    images, labels = tf.constant(arrays[0]), tf.one_hot(arrays[1], CLASSES)
    starts = tf.data.Dataset.range(0, PICTURES, batch_size)
    return starts.map(lambda start: (images[start : start + batch_size], labels[start : start + batch_size])).prefetch(
        tf.data.AUTOTUNE
    )


@pytest.mark.parametrize("batch_size", [16, 128])
@pytest.mark.parametrize("pipeline", [ours, shuffle_buffer, ceiling])
def test_images_per_second(benchmark, arrays, pipeline, batch_size):
    stream = pipeline(arrays, batch_size)

    def epoch() -> int:
        return sum(len(labels) for _, labels in stream)

    benchmark.group = f"28x28x1, batches of {batch_size}"
    count = benchmark.pedantic(epoch, rounds=5, warmup_rounds=1)
    assert count == PICTURES
    benchmark.extra_info["images_per_second"] = round(PICTURES / benchmark.stats["median"])
