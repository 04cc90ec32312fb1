"""What variables hold at one moment, while training goes on."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def hold_values(variables: Sequence[keras.Variable]) -> list[Any]:
    """What variables hold now, whatever the next steps make of them: arrays, or what `memoryview` reads as such.

    On a CPU TensorFlow gives its own memory away, and the next step that changes a variable writes elsewhere. On a GPU
    that would take its memory twice, and JAX gives it to the next step: there it is copied at once.
    """
    values = [variable.value for variable in variables]
    if keras.backend.backend() != "tensorflow":
        return [np.array(value) for value in values]
    import tensorflow as tf

    # The operation itself: `read_value` also prepares for gradients, which takes three times as long.
    tensors = [tf.raw_ops.ReadVariableOp(resource=value.handle, dtype=value.dtype) for value in values]
    return [tensor if tensor.device.endswith("CPU:0") else np.asarray(memoryview(tensor)) for tensor in tensors]
