"""The floating-point operations of a training step, counted from a model's layers.

Counted is what multiplies and adds: convolutions and matrix products, two operations for each multiplication with its
addition, as makers count the TFLOPS of their devices. All else is a few hundredths of it in the networks that are
trained here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras
from keras import layers

_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
_TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
_DEPTHWISE = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
_SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)


@dataclass(frozen=True)
class Operations:
    """Floating-point operations for one picture.

    Attributes:
        forward: from the picture to the probabilities.
        backward: the gradients, of what is trainable and of what lies behind it alone.
        uncounted: the names of layers with weights whose operations are not known.
    """

    forward: int
    backward: int
    uncounted: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Of a training step."""
        return self.forward + self.backward


def step_operations(model: keras.Model) -> Operations:
    """Counts what a model, as it is trainable now, computes for each picture in a training step.

    A layer's gradient by its weights takes as many operations as the layer itself, and so does the one by its input,
    which is needed only if a layer before it is trained.
    """
    forward = backward = 0
    uncounted = []
    trained_before = False
    for layer in _leaves(model):
        own = _forward(layer)
        if own is None:
            uncounted.append(layer.name)
        else:
            forward += own
            backward += own * (bool(layer.trainable_weights) + trained_before)
        trained_before = trained_before or bool(layer.trainable_weights)
    return Operations(forward, backward, tuple(uncounted))


def _leaves(layer: keras.Layer) -> Iterator[keras.Layer]:
    """The layers within a model that are no models, each behind those that it takes from."""
    if not isinstance(layer, keras.Model):
        yield layer
        return
    # `operations` of a model that was put together from layers are in order; one that is written as a class has none.
    for inner in getattr(layer, "operations", layer.layers):
        if isinstance(inner, keras.Layer):
            yield from _leaves(inner)


def _forward(layer: keras.Layer) -> int | None:
    """Operations of a layer for one picture; None if they are not known."""
    if all(len(weight.shape) < 2 for weight in layer.weights):  # none at all, or those that scale and shift
        return 0
    if isinstance(layer, layers.Wrapper):
        return None
    shapes = _shapes(layer)
    if shapes is None or not all(shapes[0] + shapes[1]):
        return None
    taken, given = shapes
    if isinstance(layer, layers.Dense):
        return 2 * math.prod(taken) * given[-1]
    # A kernel of a convolution is multiplied at each place of what comes out, of a transposed one of what goes in.
    if isinstance(layer, _SEPARABLE):
        places = _places(layer, given)
        return 2 * places * (_size(layer.depthwise_kernel) + _size(layer.pointwise_kernel))
    if isinstance(layer, (*_DEPTHWISE, *_CONVOLUTIONS)):
        return 2 * _places(layer, given) * _size(layer.kernel)
    if isinstance(layer, _TRANSPOSED):
        return 2 * _places(layer, taken) * _size(layer.kernel)
    return None


def _shapes(layer: keras.Layer) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """What a layer takes and gives, without the batch; None if it was not called by itself, or with several inputs."""
    try:
        return tuple(layer.input.shape[1:]), tuple(layer.output.shape[1:])
    except (AttributeError, ValueError):
        return None


def _places(layer: keras.Layer, shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:] if layer.data_format == "channels_first" else shape[:-1])


def _size(variable: keras.Variable) -> int:
    return math.prod(variable.shape)
