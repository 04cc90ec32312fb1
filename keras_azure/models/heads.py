"""What comes behind the features: from a vector to probabilities or numbers."""

from typing import Any

import keras
from keras import layers

from keras_azure.data import TaskName
from keras_azure.errors import UnknownName
from keras_azure.models.outputs import output_layer
from keras_azure.registry.options import coerce_options
from keras_azure.registry.registry import as_spec


def linear(features: Any, num_classes: int, task: TaskName) -> Any:
    """Nothing but what comes out."""
    return output_layer(num_classes, task)(features)


def mlp(
    features: Any, num_classes: int, task: TaskName, *, units: tuple[int, ...] = (256,), dropout: float = 0.0
) -> Any:
    """Fully connected layers before the probabilities.

    Args:
        units: of each layer.
        dropout: the share of units that is left out in training behind each layer.
    """
    if any(count < 1 for count in units) or not 0 <= dropout < 1:
        raise ValueError(f"units={units} must be 1 or more each, and dropout={dropout} at least 0 and below 1")
    for number, count in enumerate(units, start=1):
        features = layers.Dense(count, activation="relu", name=f"dense_{number}")(features)
        if dropout:
            features = layers.Dropout(dropout, name=f"dropout_{number}")(features)
    return output_layer(num_classes, task)(features)


_HEADS = {"linear": linear, "mlp": mlp}


def build_head(spec: str, num_features: int, num_classes: int, task: TaskName = "classify") -> keras.Model:
    """The head that the spec names, such as `mlp(units=64)`: from (batch, num_features) to (batch, num_classes).

    Raises:
        UnknownName: there is no such head.
        WrongOption: it does not take the options.
    """
    named = as_spec(spec)
    if named.name not in _HEADS:
        raise UnknownName.among("head", named.name, _HEADS)
    function = _HEADS[named.name]
    features = layers.Input((num_features,), name="features")
    found = function(features, num_classes, task, **coerce_options(named, function, 3, "head"))
    return keras.Model(features, found, name="head")
