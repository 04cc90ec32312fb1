"""The contract checks of losses, metrics, optimizers and callbacks: good ones pass, and each bad one is told why."""

import types

import keras
import numpy as np
import pytest
from fixtures.names import name_of
from keras import ops

from keras_azure.errors import UnknownName, WrongOption
from keras_azure.registry.specs import Spec
from keras_azure.testing import (
    ContractError,
    check_callback,
    check_loss,
    check_metric,
    check_optimizer,
    check_plugin,
)


def refused(check, plugin) -> str:
    with pytest.raises(ContractError) as caught:
        check(plugin)
    text = str(caught.value)
    assert len(text) < 2000
    return text


def squares(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def of_images(y_true, y_pred):
    """Takes images alone."""
    return ops.mean(ops.square(y_true - y_pred), axis=(1, 2, 3))


@pytest.mark.parametrize(
    "loss",
    [squares, of_images, keras.losses.Dice(), keras.losses.Huber, "categorical_crossentropy", Spec("poisson")],
    ids=name_of,
)
def test_good_losses_pass(loss):
    check_loss(loss)


def logarithm(y_true, y_pred):
    return -ops.sum(y_true * ops.log(y_pred), axis=-1)


def of_each_class(y_true, y_pred):
    return ops.square(y_true - y_pred)[0]


def without_gradients(y_true, y_pred):
    return ops.mean(ops.abs(y_true - ops.stop_gradient(y_pred)), axis=-1) + 0 * ops.sum(y_pred, axis=-1)


def of_numbers_alone(y_true, y_pred):
    return np.mean(ops.convert_to_numpy(y_true) - ops.convert_to_numpy(y_pred), axis=-1)


def fails(y_true, y_pred):
    raise RuntimeError("no luck")


class Forgetful(keras.losses.Loss):
    def __init__(self, factor=1.0, name="forgetful"):
        super().__init__(name=name)
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * squares(y_true, y_pred)

    def get_config(self):
        return {"name": self.name}


@pytest.mark.parametrize(
    ("loss", "problem", "expected"),
    [
        (logarithm, "where predictions are all wrong, it is [inf", "finite numbers"),
        (of_each_class, "for 6 samples it gives (3,)", "a value for each: (6,)"),
        (without_gradients, "after a step of training, no weight has changed", "gradients"),
        (of_numbers_alone, "training on probabilities for a step, it raises", "no error"),
        (fails, "given images, it raises RuntimeError: no luck", "no error"),
        (Forgetful(factor=3.0), "saved and loaded again, ", "the same result"),
        (keras.metrics.AUC(), "it is an AUC", "a keras.Loss"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_bad_loss_is_told_what_is_wrong(loss, problem, expected):
    text = refused(check_loss, loss)
    assert text.startswith("The loss '")
    assert problem in text
    assert expected in text


class Accumulating(keras.Metric):
    """The mean of all predictions: a good metric, which each bad one spoils."""

    def __init__(self, name="accumulating", **settings):
        super().__init__(name=name, **settings)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(ops.sum(y_true * y_pred))
        self.count.assign_add(ops.cast(ops.shape(y_pred)[0], "float32"))

    def result(self):
        return self.total / self.count


class LastBatch(Accumulating):
    def update_state(self, y_true, y_pred, sample_weight=None):
        self.reset_state()
        super().update_state(y_true, y_pred)


class NeverReset(Accumulating):
    def reset_state(self):
        pass


class Infinite(Accumulating):
    def result(self):
        return self.total / 0.0


class ForgetfulMetric(Accumulating):
    def __init__(self, factor=1.0, **settings):
        super().__init__(**settings)
        self.factor = factor

    def result(self):
        return self.factor * super().result()


@pytest.mark.parametrize(
    "metric",
    [squares, of_images, Accumulating, keras.metrics.F1Score(), "top_k_categorical_accuracy(k=2)"],
    ids=name_of,
)
def test_good_metrics_pass(metric):
    check_metric(metric)


@pytest.mark.parametrize(
    ("metric", "problem", "expected"),
    [
        (LastBatch(), "after two batches, it gives what the last one has alone", "both together"),
        (NeverReset(), "after reset_state, the same batch gives another result", "a new beginning"),
        (Infinite(), "it gives [inf]", "finite numbers"),
        (ForgetfulMetric(factor=2.0), "saved and loaded again, ", "the same result"),
        (fails, "given probabilities, it raises RuntimeError: no luck", "no error"),
        (keras.losses.Huber(), "it is a Huber", "a keras.Metric"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_bad_metric_is_told_what_is_wrong(metric, problem, expected):
    text = refused(check_metric, metric)
    assert text.startswith("The metric '")
    assert problem in text
    assert expected in text


class Descent(keras.Optimizer):
    """A good optimizer with a state, which each bad one spoils."""

    def __init__(self, learning_rate=0.1, momentum=0.9, **settings):
        super().__init__(learning_rate=learning_rate, **settings)
        self.momentum = momentum

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.averages = self.add_optimizer_variables(variables, "average")

    def update_step(self, gradient, variable, learning_rate):
        average = self.averages[self._get_variable_index(variable)]
        self.assign(average, self.momentum * average + gradient)
        self.assign_sub(variable, learning_rate * average)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


class Still(Descent):
    def update_step(self, gradient, variable, learning_rate):
        pass


class OwnPace(Descent):
    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, 0.01 * gradient)


class HiddenState(Descent):
    def build(self, variables):
        if not self.built:
            keras.Optimizer.build(self, variables)
            averages = [keras.Variable(ops.zeros(each.shape), trainable=False) for each in variables]
            self.hidden = types.SimpleNamespace(averages=averages)  # where Keras does not look for variables

    @property
    def averages(self):
        return self.hidden.averages


class NoConfig(Descent):
    def __init__(self, factor, **settings):
        super().__init__(**settings)

    def get_config(self):
        return {"learning_rate": 0.1}


@pytest.mark.parametrize(
    "optimizer",
    [Descent, Descent(momentum=0.5), "adamw(weight_decay=0.1)", Spec("ftrl"), keras.optimizers.Lion()],
    ids=name_of,
)
def test_good_optimizers_pass(optimizer):
    check_optimizer(optimizer)


@pytest.mark.parametrize(
    ("optimizer", "problem", "expected"),
    [
        (Still(), "a step changes no weight", "weights that learn"),
        (OwnPace(), "with another learning rate, a step changes weights by as much", "follow the learning rate"),
        (HiddenState(), "with its variables restored, the next step is another one", "in its variables"),
        (NoConfig(2), "made again by from_config, it raises TypeError", "all of its options in get_config()"),
        (keras.losses.Huber(), "it is a Huber", "a keras.Optimizer"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_bad_optimizer_is_told_what_is_wrong(optimizer, problem, expected):
    text = refused(check_optimizer, optimizer)
    assert text.startswith("The optimizer '")
    assert problem in text
    assert expected in text


class Counter(keras.callbacks.Callback):
    """A good callback with a state, which each bad one spoils."""

    def __init__(self):
        super().__init__()
        self.epochs = 0
        self.losses = np.zeros(2)

    def on_epoch_end(self, epoch, logs=None):
        self.losses[epoch] = logs["val_loss"]
        self.epochs += 1

    def get_state(self):
        return {"epochs": self.epochs, "losses": self.losses}

    def set_state(self, state):
        self.epochs, self.losses = state["epochs"], np.array(state["losses"])


class WithoutState(keras.callbacks.Callback):
    pass


class HalfState(keras.callbacks.Callback):
    def get_state(self):
        return 1


class StrangeState(Counter):
    def get_state(self):
        return {"epochs": object()}


class LostState(Counter):
    def set_state(self, state):
        pass


class WantsMore(keras.callbacks.Callback):
    def on_epoch_end(self, epoch):
        pass


@pytest.mark.parametrize(
    "callback",
    [Counter(), Counter, WithoutState(), "reduce_lr_on_plateau(patience=1)", Spec("csv_logger", {"filename": "x.csv"})],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_good_callbacks_pass(callback, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_callback(callback)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("callback", "problem", "expected"),
    [
        (HalfState(), "it has get_state alone", "get_state and set_state, or neither"),
        (StrangeState(), "cannot be kept in a checkpoint", "numbers, texts"),
        (LostState(), "after it was restored", "the same state"),
        (WantsMore(), "following a training, it raises TypeError", "no error"),
        (print, "it is a builtin_function_or_method", "a keras.callbacks.Callback"),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_bad_callback_is_told_what_is_wrong(callback, problem, expected):
    text = refused(check_callback, callback)
    assert text.startswith("The callback '")
    assert problem in text
    assert expected in text


PLUGINS = """
    import keras

    def far(y_true, y_pred, *, power: float = 2.0):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** power, axis=-1)

    class Patience(keras.callbacks.Callback):
        def __init__(self, *, epochs: int):
            super().__init__()
"""


def test_installed_ones_are_checked_by_name(install_plugin, kaz):
    entries = "far = kaz_given:far"
    install_plugin(
        "kaz-given",
        {"losses": entries, "metrics": entries, "callbacks": "patient = kaz_given:Patience"},
        PLUGINS,
    )
    assert check_plugin("loss", Spec("far", {"power": 1})) is None
    assert check_plugin("metric", Spec("far")) is None
    assert check_plugin("callback", Spec("patient")) == "it needs the option 'epochs'"
    assert check_plugin("callback", Spec("patient", {"epochs": 3})) is None
    code, out, _ = kaz("check", "far")
    assert (code, out.splitlines()[:2]) == (0, ["ok      loss far", "ok      metric far"])


def test_what_is_not_the_plugins_fault_is_an_error_of_its_own():
    with pytest.raises(UnknownName, match="Did you mean 'huber'"):
        check_loss("hubber")
    with pytest.raises(WrongOption, match="momentum"):
        check_optimizer("sgd(momentum=3)")
