"""Train an image classifier with Keras, on this machine or on an Azure ML GPU cluster, with one command.

    import keras_azure

    result = keras_azure.run("cnn", data="digits", epochs=3)
    result.test_accuracy, result.model, result.run_dir

The names below are imported when they are first used: importing keras_azure loads no TensorFlow.
"""

from importlib import import_module

_HOME = {
    "run": "keras_azure.api.runs",
    "resume": "keras_azure.api.runs",
    "submit": "keras_azure.api.runs",
    "job": "keras_azure.api.runs",
    "dry_run": "keras_azure.api.runs",
    "bench": "keras_azure.api.runs",
    "plan": "keras_azure.api.plans",
    "preview": "keras_azure.api.runs",
    "check_data": "keras_azure.api.check",
    "evaluate": "keras_azure.api.evaluation",
    "load": "keras_azure.api.runs",
    "report": "keras_azure.api.reports",
    "explain": "keras_azure.api.explanations",
    "runs": "keras_azure.api.compare",
    "compare": "keras_azure.api.compare",
    "RunConfig": "keras_azure.description.config",
    "RunResult": "keras_azure.description.result",
    "Spec": "keras_azure.registry.specs",
    "Observer": "keras_azure.description.events",
    "MODELS": "keras_azure.registry.registry",
    "AUGMENTATIONS": "keras_azure.registry.registry",
    "DATASETS": "keras_azure.registry.registry",
    "BACKENDS": "keras_azure.registry.registry",
    "CALLBACKS": "keras_azure.registry.registry",
    "LOSSES": "keras_azure.registry.registry",
    "METRICS": "keras_azure.registry.registry",
    "OPTIMIZERS": "keras_azure.registry.registry",
    "Augmentation": "keras_azure.augmentations.layer",
    "read_result": "keras_azure.description.folder",
    "ArrayDataset": "keras_azure.data.arrays",
    "TaskName": "keras_azure.data",
    "output_layer": "keras_azure.models.outputs",
    "transfer_model": "keras_azure.models.backbones",
    "features_model": "keras_azure.models.backbones",
    "start_from": "keras_azure.models.weights",
    "FeatureClassifier": "keras_azure.models.classic",
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
