"""Where the arithmetic runs, and what only the engine knows of it: its devices, their memory, when they are done.

Each engine is imported when it is the one in use, so that JAX needs no TensorFlow.
"""

import contextlib
import resource
import sys
from collections.abc import Iterator
from typing import Any, Literal

import keras
import numpy as np

from keras_azure.errors import DeviceError

Device = Literal["auto", "cpu", "gpu"]


@contextlib.contextmanager
def on_device(device: Device) -> Iterator[str]:
    """Runs the body on the first device of that kind; `auto` prefers a GPU. Gives its name, such as "gpu:0".

    Raises:
        DeviceError: "gpu" was asked for and there is none.
    """
    kind = device if device != "auto" else ("gpu" if has_gpu() else "cpu")
    if kind == "gpu" and not has_gpu():
        raise DeviceError(
            f"There is no GPU that {keras.backend.backend()} can use on this machine.",
            hint="--backend local, or on a machine with an NVIDIA GPU: pip install 'keras-azure[gpu]'",
        )
    name = f"{kind}:0"
    with keras.device(name):
        yield name


def has_gpu() -> bool:
    """Whether the Keras engine sees a GPU."""
    # All devices: asked for GPUs alone, JAX raises an error where there is none.
    return any(name.lower().startswith("gpu") for name in keras.distribution.list_devices())


def put(value: np.ndarray, device: str) -> Any:
    """The array on a device, in Keras's words: "cpu:0", "gpu:0"."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.device_put(value, _jax_device(device))
    with keras.device(device):
        return keras.ops.convert_to_tensor(value, dtype=value.dtype.name)


def wait(values: object) -> None:
    """Comes back when the device has computed all these tensors. Under JAX calls return before, on a CPU too."""
    if keras.backend.backend() == "jax":
        import jax

        jax.block_until_ready(values)
        return
    for value in keras.tree.flatten(values):
        np.asarray(value)


def device_name(device: str) -> str:
    """The GPU's name as its maker has it: "NVIDIA H100 80GB HBM3"; of a CPU the device as it is."""
    if device.startswith("cpu"):
        return device
    if keras.backend.backend() == "jax":
        return _jax_device(device).device_kind
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        gpu = tf.config.list_physical_devices("GPU")[int(device.rpartition(":")[2])]
        return tf.config.experimental.get_device_details(gpu).get("device_name", device)
    return device


def peak_memory(device: str) -> int | None:
    """The most memory, bytes, that was in use at once: of the GPU by tensors; of a CPU by this process."""
    if device.startswith("cpu"):
        unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if keras.backend.backend() == "jax":
        return (_jax_device(device).memory_stats() or {}).get("peak_bytes_in_use")
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.get_memory_info(device.upper())["peak"]
    return None


def _jax_device(device: str) -> Any:
    import jax

    kind, _, number = device.partition(":")
    return jax.devices(kind)[int(number or 0)]
