"""Train an image classifier with Keras, on this machine or on an Azure ML GPU cluster, with one command.

    import keras_azure

    result = keras_azure.run("cnn", data="digits", epochs=3)
    result.test_accuracy, result.model, result.run_dir

The names below are imported when they are first used: importing keras_azure loads no TensorFlow.
"""

from importlib import import_module

_HOME = {
    "run": "keras_azure.api",
    "resume": "keras_azure.api",
    "submit": "keras_azure.api",
    "job": "keras_azure.api",
    "dry_run": "keras_azure.api",
    "bench": "keras_azure.api",
    "plan": "keras_azure.plans",
    "preview": "keras_azure.api",
    "load": "keras_azure.api",
    "RunConfig": "keras_azure.config",
    "RunResult": "keras_azure.config",
    "Spec": "keras_azure.specs",
    "Observer": "keras_azure.observers",
    "MODELS": "keras_azure.registry",
    "AUGMENTATIONS": "keras_azure.registry",
    "DATASETS": "keras_azure.registry",
    "BACKENDS": "keras_azure.registry",
    "ArrayDataset": "keras_azure.datasets",
    "transfer_model": "keras_azure.transfer",
    "features_model": "keras_azure.transfer",
    "start_from": "keras_azure.transfer",
    "FeatureClassifier": "keras_azure.transfer",
    "KerasAzureError": "keras_azure.errors",
}
__all__ = [*_HOME, "__version__"]


def __getattr__(name: str):
    if name == "__version__":
        return import_module("importlib.metadata").version("keras-azure")
    if name not in _HOME:
        raise AttributeError(f"module 'keras_azure' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
