"""The contracts of losses and metrics: what compares predictions with targets."""

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np
from keras import layers

from keras_azure.models.measures import FunctionLoss, FunctionMetric
from keras_azure.models.saving import load_model, own_object
from keras_azure.registry.registry import LOSSES, METRICS, Registry, takes_labels
from keras_azure.registry.specs import Spec
from keras_azure.testing.findings import Findings, name_of, numbers, with_article

Measure = TypeVar("Measure")

_NUM_CLASSES = 3
_SAMPLES = 6
_SAME = 1e-5  # relative difference between what must be equal
_IMAGE = (8, 8, 1)
_SAVEABLE = "all of its options in get_config()"
Pair = tuple[np.ndarray, np.ndarray]  # targets and predictions


def check_loss(loss: keras.Loss | Callable[..., Any] | str | Spec) -> None:
    """Checks a loss: finite, also for the best and the worst predictions; it trains; and it is saved and loaded.

    It is tried on probabilities with one-hot targets, and on images with levels 0..1; it has to take one of them.

    Args:
        loss: a `keras.Loss`, a function `(y_true, y_pred) -> (batch,)`, or the spec of a registered one.

    Raises:
        ContractError: the loss breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.

    Example:
        check_loss("my-loss(gamma=3)")
    """
    findings = Findings(f"The loss {name_of(loss)!r}")
    built = _built(loss, LOSSES, FunctionLoss, keras.Loss, findings)
    form = _form_taken(lambda y_true, y_pred: built(y_true, y_pred), findings)
    with findings.when(f"given {form}"):
        findings.extend(_value_problems(built, form))
    findings.settle()
    with findings.when(f"training on {form} for a step"):
        findings.extend(_gradient_problems(built, form))
    with findings.when("saved in a model and loaded again in safe mode", _SAVEABLE):
        findings.extend(_saving_problems(built, {"loss": built}, lambda model: model.loss(*_pair(form)), form))
    findings.settle()


def check_metric(metric: keras.Metric | Callable[..., Any] | str | Spec) -> None:
    """Checks a metric: finite, it accumulates over batches, begins anew when it is reset, and is saved and loaded.

    It is tried on probabilities with one-hot targets, and on images with levels 0..1; it has to take one of them.

    Args:
        metric: a `keras.Metric`, a function `(y_true, y_pred) -> (batch,)`, or the spec of a registered one.

    Raises:
        ContractError: the metric breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.

    Example:
        check_metric("my-metric")
    """
    findings = Findings(f"The metric {name_of(metric)!r}")
    built = _built(metric, METRICS, FunctionMetric, keras.Metric, findings)
    form = _form_taken(lambda y_true, y_pred: _over([(y_true, y_pred)], built), findings)
    with findings.when(f"given {form}"):
        findings.extend(_accumulation_problems(built, form))

    def result(model: keras.Model) -> np.ndarray:
        loaded = {each.name: each for each in model._compile_metrics.metrics}
        return _over([_pair(form)], loaded[built.name])

    with findings.when("saved in a model and loaded again in safe mode", _SAVEABLE):
        findings.extend(_saving_problems(built, {"loss": "mean_squared_error", "metrics": [built]}, result, form))
    findings.settle()


def _built(
    plugin: Any,
    registry: Registry[Measure],
    from_function: Callable[..., Measure],
    kind: type[Measure],
    findings: Findings,
) -> Measure:
    """The object of the kind that the plugin gives.

    Raises:
        ContractError: it gives something else.
    """
    built = plugin
    if isinstance(plugin, str | Spec):
        built = registry.build(plugin)
    elif isinstance(plugin, type):
        built = plugin()
    elif callable(plugin) and not isinstance(plugin, keras.Loss | keras.Metric) and takes_labels(plugin):
        built = from_function(plugin, name_of(plugin), {})
    if not isinstance(built, kind):
        findings.add(f"it is {with_article(built)}", f"a keras.{kind.__name__}, or a function of y_true and y_pred")
        findings.settle()
    return built


def _form_taken(apply: Callable[[np.ndarray, np.ndarray], Any], findings: Findings) -> str:
    """The first form of targets that the plugin takes.

    Raises:
        ContractError: it takes none.
    """
    refusals = []
    for form in _FORMS:
        try:
            apply(*_pair(form))
        except Exception as error:  # whatever a stranger's code raises for the form that it does not take
            refusals.append((form, error))
        else:
            return form
    for form, refusal in refusals:
        findings.failed(f"given {form}", refusal)
    findings.settle()
    raise AssertionError("unreachable: findings were settled")


