"""One way to write array code for NumPy, on the host, and for whichever Keras engine computes the model.

Every function of this package that takes `xp` is written once against such a namespace: the pipeline calls it with
`NUMPY`, a layer with that of its engine. Both have NumPy's names; only `cast` and `shape` differ.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any  # a NumPy array, or a tensor of the engine


class Arrays:
    """NumPy's functions by their names, and `cast(array, dtype)` and `shape(array)`."""

    def __init__(self, functions: Any, cast: Callable[[Array, str], Array], shape: Callable[[Array], tuple]):
        self._functions = functions
        self.cast = cast
        self.shape = shape

    def __getattr__(self, name: str) -> Callable[..., Array]:
        return getattr(self._functions, name)


NUMPY = Arrays(np, lambda array, dtype: np.asarray(array).astype(dtype), np.shape)


def of_engine(backend: Any) -> Arrays:
    """The namespace of a Keras engine: what a Keras data layer has as `self.backend`."""
    return Arrays(backend.numpy, backend.cast, backend.shape)
