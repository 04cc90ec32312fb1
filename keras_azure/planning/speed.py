"""How long a step takes: on a GPU by its peaks and what trainings are known to reach of them, here by trying.

A step on a GPU takes at least what its operations take at the speed of its arithmetic, its tensors at the speed of its
memory, and its kernels at the speed at which a processor starts them, whichever is longest (the roofline: Williams,
Waterman, Patterson, https://doi.org/10.1145/1498765.1498785).

The shares of the arithmetic's peak are those that NVIDIA's trainings of ResNet-50 reach with TensorFlow and XLA, down
to half of them: on one V100 of 32 GB 432 images/s in float32 and 1,300 in mixed precision, on one A100 909 in TF32 and
2,375 in mixed precision, which with 22.9 GFLOP for each picture is 0.63, 0.24, 0.13 and 0.17 of the peaks.
https://github.com/NVIDIA/DeepLearningExamples/tree/master/TensorFlow/Classification/ConvNets/resnet50v1.5
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import keras
import numpy as np

from keras_azure.backends.machine import Machine
from keras_azure.engines import steps_of
from keras_azure.planning.cost import Range
from keras_azure.planning.work import Phase

Bound = Literal["compute", "memory", "launch", "input", "this machine"]

_SHARE_OF_FLOAT32 = Range(0.3, 0.65)
_SHARE_OF_TENSOR_CORES = Range(0.08, 0.25)
_SHARE_OF_TRAFFIC = Range(0.3, 1.0)  # that XLA leaves when it fuses elementwise operations, up to all of it
_SECONDS_A_KERNEL = Range(3e-6, 10e-6)
_SHARE_OF_A_CORE = Range(0.5, 1.4)  # what a node's vCPU, half a core of another kind, does of one of this machine's
_TRIED_SECONDS = 3.0


@dataclass(frozen=True)
class StepTime:
    """Seconds that a step takes, and what they go to where they are most."""

    seconds: Range
    bound: Bound


def gpu_step(phase: Phase, machine: Machine, precision: str) -> StepTime | None:
    """A step of a phase on one GPU of a machine; None if its speed is not known."""
    peak = _peak(machine, precision)
    if peak is None or machine.memory_bandwidth_gbps is None:
        return None
    part = min(1.0, float(machine.gpu_count or 1))  # of a GPU that machines share
    operations = phase.operations_per_picture * phase.batch_size
    moved = phase.memory.step.moved(phase.batch_size)
    kernels = phase.memory.step.kernels
    bandwidth = machine.memory_bandwidth_gbps * 1e9 * part
    times: dict[Bound, Range] = {
        "compute": Range(operations / (peak.high * part), operations / (peak.low * part)),
        "memory": _SHARE_OF_TRAFFIC * (moved / bandwidth),
        "launch": _SECONDS_A_KERNEL * kernels,
    }
    return longest(times)


def input_time(core_seconds: float, machine: Machine) -> Range | None:
    """Seconds that all processors of a machine take for what keeps one core of this one at work for so long.

    None if it is not known how many it has.
    """
    if machine.here:
        here = core_seconds / (os.cpu_count() or 1)
        return Range(here, here)
    if machine.cores is None:
        return None
    on_node = core_seconds / machine.cores
    return Range(on_node / _SHARE_OF_A_CORE.high, on_node / _SHARE_OF_A_CORE.low)


def longest(times: Mapping[Bound, Range]) -> StepTime:
    """A step of which several things go on at the same time."""
    low, high = (max(getattr(each, end) for each in times.values()) for end in ("low", "high"))
    return StepTime(Range(low, high), max(times, key=lambda name: times[name].high))


def step_here(phase: Phase) -> StepTime:
    """Tries some steps of a phase on this machine, with random pictures."""
    rng = np.random.default_rng(0)
    shape = (phase.batch_size, *phase.model.input_shape[1:])
    inputs = rng.integers(0, 256, shape).astype("float32")
    if phase.kind == "train":
        targets = rng.random((phase.batch_size, *phase.model.output_shape[1:]), np.float32)
        steps, batch = steps_of(phase.model), keras.tree.map_structure(keras.ops.convert_to_tensor, (inputs, targets))
        measured = _seconds(lambda: steps.repeat(batch, 1))
        steps.synchronize()
    else:
        measured = _seconds(lambda: phase.model.predict_on_batch(inputs))
    return StepTime(measured, "this machine")


def _seconds(step: Callable[[], object]) -> Range:
    step()  # compiles
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 2 or time.perf_counter() - begun < _TRIED_SECONDS:
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return Range(float(np.min(times)), float(np.quantile(times, 0.9)))


def _peak(machine: Machine, precision: str) -> Range | None:
    """Operations a second that the whole GPU reaches, from the lowest to the highest estimate."""
    float32 = _SHARE_OF_FLOAT32 * (machine.fp32_tflops * 1e12) if machine.fp32_tflops else None
    tensor = _SHARE_OF_TENSOR_CORES * (machine.tensor_tflops * 1e12) if machine.tensor_tflops else None
    if precision == "float32":
        return _better(float32, _SHARE_OF_TENSOR_CORES * (machine.tf32_tflops * 1e12) if machine.tf32_tflops else None)
    return _better(float32, tensor)  # GPUs without tensor cores compute half precision as fast as float32, or slower


def _better(one: Range | None, other: Range | None) -> Range | None:
    if one is None or other is None:
        return one or other
    return Range(max(one.low, other.low), max(one.high, other.high))
