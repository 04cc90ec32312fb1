"""Losses and metrics from plain functions `(y_true, y_pred)`, which are saved in a model's file by name."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import keras

Function = Callable[..., Any]  # (y_true, y_pred, **options) -> a number for each sample


def name_in_files(function: Function) -> str:
    """What a model's file calls a function; who loads the file has to know it by this name."""
    return f"{function.__module__}:{getattr(function, '__qualname__', type(function).__qualname__)}"


@keras.saving.register_keras_serializable("keras_azure")
class FunctionLoss(keras.losses.Loss):
    """The mean over samples of what a function gives for each.

    Args:
        function: of labels and predictions, (batch, classes) each, or pictures; gives (batch,).
        options: further arguments of the function, by name.
    """

    def __init__(self, function: Function, name: str, options: Mapping[str, Any], **settings: Any):
        super().__init__(name=name, **settings)
        self.function, self.options = function, dict(options)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred, **self.options)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": name_in_files(self.function), "options": self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config | {"function": _known(config["function"])})


@keras.saving.register_keras_serializable("keras_azure")
class FunctionMetric(keras.metrics.MeanMetricWrapper):
    """The mean over samples of what a function gives for each, as `FunctionLoss`."""

    def __init__(self, function: Function, name: str, options: Mapping[str, Any], dtype: Any = None):
        super().__init__(function, name=name, dtype=dtype, **options)
        self.function, self.options = function, dict(options)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "function": name_in_files(self.function),
            "options": self.options,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**config | {"function": _known(config["function"])})


def _known(name: str) -> Function:
    """The function of this name that whoever loads the file has given to Keras: nothing is imported for it."""
    function = keras.saving.get_registered_object(name)
    if function is None:
        raise ValueError(f"the function {name} is not of this run")
    return function
