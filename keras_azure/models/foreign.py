"""Networks of other packages as backbones: any `keras.Model` without its top, with its own preprocessing."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import layers

from keras_azure.models.saving import reason
from keras_azure.models.weights import load_weights

Numbers = float | Sequence[float]  # one for all channels, or one for each
# A function of keras.ops, a layer, or (scale, offset) for images * scale + offset.
Preprocessing: TypeAlias = Callable[[Any], Any] | keras.Layer | tuple[Numbers, Numbers]


def foreign_network(
    model: keras.Model, input_shape: tuple[int, int, int], weights: str | None, size: tuple[int, int] | None
) -> keras.Model:
    """The model with its weights, as a network from images of a fixed size to vectors.

    Args:
        model: gives a vector, or feature maps (batch, height, width, channels), which are averaged.
        input_shape: of the images; where the model takes any size, and `size` is None, they keep theirs.
        weights: a file; None and "none" leave those that the model has.

    Raises:
        UnusableWeights: the weights are not there, damaged, unsafe, or of another network.
        ValueError: the model cannot be a backbone, or takes another size.
    """
    inputs: Sequence[Any] = getattr(model, "inputs", None) or ()
    outputs: Sequence[Any] = getattr(model, "outputs", None) or ()
    if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(
            f"the model {model.name!r} cannot be a backbone: expected a functional or sequential keras.Model with one "
            "input, images, and one output; a model of another form becomes one by keras.Model(images, model(images))"
        )
    if weights is not None:
        load_weights(model, None, weights)
    model = _of_fixed_size(model, input_shape, size)
    found = model.outputs[0]
    if len(found.shape) == 4:
        found = layers.GlobalAveragePooling2D(name="average_pooling")(found)
    if len(found.shape) != 2:
        raise ValueError(
            f"the model {model.name!r} gives {tuple(found.shape)}: expected (batch, features), or feature maps "
            "(batch, height, width, channels)"
        )
    return keras.Model(model.inputs[0], found)


def preprocessing_function(preprocessing: Preprocessing | None) -> Callable[[Any], Any]:
    """What brings pixels 0..255 to what a network takes, as a function from tensor to tensor."""
    if preprocessing is None:
        return lambda pixels: pixels
    if isinstance(preprocessing, tuple):
        scale, offset = preprocessing
        return layers.Rescaling(_plain(scale), _plain(offset), name="preprocessing")
    if isinstance(preprocessing, layers.Lambda):
        raise ValueError("the preprocessing is a Lambda layer, which a saved model cannot have: pass its function")

    def preprocess(pixels: Any) -> Any:
        try:
            return preprocessing(pixels)
        except Exception as error:  # whatever a function raises for a tensor that has no values yet
            raise ValueError(
                f"the preprocessing cannot be part of the model: {reason(error)}; expected a function of keras.ops, a "
                "layer, or (scale, offset)"
            ) from error

    return preprocess


def _of_fixed_size(model: keras.Model, input_shape: tuple[int, int, int], size: tuple[int, int] | None) -> keras.Model:
    takes = model.inputs[0].shape[1:]
    if None not in takes:
        if size is not None and size != takes[:2]:
            raise ValueError(f"image_size={size} cannot be chosen for {model.name!r}, which takes {takes[:2]} alone")
        return model
    wanted = (*(size or input_shape[:2]), input_shape[-1])
    shape = tuple(fixed or chosen for fixed, chosen in zip(takes, wanted, strict=True))
    sized = keras.models.clone_model(model, input_tensors=layers.Input(shape, name=model.inputs[0].name))
    sized.set_weights(model.get_weights())
    return sized


def _plain(numbers: Numbers) -> Numbers:
    """As JSON has it."""
    return numbers if isinstance(numbers, int | float) else [float(number) for number in numbers]
