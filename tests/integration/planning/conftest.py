import pytest

from keras_azure.augmentations import build_augment
from keras_azure.description.config import RunConfig
from keras_azure.planning.work import work_of
from keras_azure.training.data import DataFacts


@pytest.fixture(scope="session")
def work():
    """The work of a run: `work("cnn", batch_size=64)`; `shape`, `train`, ... tell of its pictures."""

    def make(model, *, shape=(28, 28, 1), classes=10, train=900, validation=100, test=200, **settings):
        names = tuple(map(str, range(classes)))
        config = RunConfig(model=model, **settings)
        augment = build_augment(config.augment, shape, classes)
        return work_of(config, DataFacts(shape, names, train, validation, test, augment))

    return make
