"""How fast a device multiplies: as its maker says, and as it does."""

from typing import Literal

import keras
import numpy as np

from keras_azure.backends.azure.sizes import SIZES
from keras_azure.engines.devices import device_name, put, wait
from keras_azure.throughput.timing import Candidate, measure

Precision = Literal["float32", "float16", "bfloat16"]
_FORMS = ("sxm", "sxm2", "nvl")  # in which a GPU is built, with other figures
_SIZE = {"cpu": 1024, "gpu": 8192}  # of the square matrices; large enough that memory does not count
_SECONDS = 0.3


def documented_tflops(device: str, precision: Precision) -> float | None:
    """The peak of a GPU as its maker gives it, dense; None if the table of Azure's sizes has no such GPU.

    For float32 it is that of TF32 where engines multiply float32 so, as they all do by default.
    """
    gpu = known_gpu(device_name(device))
    if gpu is None:
        return None
    size = next(size for size in SIZES if size.gpu == gpu)
    if precision == "float32":
        return size.tf32_tflops or size.fp32_tflops
    return size.tensor_tflops


def known_gpu(name: str) -> str | None:
    """What the table of Azure's sizes calls a GPU, by its name as its driver has it; None if it is not in it.

    "NVIDIA H100 80GB HBM3" is "H100 SXM", which alone has that memory, and "Tesla V100-PCIE-16GB" is "V100".
    """
    words = name.lower().replace("-", " ").replace("hbm3", "sxm").split()

    def fits(word: str) -> bool:
        return any(each.startswith(word) if word in _FORMS else each == word for each in words)

    found = []
    for gpu in dict.fromkeys(size.gpu for size in SIZES):
        model: list[str] = []
        forms: list[str] = []
        for word in gpu.lower().split():
            (forms if word in _FORMS else model).append(word)
        if all(map(fits, [*model, *forms])):
            found.append((len(forms), gpu))
    return max(found)[-1] if found else None


def measured_tflops(device: str, precision: Precision) -> float:
    """What the device reaches in one product of large square matrices: the ceiling of any network."""
    size = _SIZE["cpu" if device.startswith("cpu") else "gpu"]
    rng = np.random.default_rng(0)
    left, right = (put(rng.standard_normal((size, size), np.float32), device) for _ in range(2))
    with keras.device(device):
        left, right = (keras.ops.cast(matrix, precision) for matrix in (left, right))

        def multiply(times: int) -> None:
            for _ in range(times):
                product = keras.ops.matmul(left, right)
            wait(product[:1, :1])

        candidate = Candidate(multiply, 1, one_by_one=False)
        timing = measure({"product": candidate}, rounds=3, seconds=_SECONDS)["product"]
    return 2 * size**3 * timing.images_per_second / 1e12
