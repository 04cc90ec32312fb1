"""One way to write array code for NumPy, on the host, and for whichever Keras engine computes the model.

Every function of this package that takes `xp` is written once against such a namespace: the pipeline calls it with
`NUMPY`, a layer with that of its engine. Both have NumPy's names; only `cast` and `shape` differ.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any  # a NumPy array, or a tensor of the engine


class Arrays:
    """NumPy's functions by their names; beside them:

    - `cast(array, dtype)` and `shape(array)`;
    - `count(numbers, size)`: how often each of 0 .. size - 1 occurs in an int32 (n,), in a form that engines compile.
    """

    def __init__(
        self,
        functions: Any,
        cast: Callable[[Array, str], Array],
        shape: Callable[[Array], tuple[Any, ...]],
        count: Callable[[Array, int], Array],
    ):
        self._functions = functions
        self.cast = cast
        self.shape = shape
        self.count = count

    def __getattr__(self, name: str) -> Callable[..., Array]:
        return getattr(self._functions, name)


def _cast(array: np.ndarray, dtype: str) -> np.ndarray:
    return np.asarray(array).astype(dtype)


def _count(numbers: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(numbers, minlength=size)


NUMPY = Arrays(np, _cast, np.shape, _count)


def of_engine(backend: Any) -> Arrays:
    """The namespace of a Keras engine: what a Keras data layer has as `self.backend`."""

    def count(numbers: Array, size: int) -> Array:
        return backend.math.segment_sum(backend.numpy.ones_like(numbers), numbers, num_segments=size)

    return Arrays(backend.numpy, backend.cast, backend.shape, count)
