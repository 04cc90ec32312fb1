"""A network's layers and its scores before the softmax, found while it computes: nothing of it is built again.

Where a tensor on the way is needed, a layer's `call` or `activation` is replaced for the time of a pass. So it makes no
difference how deep in networks within the network the layer is, and no weights are copied.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from keras_azure.engines.gradients import Forward, Tap
from keras_azure.errors import UnknownName, UsageError
from keras_azure.models.ends import last_operation

_TO_PROBABILITIES = (keras.activations.softmax, keras.activations.sigmoid)
_OPERATIONS = ("Softmax", "Sigmoid")  # what keras.ops of these names are in a network; Keras does not export them
_ABSENT = object()


def layers_in_order(model: keras.Model) -> Iterator[keras.Operation]:
    """Layers and operations, each behind those that it takes from; those of a network within it in its place."""
    # A sequential model has layers alone.
    for operation in getattr(model, "operations", None) or model.layers:
        if isinstance(operation, keras.Sequential) or hasattr(operation, "operations"):
            yield from layers_in_order(operation)
        else:
            yield operation


def layer_called(model: keras.Model, name: str) -> keras.Operation:
    """
    Raises:
        UnknownName: there is none.
        UsageError: what comes out of it has no height and width.
    """
    named = {operation.name: operation for operation in layers_in_order(model)}
    if name not in named:
        raise UnknownName.among("layer", name, named)
    shape = _output_shape(named[name])
    if len(shape) != 4:
        raise UsageError(
            f"The layer {name!r} gives {shape}, which has no height and width.",
            expected="a layer that gives (batch, height, width, channels)",
        )
    return named[name]


def last_spatial_layer(model: keras.Model) -> keras.Operation:
    """The last layer that gives (batch, height, width, channels) with more than one place.

    Layers before the first weights do not count: they are still the image.

    Raises:
        UsageError: there is none.
    """
    found, is_learned = None, False
    for operation in layers_in_order(model):
        # Of matrices and kernels: a mean and a variance for each channel leave the image an image.
        is_learned = is_learned or any(len(weight.shape) > 1 for weight in getattr(operation, "weights", ()))
        shape = _output_shape(operation)
        if is_learned and len(shape) == 4 and shape[1:3] != (1, 1):
            found = operation
    if found is None:
        raise UsageError(
            f"Grad-CAM needs a layer that gives feature maps, as a convolution does, and {model.name!r} has none.",
            hint="--method integrated-gradients, which any network can do",
        )
    return found


def forward_of(model: keras.Model, layer: keras.Operation | None) -> Forward:
    """A pass through the model with images and classes; the score of each image is that of its class.

    Of a class or a label the score is the logit. That of a class goes on growing where the probability is close to 1,
    and does not change with what speaks for another class: Grad-CAM is defined on it. A model whose end is neither
    softmax nor sigmoid has its output as scores: numbers, or logits.

    Args:
        layer: what comes out of it is tapped; by default the images.
    """

    def forward(images: Any, classes: Any, tap: Tap) -> tuple[Any, Any]:
        """`classes` are indices (batch,), -1 for the highest output."""
        with _end_watched(model) as logits, _tapped(layer, tap):
            outputs = model(images if layer is not None else tap(images), training=False)
        scores = keras.ops.cast(logits[-1] if logits else outputs, "float32")
        highest = keras.ops.argmax(scores, axis=-1)
        chosen = keras.ops.where(classes < 0, keras.ops.cast(highest, classes.dtype), classes)
        one_of_each = keras.ops.one_hot(chosen, scores.shape[-1], dtype="float32")
        return keras.ops.sum(scores * one_of_each, axis=-1), outputs

    return forward


@contextlib.contextmanager
def _end_watched(model: keras.Model) -> Iterator[list[Any]]:
    """A list which gets what goes into the model's last activation, that is softmax or sigmoid, while it computes."""
    seen: list[Any] = []
    end = last_operation(model)
    activation = getattr(end, "activation", None)
    with contextlib.ExitStack() as replaced:
        if activation in _TO_PROBABILITIES:
            replaced.enter_context(_in_place_of(end, "activation", _watching(activation, seen)))
        elif isinstance(end, layers.Softmax) or type(end).__name__ in _OPERATIONS:
            replaced.enter_context(_in_place_of(end, "call", _watching(end.call, seen)))
        yield seen


@contextlib.contextmanager
def _tapped(layer: keras.Operation | None, tap: Tap) -> Iterator[None]:
    if layer is None:
        yield
        return
    call = layer.call

    def tapped_call(*arguments: Any, **options: Any) -> Any:
        return tap(call(*arguments, **options))

    with _in_place_of(layer, "call", tapped_call):
        yield


def _watching(function: Any, seen: list[Any]) -> Any:
    def watching(values: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(values)
        return function(values, *arguments, **options)

    return watching


@contextlib.contextmanager
def _in_place_of(holder: object, name: str, value: object) -> Iterator[None]:
    own = vars(holder)  # not by assignment, which Keras would track
    before = own.get(name, _ABSENT)
    own[name] = value
    try:
        yield
    finally:
        if before is _ABSENT:
            del own[name]
        else:
            own[name] = before


def _output_shape(operation: keras.Operation) -> tuple[int | None, ...]:
    """With None for the batch; nothing of what gives several tensors."""
    shape = getattr(operation.output, "shape", None)
    return tuple(shape) if shape is not None else ()
