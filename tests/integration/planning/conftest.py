import pytest

from keras_azure.description.config import RunConfig
from keras_azure.planning.work import Pictures, work_of


@pytest.fixture(scope="session")
def work():
    """The work of a run: `work("cnn", batch_size=64)`; `shape`, `train`, ... tell of its pictures."""

    def make(model, *, shape=(28, 28, 1), classes=10, train=900, validation=100, test=200, **settings):
        names = tuple(map(str, range(classes)))
        config = RunConfig(model=model, **settings)
        return work_of(config, Pictures(shape, names, train, validation, test))

    return make
