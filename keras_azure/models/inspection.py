"""What `kaz show` tells of a model: its layers as plain data."""

import math
from typing import Any

import keras

from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import BrokenPlugin
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.kinds import CLASSIFIER, kind_of
from keras_azure.models.weights import without_weights
from keras_azure.registry.registry import MODELS, as_spec
from keras_azure.registry.specs import Spec


def describe_model(spec: str | Spec, input_shape: tuple[int, int, int], num_classes: int) -> dict[str, Any]:
    """Builds a model and gives its layers and parameter counts, JSON-safe.

    Args:
        input_shape: height, width and channels.

    Returns:
        `input_shape`, `num_classes`; `layers`, each with `name`, `type`, `output_shape` (None for the batch, and no
        shape at all where a layer has none) and `parameters`; `trainable_parameters` and `parameters` of the whole.

    Raises:
        KerasAzureError: the model cannot be built so.
    """
    with keras_settings(), without_weights():
        model = MODELS.build(spec, input_shape, num_classes)
    kind = kind_of(model)
    if kind is None:
        name = as_spec(spec).name
        raise BrokenPlugin(
            f"The model {name!r} ({MODELS.find(spec).origin}) gives a {type(model).__name__}.",
            expected="a keras.Model",
            hint=f"kaz check {name}",
        )
    network = kind.network(model)
    is_fitted = kind is CLASSIFIER  # and not trained, but for what comes behind the network
    layers = [_describe_layer(layer) for layer in network.layers]
    return {
        "input_shape": list(input_shape),
        "num_classes": num_classes,
        "layers": [*layers, _describe_classifier(model)] if is_fitted else layers,
        "trainable_parameters": 0 if is_fitted else _count(network.trainable_weights),
        "parameters": _count(network.weights),
    }


def _describe_classifier(model: FeatureClassifier) -> dict[str, Any]:
    """What comes behind the features, as one more layer. How many numbers it learns is not known before."""
    from keras_azure.models.fitting import name_of  # with scikit-learn, which other models need not wait for

    return {
        "name": "classifier",
        "type": " or ".join(name_of(each) for each in (model.estimator, *model.choices)),
        "output_shape": [None, model.num_classes],
        "parameters": 0,
    }


def _describe_layer(layer: keras.Layer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "type": type(layer).__name__,
        "output_shape": _output_shape(layer),
        "parameters": _count(layer.weights),
    }


def _output_shape(layer: keras.Layer) -> list[int | None] | None:
    try:
        shape = layer.output.shape
    except AttributeError:  # the layer was never called, or gives several outputs
        return None
    return list(shape)


def _count(weights: list[keras.Variable]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)
