"""Any registered plugin, checked as far as it goes here: what `kaz check` does."""

from collections.abc import Callable

from keras_azure.errors import DataUnavailable, DeviceError
from keras_azure.registry.options import missing_options, option_parameters
from keras_azure.registry.registry import AUGMENTATIONS, BACKENDS, DATASETS, MODELS, REGISTRIES
from keras_azure.registry.specs import Spec
from keras_azure.testing.augmentations import check_augmentation
from keras_azure.testing.datasets import check_dataset
from keras_azure.testing.findings import Findings, with_article
from keras_azure.testing.models import check_model


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
    if registry is not MODELS:  # a model's options all have defaults, or it breaks the contract
        for name in missing_options(spec, plugin, 0):
            return f"it needs the option {name!r}"
    try:
        if registry is MODELS:
            check_model(_without_weights(spec, plugin))
        elif registry is AUGMENTATIONS:
            check_augmentation(spec)
        elif registry is DATASETS:
            check_dataset(_without_download(spec, plugin))
        elif registry is BACKENDS:
            _check_backend(spec)
    except DataUnavailable:
        return "its data is not on this machine"
    except DeviceError:
        return "its device is not on this machine"
    return None


def _without_download(spec: Spec, plugin: Callable) -> Spec:
    return spec.with_options(download=False) if "download" in option_parameters(plugin, 0) else spec


def _without_weights(spec: Spec, plugin: Callable) -> Spec:
    option = option_parameters(plugin, 2).get("weights")
    if "weights" in spec.options or option is None or not isinstance(option.default, str):
        return spec
    return spec.with_options(weights="none")


def _check_backend(spec: Spec) -> None:
    backend = BACKENDS.build(spec)
    if not callable(getattr(backend, "run", None)):
        findings = Findings(f"The backend {spec.name!r}")
        findings.add(f"it builds {with_article(backend)} without a method run", "a keras_azure.backends.Backend")
        findings.settle()


# Each function below yields what is wrong and what was expected.
