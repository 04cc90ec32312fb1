"""The end of a network: what makes its output, and the layer whose weights make the logits of probabilities."""

from collections.abc import Sequence

import keras
import numpy as np

_TO_PROBABILITIES = ("softmax", "sigmoid")


def divide_logits(model: keras.Model, by: float) -> None:
    """Divides the logits of a network that gives probabilities, by dividing what makes them: the weights of its last
    dense layer. The network stays what it is otherwise.

    Raises:
        ValueError: it does not end in a dense layer and a softmax or a sigmoid.
    """
    last = last_dense(model)
    for weight in last.weights:
        weight.assign(np.asarray(weight) / by)


def last_dense(model: keras.Model) -> keras.layers.Dense:
    """The dense layer whose outputs are the logits.

    Raises:
        ValueError: the network ends otherwise.
    """
    layers = _from_the_end(model)
    if layers and _activation(layers[0]) in _TO_PROBABILITIES:
        if isinstance(layers[0], keras.layers.Dense):
            return layers[0]
        if len(layers) > 1 and isinstance(layers[1], keras.layers.Dense) and _activation(layers[1]) == "linear":
            return layers[1]
    raise ValueError("it does not end in a dense layer and a softmax or a sigmoid")


def last_operation(model: keras.Model) -> keras.Operation:
    """The layer, or operation of `keras.ops`, that makes the one output of a network, within a network in it where
    that is the last."""
    operation = model.outputs[0]._keras_history.operation
    is_network = isinstance(operation, keras.Model) and getattr(operation, "outputs", None)
    return last_operation(operation) if is_network else operation


def _from_the_end(model: keras.Model) -> list[keras.Layer]:
    """The last layer and the one before it, those of models within it in their place."""
    found: list[keras.Layer] = []
    outputs: Sequence[keras.KerasTensor] = getattr(model, "outputs", None) or ()
    if len(outputs) != 1:
        return found
    layer = _maker(outputs[0])
    while layer is not None and len(found) < 2:
        if isinstance(layer, keras.Model):
            found += _from_the_end(layer)
            break
        found.append(layer)
        before = layer.input if isinstance(layer, keras.Layer) else None
        layer = _maker(before) if isinstance(before, keras.KerasTensor) else None
    return found[:2]


def _maker(tensor: keras.KerasTensor) -> keras.Layer | None:
    """The layer that gives a tensor."""
    operation = tensor._keras_history.operation
    return operation if isinstance(operation, keras.Layer) else None


def _activation(layer: keras.Layer) -> str:
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", "")
