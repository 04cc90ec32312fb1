"""Streams that are left half way: the process that did so ends."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_azure.data.streams import Streams

LEFT = """
import time
import numpy as np, tensorflow as tf
from keras_azure.data.streams import Streams

def slow(step):
    time.sleep(0.01)
    return step

streams = Streams()
steps = streams.stoppable(tf.data.Dataset.range(1_000_000))
numbers = steps.map(lambda step: tf.numpy_function(slow, [step], tf.int64), num_parallel_calls=2)
stream = streams.kept(numbers.prefetch(2))
iterator = iter(stream)
next(iterator)
try:
    raise RuntimeError("left half way")
finally:
    streams.close()
"""


def test_a_process_that_leaves_a_stream_half_way_ends():
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=600)
    assert done.returncode == 1
    assert "left half way" in done.stderr


@pytest.fixture
def stream():
    streams = Streams()
    steps = streams.stoppable(tf.data.Dataset.range(1000)).prefetch(4)
    return streams, streams.kept(steps)


def test_a_stream_is_what_it_was(stream):
    _, numbers = stream
    assert [int(number) for number in numbers] == [*range(1000)]
    assert isinstance(numbers, tf.data.Dataset)


def test_closing_ends_every_iterator(stream):
    streams, numbers = stream
    iterators = [iter(numbers) for _ in range(3)]
    assert int(next(iterators[0])) == 0
    streams.close()
    for iterator in iterators:
        with pytest.raises(StopIteration):
            next(iterator)
    streams.close()  # again: nothing is left to do


def test_a_failure_in_a_stream_does_not_stop_its_closing():
    streams = Streams()

    def fail(step: np.ndarray) -> np.ndarray:
        raise ValueError("no good")

    steps = streams.stoppable(tf.data.Dataset.range(100))
    failing = streams.kept(steps.map(lambda step: tf.numpy_function(fail, [step], tf.int64), num_parallel_calls=2))
    iterator = iter(failing)
    with pytest.raises(tf.errors.OpError, match="no good"):
        next(iterator)
    streams.close()
