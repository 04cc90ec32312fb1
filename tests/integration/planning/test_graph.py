"""What is held at each operation, against graphs that can be followed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_azure.planning.graph import BATCH_SIZE, profile

PICTURE = tf.TensorSpec((BATCH_SIZE, 100), "float32")  # 400 bytes a picture


def test_elementwise_operations_work_in_place():
    held = profile(lambda x: tf.nn.relu(x * 2.0 + 1.0), PICTURE).most(10)
    assert (held.fixed, held.forward, held.backward) == (0, 2 * 10 * 400, 0)  # the caller's, and one that is reused


def test_what_is_still_needed_is_not_written_into():
    def function(x):
        doubled = x * 2.0
        return doubled + tf.nn.relu(doubled) * 3.0

    assert profile(function, PICTURE).most(1).forward == 3 * 400


def test_reshapes_cost_nothing():
    held = profile(lambda x: tf.reshape(x * 2.0, (-1, 10, 10)) + 1.0, PICTURE).most(1)
    assert held.forward == 2 * 400


def test_what_nobody_asks_for_is_left_out():
    def function(x):
        tf.matmul(x, x, transpose_a=True)
        return x * 2.0

    assert profile(function, PICTURE).kernels == 1


def test_gradients_and_what_they_need():
    weights = tf.Variable(tf.zeros((100, 50)))

    def function(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(tf.nn.relu(tf.matmul(x, weights))))
        weights.assign_sub(tape.gradient(loss, weights))

    found = profile(function, PICTURE)
    held = found.most(1000)
    assert held.forward == 1000 * (400 + 200)  # the batch, and the activations that both gradients need
    assert held.backward >= 1000 * 200
    assert found.most(1).fixed == pytest.approx(100 * 50 * 4, abs=100)  # one gradient by the weights, and some scalars


def test_the_largest_batch_is_the_last_that_fits():
    weights = tf.Variable(tf.zeros((100, 300)))
    found = profile(lambda x: tf.matmul(tf.matmul(x, weights), weights, transpose_b=True), PICTURE)
    for room in (0, 1_000, 123_456, 10_000_000):
        largest = found.largest_batch(room)
        assert largest == 0 or found.most(largest).total <= room
        assert found.most(largest + 1).total > room


def test_moved_bytes_are_those_of_all_inputs_and_outputs():
    weights = tf.Variable(tf.zeros((100, 50)))
    found = profile(lambda x: tf.matmul(x, weights), PICTURE)
    assert (found.moved_fixed, found.moved_per_picture) == (100 * 50 * 4, 400 + 200)
    assert found.moved(7) == 100 * 50 * 4 + 7 * 600
    assert np.array_equal(found.fixed, [0])
