"""Contract checks for plugin writers; `kaz check` runs the same ones over every installed plugin.

    from keras_azure.testing import check_model

    def test_my_net():
        check_model("my-net")

Each check takes the plugin itself or its registered name, and raises a ContractError that lists all it found.
"""

from keras_azure.testing.augmentations import check_augmentation
from keras_azure.testing.backends import check_backend
from keras_azure.testing.callbacks import check_callback
from keras_azure.testing.datasets import check_dataset
from keras_azure.testing.findings import ContractError
from keras_azure.testing.models import check_model
from keras_azure.testing.optimizers import check_optimizer
from keras_azure.testing.plugins import check_plugin
from keras_azure.testing.scores import check_loss, check_metric

__all__ = [
    "ContractError",
    "check_augmentation",
    "check_backend",
    "check_callback",
    "check_dataset",
    "check_loss",
    "check_metric",
    "check_model",
    "check_optimizer",
    "check_plugin",
]
