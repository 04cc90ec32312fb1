"""Any registered plugin, checked as far as it goes here: what `kaz check` does."""

from collections.abc import Callable

from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import DataUnavailable, DeviceError
from keras_azure.registry.options import missing_options, option_parameters
from keras_azure.registry.registry import (
    AUGMENTATIONS,
    BACKENDS,
    CALLBACKS,
    DATASETS,
    LOSSES,
    METRICS,
    MODELS,
    OPTIMIZERS,
    REGISTRIES,
    Registry,
    takes_labels,
)
from keras_azure.registry.specs import Spec
from keras_azure.testing.augmentations import check_augmentation
from keras_azure.testing.backends import check_backend
from keras_azure.testing.callbacks import check_callback
from keras_azure.testing.datasets import check_dataset
from keras_azure.testing.models import check_model
from keras_azure.testing.optimizers import check_optimizer
from keras_azure.testing.scores import check_loss, check_metric


def check_plugin(kind: str, spec: Spec) -> str | None:
    """Checks one registered plugin as far as it goes without a network, and options that only a user can give.

    A model with an option `weights` is checked with weights="none", unless the spec has other ones.

    Args:
        kind: the registry's word for it: "model".

    Returns:
        Why not all was checked, or None when it was.

    Raises:
        KerasAzureError: the plugin cannot be loaded or breaks its contract.
    """
    registry = next(registry for registry in REGISTRIES if registry.kind == kind)
    plugin = registry.load(spec)
    for name in missing_options(spec, plugin, _positional(registry, plugin)):
        if registry is not MODELS:  # a model's options all have defaults, or it breaks the contract
            return f"it needs the option {name!r}"
    if registry is MODELS:
        spec = _without_weights(spec, plugin)
    elif registry is DATASETS:
        spec = _without_download(spec, plugin)
    try:
        with keras_settings():
            _CHECKS[registry](spec)
    except DataUnavailable:
        return "its data is not on this machine"
    except DeviceError:
        return "its device is not on this machine"
    return None


_CHECKS: dict[Registry[object], Callable[[Spec], None]] = {
    MODELS: check_model,
    AUGMENTATIONS: check_augmentation,
    DATASETS: check_dataset,
    BACKENDS: check_backend,
    CALLBACKS: check_callback,
    LOSSES: check_loss,
    METRICS: check_metric,
    OPTIMIZERS: check_optimizer,
}


def _positional(registry: Registry[object], plugin: Callable[..., object]) -> int:
    """How many arguments the plugin is given beside its options."""
    if registry is MODELS or (registry in (LOSSES, METRICS) and takes_labels(plugin)):
        return 2
    return 0


def _without_download(spec: Spec, plugin: Callable[..., object]) -> Spec:
    return spec.with_options(download=False) if "download" in option_parameters(plugin, 0) else spec


def _without_weights(spec: Spec, plugin: Callable[..., object]) -> Spec:
    option = option_parameters(plugin, 2).get("weights")
    if "weights" in spec.options or option is None or not isinstance(option.default, str):
        return spec
    return spec.with_options(weights="none")