def _probabilities(right: float) -> Pair:
    """One-hot targets of some samples, and predictions that give so much to the right class."""
    targets = np.eye(_NUM_CLASSES, dtype=np.float32)[np.arange(_SAMPLES) % _NUM_CLASSES]
    return targets, np.where(targets == 1, right, (1 - right) / (_NUM_CLASSES - 1)).astype(np.float32)


def _images(right: float) -> Pair:
    """Images, and predictions that lie so far on the way from their negatives to them."""
    targets = np.random.default_rng(0).random((_SAMPLES, *_IMAGE)).astype(np.float32)
    return targets, right * targets + (1 - right) * (1 - targets)


_FORMS = {"probabilities": _probabilities, "images": _images}


def _pair(form: str, right: float = 0.7) -> Pair:
    return _FORMS[form](right)


def _over(pairs: list[Pair], metric: keras.Metric) -> np.ndarray:
    """The result for some batches, from the beginning."""
    metric.reset_state()
    for pair in pairs:
        metric.update_state(*pair)
    return np.asarray(keras.ops.convert_to_numpy(metric.result()))


def _value_problems(loss: keras.Loss, form: str) -> Iterator[tuple[str, str]]:
    for right in (0.7, 1.0, 0.0):  # also the best and the worst predictions there are, where logarithms end
        pair = _pair(form, right)
        each = keras.ops.convert_to_numpy(loss.call(*pair))
        if each.ndim and len(each) != _SAMPLES:
            yield f"for {_SAMPLES} samples it gives {each.shape}", f"a value for each: ({_SAMPLES},), or one for all"
            return
        if not np.isfinite(each).all():
            what = {1.0: "all right", 0.0: "all wrong"}.get(right, "in between")
            yield f"where predictions are {what}, it is {numbers(each.reshape(-1))}", "finite numbers"
        mean = float(loss(*pair))
        if np.isfinite(each).all() and not math.isfinite(mean):
            yield f"of the batch it is {mean}", "a finite number"


def _gradient_problems(loss: keras.Loss, form: str) -> Iterator[tuple[str, str]]:
    model = _model(form, loss=loss)
    targets, images = _pair(form)[0], np.random.default_rng(1).random((_SAMPLES, *_IMAGE)).astype(np.float32)
    before = model.get_weights()
    model.train_on_batch(images, targets)
    after = model.get_weights()
    if not all(np.isfinite(weight).all() for weight in after):
        yield "after a step of training, weights are no finite numbers", "finite gradients"
    elif all(np.array_equal(*pair) for pair in zip(before, after, strict=True)):
        yield "after a step of training, no weight has changed", "gradients"


def _accumulation_problems(metric: keras.Metric, form: str) -> Iterator[tuple[str, str]]:
    right, wrong = _pair(form, 0.9), _pair(form, 0.1)
    first = _over([right], metric)
    if not np.isfinite(first).all():
        yield f"it gives {numbers(first.reshape(-1))}", "finite numbers"
        return
    other, both, reverse = (_over(pairs, metric) for pairs in ([wrong], [right, wrong], [wrong, right]))
    if not _equal(first, other) and _equal(both, other) and _equal(reverse, first):
        yield "after two batches, it gives what the last one has alone", "both together"
    if not _equal(_over([right], metric), first):
        yield "after reset_state, the same batch gives another result", "a new beginning"


def _saving_problems(
    built: keras.Loss | keras.Metric, compiled: dict[str, Any], result: Callable[[keras.Model], Any], form: str
) -> Iterator[tuple[str, str]]:
    model, samples = _model(form, **compiled), (np.zeros((_SAMPLES, *_IMAGE), np.float32), _pair(form)[0])
    model.train_on_batch(*samples)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = load_model(path, own_object(built))
    loaded.test_on_batch(*samples)  # Keras makes the metrics of a model when it first needs them
    before, after = (np.asarray(keras.ops.convert_to_numpy(result(each))) for each in (model, loaded))
    if not _equal(before, after):
        found = f"{numbers(before.reshape(-1))} becomes {numbers(after.reshape(-1))}"
        yield f"saved and loaded again, {found}", "the same result"


def _model(form: str, **compiled: object) -> keras.Model:
    """A small model that gives what the form has, compiled."""
    images = layers.Input(_IMAGE)
    if form == "images":
        found = layers.Conv2D(_IMAGE[-1], 3, padding="same", activation="sigmoid")(images)
    else:
        found = layers.Dense(_NUM_CLASSES, activation="softmax")(layers.Flatten()(images))
    model = keras.Model(images, found)
    model.compile("sgd", jit_compile="auto" if keras.backend.backend() == "jax" else False, **compiled)
    return model


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return np.allclose(one, other, rtol=_SAME, atol=1e-7)
