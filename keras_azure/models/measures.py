"""Losses and metrics from plain functions `(y_true, y_pred)`, saved by name; and objects given in Python, made anew."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self, TypeVar

import keras

from keras_azure.data.label_forms import Scaling
from keras_azure.errors import UsageError
from keras_azure.registry.given import KerasObject, unnumbered

Object = TypeVar("Object", bound="FromConfig")
Function = Callable[..., Any]  # (y_true, y_pred, **options) -> a number for each sample


class FromConfig(KerasObject, Protocol):
    """What can be made again from what its `get_config` says."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self: ...


def name_in_files(function: Function) -> str:
    """What a model's file calls a function; who loads the file has to know it by this name."""
    described = function.func if isinstance(function, functools.partial) else function
    return f"{described.__module__}:{described.__qualname__}"


def fresh(value: Object) -> Object:
    """Another loss, metric or optimizer like one that was given: each use needs its own numbers.

    Raises:
        UsageError: it does not tell all that is needed to make it again.
    """
    name = type(value).__name__
    try:
        config = unnumbered(value, value.get_config())
        made = type(value).from_config(config)
    except Exception as error:
        raise UsageError(
            f"The {name} cannot be made again: {type(error).__name__}: {error}",
            expected="get_config() with all arguments of __init__, which a model's file needs too; or the class itself",
        ) from error
    if not type(value).__module__.startswith("keras."):
        parameters = inspect.signature(type(value)).parameters.values()
        named = {parameter.name for parameter in parameters if parameter.kind is not inspect.Parameter.VAR_KEYWORD}
        if forgotten := sorted(named - {*config, "name", "dtype", "reduction"}):
            raise UsageError(
                f"The {name} cannot be made again: its get_config() leaves out {', '.join(forgotten)}.",
                expected="all arguments of __init__, which a model's file needs too; or the class itself",
            )
    return made


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


def over_present_classes(metric: keras.metrics.Metric) -> keras.metrics.Metric:
    """The metric, whose mean over classes leaves out those that do not occur in the labels.

    Keras counts them as 0, however good the model is: in F1Score and FBetaScore, and in AUC with `multi_label`. What
    has a value for each class gives them scaled, so that their mean is the mean over the classes that occur. In a
    model's file it is the metric of Keras all the same.
    """
    occurrences = _occurrences(metric)
    if occurrences is None:
        return metric
    plain = metric.result

    def result() -> Any:
        present = keras.ops.cast(occurrences() > 0, metric.dtype)
        all_classes = float(present.shape[0])
        return plain() * (all_classes / keras.ops.maximum(keras.ops.sum(present), 1))

    metric.result = result
    return metric


def in_units(metric: keras.metrics.Metric, scaling: Scaling) -> keras.metrics.Metric:
    """The metric, of numbers in their units where it is given scaled ones. In a model's file it is as it was."""
    plain = metric.update_state

    def update_state(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return plain(scaling.undo(y_true), scaling.undo(y_pred), sample_weight=sample_weight)

    metric.update_state = update_state
    return metric


def _occurrences(metric: keras.metrics.Metric) -> Callable[[], Any] | None:
    """What gives how often each class was in the labels, of a metric of Keras that averages over classes."""
    kind = type(metric)
    if isinstance(metric, keras.metrics.FBetaScore) and kind.result is keras.metrics.FBetaScore.result:
        return (lambda: metric.intermediate_weights) if metric.average in (None, "macro") else None
    if isinstance(metric, keras.metrics.AUC) and kind.result is keras.metrics.AUC.result and metric.multi_label:
        weighted = metric.label_weights is not None
        return None if weighted else (lambda: metric.true_positives[0] + metric.false_negatives[0])
    return None


def _known(name: str) -> Function:
    """The function of this name that whoever loads the file has given to Keras: nothing is imported for it."""
    function = keras.saving.get_registered_object(name)
    if function is None:
        raise ValueError(f"the function {name} is not of this run")
    return function
