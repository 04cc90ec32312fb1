"""Runs on this machine: a GPU if there is one, or the device that the name asks for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from keras_azure.config import RunConfig, RunResult
from keras_azure.observers import Observer
from keras_azure.quiet import native_messages_held_back, silence_libraries


@dataclass(frozen=True)
class LocalBackend:
    device: Literal["auto", "cpu", "gpu"]

    def run(self, config: RunConfig, run_dir: Path, observer: Observer, *, resume: bool = False) -> RunResult:
        silence_libraries()
        observer.message("Loading Keras")
        with native_messages_held_back():
            from keras_azure.training import train
            from keras_azure.training.devices import has_gpu

            has_gpu()  # the first look at the devices, which makes TensorFlow talk to the driver and about it
        return train(config, run_dir, observer, device=self.device, resume=resume)


def local() -> LocalBackend:
    """This machine, on its first GPU or, without one, on the CPU."""
    return LocalBackend("auto")


def local_cpu() -> LocalBackend:
    """This machine's CPU, also where there is a GPU."""
    return LocalBackend("cpu")


def local_gpu() -> LocalBackend:
    """This machine's first GPU; an error where there is none."""
    return LocalBackend("gpu")
