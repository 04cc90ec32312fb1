"""Which engine makes the steps: a table, whose modules are imported when theirs is the engine in use."""

from collections.abc import Callable
from typing import Literal

import keras

from keras_azure.engines.steps import Steps
from keras_azure.errors import UsageError
from keras_azure.lazy import lazy

_STEPS = {
    "tensorflow": "keras_azure.engines.tensorflow:TensorFlowSteps",
    "jax": "keras_azure.engines.jax:JaxSteps",
}


def steps_of(model: keras.Model, kind: Literal["train", "test"] = "train") -> Steps:
    """The steps of a compiled model: its own `train_step` or `test_step`.

    The model must not be compiled again, nor its variables be assigned from outside between a call and the next
    `synchronize`.

    Raises:
        UsageError: the Keras engine is another one.
    """
    engine = keras.backend.backend()
    if engine not in _STEPS:
        raise UsageError(
            f"Keras runs on {engine}, on which nothing can be trained here.",
            expected=f"the engine {' or '.join(_STEPS)}",
        )
    make: Callable[..., Steps] = lazy(_STEPS[engine])
    return make(model, kind)
