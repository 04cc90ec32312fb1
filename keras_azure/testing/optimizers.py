"""The contract of optimizers."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers

from keras_azure.models.saving import load_model, own_object
from keras_azure.registry.registry import OPTIMIZERS
from keras_azure.registry.specs import Spec
from keras_azure.testing.findings import Findings, name_of, with_article

_SAME = 1e-6
_STEPS = 3
_RATE = 0.01


def check_optimizer(optimizer: keras.Optimizer | type[keras.Optimizer] | str | Spec) -> None:
    """Checks an optimizer: its steps change weights, its learning rate can be set, and its state can be restored.

    Args:
        optimizer: a `keras.Optimizer` that was not used yet, its class, or the spec of a registered one.

    Raises:
        ContractError: the optimizer breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.

    Example:
        check_optimizer("my-optimizer(momentum=0.5)")
    """
    findings = Findings(f"The optimizer {name_of(optimizer)!r}")
    if isinstance(optimizer, str | Spec):
        optimizer = OPTIMIZERS.build(optimizer)
    elif isinstance(optimizer, type):
        optimizer = optimizer()
    if not isinstance(optimizer, keras.Optimizer):
        findings.add(f"it is {with_article(optimizer)}", "a keras.Optimizer")
        findings.settle()
    with findings.when("described by get_config and made again by from_config", "all of its options in get_config()"):
        config = optimizer.get_config()
        type(optimizer).from_config(config)
    findings.settle()
    with findings.when("training for some steps"):
        findings.extend(_step_problems(type(optimizer), config))
    with findings.when("saved in a model and loaded again in safe mode"):
        findings.extend(_saving_problems(type(optimizer).from_config(config)))
    findings.settle()


def _step_problems(kind: type[keras.Optimizer], config: dict[str, object]) -> Iterator[tuple[str, str]]:
    model = _model(kind.from_config(config))
    weights, states = [_values(model.trainable_variables)], []
    for step in range(_STEPS):
        states.append(_values(model.optimizer.variables))
        _take_step(model, step)
        weights.append(_values(model.trainable_variables))
    if not all(np.isfinite(weight).all() for weight in weights[-1]):
        yield f"after {_STEPS} steps, weights are no finite numbers", "finite weights"
    for before, after in itertools.pairwise(weights):
        if _equal(before, after, 0):
            yield "a step changes no weight", "weights that learn"
            return
    if int(keras.ops.convert_to_numpy(model.optimizer.iterations)) != _STEPS:
        yield f"after {_STEPS} steps it has counted {int(model.optimizer.iterations)}", "the number of steps"

    # As a run that is resumed: another optimizer, with the state of before the last step.
    resumed = _model(kind.from_config(config))
    resumed.optimizer.build(resumed.trainable_variables)
    _assign(resumed.trainable_variables, weights[-2])
    if len(resumed.optimizer.variables) != len(states[-1]):
        yield (
            f"in use it has {len(states[-1])} variables, and built {len(resumed.optimizer.variables)}",
            ("all variables in build()"),
        )
        return
    _assign(resumed.optimizer.variables, states[-1])
    _take_step(resumed, _STEPS - 1)
    if not _equal(_values(resumed.trainable_variables), weights[-1], _SAME):
        yield "with its variables restored, the next step is another one", "all of its state in its variables"

    slower = _model(kind.from_config(config), rate=_RATE / 10)
    _take_step(slower, 0)
    if _equal(_values(slower.trainable_variables), weights[1], 0):
        yield "with another learning rate, a step changes weights by as much", "steps that follow the learning rate"


def _saving_problems(optimizer: keras.Optimizer) -> Iterator[tuple[str, str]]:
    model = _model(optimizer)
    _take_step(model, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = load_model(path, own_object(optimizer))
    if not _equal(_values(loaded.optimizer.variables), _values(model.optimizer.variables), 0):
        yield "saved and loaded again, its variables are others", "the same"


def _model(optimizer: keras.Optimizer, rate: float = _RATE) -> keras.Model:
    optimizer.learning_rate = rate  # as a run sets it
    ramp = keras.initializers.Constant(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax", kernel_initializer=ramp)])
    jit_compile = "auto" if keras.backend.backend() == "jax" else False
    model.compile(optimizer, "categorical_crossentropy", jit_compile=jit_compile)
    optimizer.build(model.trainable_variables)
    return model


def _take_step(model: keras.Model, step: int) -> None:
    rng = np.random.default_rng(step)
    model.train_on_batch(rng.random((6, 4)).astype(np.float32), np.eye(3, dtype=np.float32)[rng.integers(0, 3, 6)])


def _values(variables: list[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _equal(one: list[np.ndarray], other: list[np.ndarray], difference: float) -> bool:
    return all(np.allclose(*pair, rtol=0, atol=difference) for pair in zip(one, other, strict=True))
