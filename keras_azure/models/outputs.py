"""How a model ends: what comes out of it for each task, and what brings numbers back to their units."""

import keras
from keras import layers

from keras_azure.data import TaskName
from keras_azure.data.label_forms import Scaling

TO_NUMBERS = "to_numbers"  # the layer behind a model that was trained on scaled numbers
_ENDS: dict[TaskName, tuple[str, str]] = {
    "classify": ("softmax", "probabilities"),
    "multilabel": ("sigmoid", "probabilities"),
    "regress": ("linear", "numbers"),
}


def output_layer(count: int, task: TaskName = "classify") -> keras.Layer:
    """The last layer of a model for a task: from (batch, n) to (batch, count) float32.

    Args:
        count: how many numbers come out: `num_classes` of a model plugin.
        task: "classify" ends in probabilities of which one class is right, "multilabel" in one for each label,
            "regress" in numbers.

    Example:
        def net(input_shape, num_classes, *, task="classify"):
            pixels = keras.layers.Input(input_shape)
            found = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
            return keras.Model(pixels, output_layer(num_classes, task)(found))
    """
    activation, name = _ENDS[task]
    # float32 also where the layers before compute in half precision: probabilities need the digits.
    return layers.Dense(count, activation=activation, dtype="float32", name=name)


def in_units(model: keras.Model, scaling: Scaling) -> keras.Model:
    """A model that was trained on scaled numbers, with a layer of Keras behind it that gives them in their units."""
    to_numbers = layers.Rescaling(list(scaling.deviation), list(scaling.mean), dtype="float32", name=TO_NUMBERS)
    return keras.Model(model.inputs, to_numbers(model.outputs[0]), name=model.name)
