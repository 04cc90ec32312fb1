"""The model of a run, built and compiled as its config says."""

from types import ModuleType
from typing import Any

import keras

from keras_azure.config import RunConfig
from keras_azure.datasets import Dataset
from keras_azure.errors import BrokenPlugin, WrongOption
from keras_azure.registry import AUGMENTATIONS, MODELS, as_spec
from keras_azure.training.standardizing import Statistics, standardized


def check_options(config: RunConfig) -> None:
    """Finds wrong options before any picture is read.

    Raises:
        WrongOption: an option of the model, an augmentation, the optimizer, the loss or a metric is wrong.
        BrokenPlugin: a plugin cannot be imported.
    """
    MODELS.check_options(config.model, positional=2)
    for augmentation in config.augment:
        AUGMENTATIONS.build(augmentation)  # which also finds values that are out of their range
    build_optimizer(config)
    build_loss(config)
    build_metrics(config)


def build_model(config: RunConfig, dataset: Dataset, device: str, statistics: Statistics | None = None) -> keras.Model:
    """The compiled model for the pictures and classes of `dataset`; `statistics` are those to standardise by.

    Raises:
        WrongOption: an option of the model, the optimizer, the loss or a metric is wrong.
        BrokenPlugin: the model plugin fails or breaks its contract.
    """
    num_classes = len(dataset.class_names)
    # Just before the layers draw their seeds: what was imported or read until now may have drawn as well.
    keras.utils.set_random_seed(config.seed)
    model = MODELS.build(config.model, dataset.image_shape, num_classes)
    if not isinstance(model, keras.Model) or model.output_shape != (None, num_classes):
        made = f"outputs of {model.output_shape}" if isinstance(model, keras.Model) else f"a {type(model).__name__}"
        raise BrokenPlugin(
            f"The model {config.model} gives {made}.",
            expected=f"a keras.Model with one probability for each of {num_classes} classes",
            hint=f"kaz check {as_spec(config.model).name}",
        )
    model = standardized(model, config.standardize, statistics)
    compile_model(model, config, device, build_optimizer(config))
    return model


def compile_model(model: keras.Model, config: RunConfig, device: str, optimizer: keras.optimizers.Optimizer) -> None:
    model.compile(
        optimizer=optimizer,
        loss=build_loss(config),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy"), *build_metrics(config)],
        # On a CPU TensorFlow's own kernels (oneDNN) train convolutions about twice as fast as XLA's; on a GPU, and
        # under JAX, which knows nothing else, XLA wins.
        jit_compile=False if keras.backend.backend() == "tensorflow" and device.startswith("cpu") else "auto",
    )


def build_optimizer(config: RunConfig) -> keras.optimizers.Optimizer:
    # With a name: Keras's own names count up within a process, and would make equal models unequal files.
    name = as_spec(config.optimizer).name
    optimizer = _from_keras("optimizer", config.optimizer, keras.optimizers, name=name)
    if config.learning_rate is not None:
        optimizer.learning_rate = config.learning_rate
    return optimizer


def build_loss(config: RunConfig) -> keras.losses.Loss:
    return _from_keras("loss", config.loss, keras.losses)


def build_metrics(config: RunConfig) -> list[keras.metrics.Metric]:
    """The metrics that the config adds to accuracy, fresh."""
    return [_from_keras("metric", metric, keras.metrics) for metric in config.metrics]


def _from_keras(kind: str, spec: str, module: ModuleType, **defaults: Any) -> Any:
    """An object of keras.optimizers, keras.losses or keras.metrics from a spec such as `sgd(momentum=0.9)`."""
    spec = as_spec(spec)
    classes = {name.lower(): value for name, value in vars(module).items() if isinstance(value, type)}
    try:
        return classes[spec.name.replace("_", "")](**defaults | spec.options)
    except (TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WrongOption(f"The {kind} {spec} is not accepted by Keras: {reason}") from error
