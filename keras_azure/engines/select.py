"""Which engine makes steps and gradients: tables, whose modules are imported when theirs is the engine in use."""

from collections.abc import Mapping
from typing import Any, Literal

import keras

from keras_azure.engines.gradients import Forward, Gradients
from keras_azure.engines.steps import Steps
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy

_STEPS = {
    "tensorflow": "keras_azure.engines.tensorflow:TensorFlowSteps",
    "jax": "keras_azure.engines.jax:JaxSteps",
}
_GRADIENTS = {
    "tensorflow": "keras_azure.engines.tensorflow_gradients:TensorFlowGradients",
    "jax": "keras_azure.engines.jax_gradients:JaxGradients",
}


def steps_of(model: keras.Model, kind: Literal["train", "test"] = "train") -> Steps:
    """The steps of a compiled model: its own `train_step` or `test_step`.

    The model must not be compiled again, nor its variables be assigned from outside between a call and the next
    `synchronize`.

    Raises:
        UsageError: the Keras engine is another one.
    """
    steps: Steps = _of_engine(_STEPS, "trained")(model, kind)
    return steps


def gradients_of(model: keras.Model, forward: Forward) -> Gradients:
    """Passes forward and backward through a model, by a function that computes with it.

    Raises:
        UsageError: the Keras engine is another one.
    """
    gradients: Gradients = _of_engine(_GRADIENTS, "explained")(model, forward)
    return gradients


def _of_engine(table: Mapping[str, str], done: str) -> Any:
    engine = keras.backend.backend()
    if engine not in table:
        raise UsageError(
            f"Keras runs on {engine}, on which nothing can be {done} here.",
            expected=f"the engine {' or '.join(table)}",
        )
    return lazy(table[engine])
