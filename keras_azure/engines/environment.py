"""What a run ran on, for the record: versions, engine and device. No host name, no user, no paths."""

import os
import platform
from importlib import metadata

import keras

PACKAGES = ("keras-azure", "keras", "tensorflow", "jax", "numpy", "mlflow")


def describe_environment(device: str) -> dict[str, str]:
    """Versions of Python and of the packages that decide a result, the Keras engine, and the device."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "cores": str(os.cpu_count()),
        "engine": keras.backend.backend(),
        "device": device,
        **versions,
    }
