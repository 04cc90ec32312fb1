"""Memory for images: whether something fits, asked before it is read, and arrays that begin where caches do."""

import math

import numpy as np
import psutil

from keras_azure.errors import DataError

_ALIGNMENT = 64  # bytes


def require_memory(needed: int, what: str, *, hint: str = "") -> None:
    """Refuses to hold what is larger than the free memory.

    Args:
        needed: bytes.
        what: the subject of the message.

    Raises:
        DataError: it does not fit.
    """
    available = psutil.virtual_memory().available
    if needed > available:
        raise DataError(
            f"{what} needs {_gigabytes(needed)} of memory, and {_gigabytes(available)} are free.", hint=hint
        )


def _gigabytes(amount: int) -> str:
    return f"{amount / 1e9:.1f} GB"


def aligned_empty(shape: tuple[int, ...]) -> np.ndarray:
    """Memory for pictures, uint8, which TensorFlow takes over as it is: what is not aligned it copies."""
    size = math.prod(shape)
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].reshape(shape)
