"""What of a machine's memory is left for training."""

import psutil

from keras_azure.backends.machine import Machine

# TensorFlow leaves the driver and others this share of a GPU's memory, and not less than so many bytes
# (MinSystemMemory in tensorflow/core/common_runtime/gpu/gpu_device.cc).
_RESERVED_SHARE = 0.05
_RESERVED_BYTES = 300 << 20


def usable_memory(machine: Machine) -> int | None:
    """Bytes that training may have: of one GPU, or what is free in this machine; None if that is not known."""
    if machine.here:
        return int(psutil.virtual_memory().available)
    if machine.gpu_memory_gb is None:
        return None
    total = int(machine.gpu_memory_gb * 1e9)
    return total - max(_RESERVED_BYTES, int(_RESERVED_SHARE * total))
