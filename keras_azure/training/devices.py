"""Where the arithmetic runs, in the words of whichever Keras engine is in use."""

import contextlib
from collections.abc import Iterator
from typing import Literal

import keras

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


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Builds layers under a Keras dtype policy, and leaves the user's own in place afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def has_gpu() -> bool:
    """Whether the Keras engine sees a GPU."""
    # All devices: asked for GPUs alone, JAX raises an error where there is none.
    return any(name.lower().startswith("gpu") for name in keras.distribution.list_devices())
