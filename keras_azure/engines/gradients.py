"""How a model's scores change with what goes through it, on whichever Keras engine is loaded: the contract."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Tap = Callable[[Any], Any]  # is given a tensor on its way through the model, and gives what goes on in its place
Forward = Callable[..., tuple[Any, Any]]  # inputs, and last the tap: a score of each sample, (batch,), and the output


@dataclass(frozen=True)
class Slopes:
    """What a pass forward and backward has found of a batch.

    Attributes:
        values: what was tapped, (batch, ...); where that was several times, the last time.
        gradients: of each sample's score with respect to that, of the same shape; 0 where nothing depends on it.
        scores: (batch,).
        outputs: what the model gives, (batch, ...).
    """

    values: np.ndarray
    gradients: np.ndarray
    scores: np.ndarray
    outputs: np.ndarray


class Gradients(Protocol):
    """Passes forward and backward through one model.

        def forward(images, tap):
            outputs = model(tap(images), training=False)
            return outputs[:, 0], outputs

        slopes = gradients_of(model, forward)(images)
        slopes.gradients.shape == images.shape

    The samples of a batch must not depend on each other, as they do in the batch normalisation of training.
    """

    def __call__(self, *inputs: np.ndarray) -> Slopes:
        """One pass with these inputs. JAX traces once for each shape, as TensorFlow does, and compiles."""
