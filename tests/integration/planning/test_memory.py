"""Planned memory: exact where it can be counted, and beside what TensorFlow really allocates."""

import os
import platform
import subprocess

import pytest

from keras_azure.planning.memory import chapter_rule

PARAMETERS = 409_034  # of cnn on 28x28x1


def test_the_chapters_rule_gives_the_chapters_figures():
    assert chapter_rule(PARAMETERS, 16) == pytest.approx(52.6e6, rel=0.01)
    assert chapter_rule(PARAMETERS, 1, training=False) == pytest.approx(1.63e6, rel=0.01)
    # ResNet-152: 60 million parameters, 240 MB, and at most a batch of 24 on a card of 12 GB
    assert chapter_rule(60_000_000, 1, training=False) == 240e6
    assert chapter_rule(60_000_000, 24) < 12e9 < chapter_rule(60_000_000, 26)
    assert chapter_rule(PARAMETERS, 16, bytes_per_number=2) == chapter_rule(PARAMETERS, 16) / 2


def test_weights_and_what_the_optimizer_keeps_are_exact(work):
    memory = work("cnn").training.memory
    scalars = 64  # bytes of counters, the learning rate and the metrics, at most
    assert PARAMETERS * 4 <= memory.weights <= PARAMETERS * 4 + scalars
    assert 2 * PARAMETERS * 4 <= memory.optimizer <= 2 * PARAMETERS * 4 + scalars
    assert work("cnn", optimizer="sgd").training.memory.optimizer <= scalars


def test_the_parts_sum_up(work):
    planned = work("cnn").training.memory.at(64)
    parts = (planned.weights, planned.optimizer, planned.gradients, planned.activations, planned.workspace)
    assert planned.total == sum(parts)
    assert min(parts) > 0


def test_half_precision_halves_the_activations(work):
    full, half = (work("cnn", precision=precision).training.memory for precision in ("float32", "mixed_float16"))
    assert 0.45 < half.at(1024).activations / full.at(1024).activations < 0.65
    assert half.weights == full.weights


def test_frozen_layers_need_neither_gradients_nor_state_nor_activations(work):
    options = {"shape": (64, 64, 3), "cache": "none", "batch_size": 64}
    frozen = work("resnet50(weights='none', trainable_blocks=0)", **options).training.memory
    full = work("resnet50(weights='none')", **options).training.memory
    assert frozen.weights == pytest.approx(full.weights, rel=0.01)
    assert frozen.optimizer < 0.05 * full.optimizer
    assert frozen.at(64).gradients < 0.1 * full.at(8).gradients
    assert frozen.at(64).total < 0.3 * full.at(64).total


_STEP = """
import os, sys
import tensorflow as tf
tf.config.threading.set_inter_op_parallelism_threads(1)
import numpy as np
from keras_azure.description.config import RunConfig
from keras_azure.engines import steps_of
from keras_azure.training.compiling import build_model, build_optimizer, compile_model
from keras_azure.training.data import DataFacts

config = RunConfig(model="cnn")
model = build_model(config, DataFacts((28, 28, 1), tuple("0123456789"), 1, 1, 1))
compile_model(model, config, "cpu:0", build_optimizer(config, 1e-3, 1))
steps = steps_of(model)

def train(batch, times=1):
    images = tf.zeros((batch, 28, 28, 1), tf.uint8)
    steps.repeat((images, tf.one_hot(tf.range(batch) % 10, 10)), times)
"""


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1024])
def test_it_is_what_tensorflow_allocates(work, in_a_process, batch_size, tmp_path):
    """The bytes that operations ask TensorFlow's allocator for, by its own profiler, within a tenth."""
    code = """
import glob
from tensorflow.tsl.profiler.protobuf import xplane_pb2

batch, folder = int(sys.argv[1]), sys.argv[2]
train(batch, 2)
tf.profiler.experimental.start(folder, tf.profiler.experimental.ProfilerOptions(host_tracer_level=2))
train(batch)
tf.profiler.experimental.stop()
space = xplane_pb2.XSpace()
[path] = glob.glob(folder + "/**/*.xplane.pb", recursive=True)
space.ParseFromString(open(path, "rb").read())
events = []
for plane in space.planes:
    for line in plane.lines:
        for event in line.events:
            name = plane.event_metadata[event.metadata_id].name
            if name in ("MemoryAllocation", "MemoryDeallocation"):
                found = {plane.stat_metadata[each.metadata_id].name: each for each in event.stats}
                address = found["addr"]
                address = getattr(address, address.WhichOneof("value"))
                size = found["requested_bytes"]
                size = getattr(size, size.WhichOneof("value"))
                events.append((line.timestamp_ns * 1000 + event.offset_ps, name, address, size))
living, held, most = {}, 0, 0
for _, name, address, size in sorted(events):
    if name == "MemoryAllocation":
        living[address] = size
        held += size
    else:
        held -= living.pop(address, 0)
    most = max(most, held)
print(most)
"""
    allocated = int(in_a_process(code, str(batch_size), str(tmp_path)).splitlines()[-1])
    memory = work("cnn").training.memory
    planned = memory.at(batch_size).total
    batch = batch_size * (28 * 28 + 10 * 4)  # is there before the step begins
    measured = allocated + memory.weights + memory.optimizer
    assert planned == pytest.approx(measured, rel=0.1)
    rule = chapter_rule(PARAMETERS, batch_size)
    assert abs(planned - measured) < 0.01 * abs(rule - measured)
    assert batch < 0.1 * measured


@pytest.mark.slow
@pytest.mark.parametrize("limit", [256 << 20])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="elsewhere TensorFlow's allocator knows no limit")
def test_the_largest_batch_is_right_to_a_power_of_two(work, in_a_process, limit):
    """Half of it runs in a process whose allocator may give out so much memory, and twice of it does not."""
    largest = work("cnn").training.memory.largest_batch(limit)
    code = """
try:
    train(int(sys.argv[1]))
except tf.errors.ResourceExhaustedError:
    print("too much")
else:
    print("enough")
"""
    limited = {"TF_MKL_ALLOC_MAX_BYTES": str(limit)}
    assert in_a_process(code, str(largest // 2), **limited).splitlines()[-1] == "enough"
    assert in_a_process(code, str(largest * 2), **limited).splitlines()[-1] == "too much"


@pytest.fixture
def in_a_process(loaded_python):
    def run(code: str, *arguments: str, **variables: str) -> str:
        command = [*loaded_python, "-c", _STEP + code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run
