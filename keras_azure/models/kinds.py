"""The kinds of models: a network of Keras, and a classifier of scikit-learn on the features of one.

kind = kind_of(model)
kind.network(model).count_params()
kind.save(model, run_dir / kind.file)
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_azure.models.archive import about_archive
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.saving import about_model, load_model, load_run_model, save_model

Model: TypeAlias = keras.Model | FeatureClassifier
Shape = tuple[int | None, ...]


class Kind(ABC):
    """What is done with models of a kind.

    Attributes:
        file: what its file in a run folder is called.
    """

    file: str

    @abstractmethod
    def network(self, model: Any) -> keras.Model:
        """What Keras computes of it."""

    @abstractmethod
    def with_network(self, model: Any, network: keras.Model) -> Model:
        """The model with another network in place of its own."""

    @abstractmethod
    def output_shape(self, model: Any) -> Shape:
        """What comes out, with None for the batch."""

    @abstractmethod
    def predict(self, model: Any, pixels: np.ndarray) -> np.ndarray:
        """What comes out for images (batch, height, width, channels), 0..255, which are one batch."""

    @abstractmethod
    def save(self, model: Any, path: Path, about: Mapping[str, Any] = MappingProxyType({})) -> None:
        """
        Args:
            about: what the file says of the model besides, JSON-safe.

        Raises:
            RunFailed: the disk is full or not writable, or the model cannot be saved.
        """

    @abstractmethod
    def load(self, path: Path, own: Mapping[str, Any] = MappingProxyType({})) -> Model:
        """What `save` wrote; no code of the file is run.

        Args:
            own: what the file may name beside parts of Keras's models: see `saving.own_objects`.

        Raises:
            RunFailed: the file is not there, damaged, unsafe, or another one.
        """

    @abstractmethod
    def about(self, path: Path) -> Mapping[str, Any]:
        """What `save` was to say of the model besides.

        Raises:
            RunFailed: the file is damaged.
        """

    @abstractmethod
    def load_of_run(self, run_dir: Path, path: Path) -> Model:
        """The same of a finished run, also where its loss, metrics or optimizer are not here.

        Raises:
            RunFailed: the file is not there, damaged, unsafe, or another one.
        """


class Network(Kind):
    """A `keras.Model`."""

    file = "model.keras"

    def network(self, model: keras.Model) -> keras.Model:
        return model

    def with_network(self, model: keras.Model, network: keras.Model) -> keras.Model:
        return network

    def output_shape(self, model: keras.Model) -> Shape:
        return model.output_shape

    def predict(self, model: keras.Model, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(pixels))

    def save(self, model: keras.Model, path: Path, about: Mapping[str, Any] = MappingProxyType({})) -> None:
        save_model(model, path, about)

    def about(self, path: Path) -> Mapping[str, Any]:
        return about_model(path)

    def load(self, path: Path, own: Mapping[str, Any] = MappingProxyType({})) -> Model:
        return load_model(path, own)

    def load_of_run(self, run_dir: Path, path: Path) -> Model:
        return load_run_model(run_dir, path)


class Classifier(Kind):
    """A `FeatureClassifier`."""

    file = "model.zip"

    def network(self, model: FeatureClassifier) -> keras.Model:
        return model.features

    def with_network(self, model: FeatureClassifier, network: keras.Model) -> FeatureClassifier:
        return dataclasses.replace(model, features=network)

    def output_shape(self, model: FeatureClassifier) -> Shape:
        return (None, model.num_classes)

    def predict(self, model: FeatureClassifier, pixels: np.ndarray) -> np.ndarray:
        return model.predict(pixels)

    def save(self, model: FeatureClassifier, path: Path, about: Mapping[str, Any] = MappingProxyType({})) -> None:
        model.save(path, about)

    def about(self, path: Path) -> Mapping[str, Any]:
        return about_archive(path)

    def load(self, path: Path, own: Mapping[str, Any] = MappingProxyType({})) -> FeatureClassifier:
        return FeatureClassifier.load(path)

    def load_of_run(self, run_dir: Path, path: Path) -> FeatureClassifier:
        return FeatureClassifier.load(path)


NETWORK, CLASSIFIER = Network(), Classifier()
KINDS: tuple[Kind, ...] = (NETWORK, CLASSIFIER)


def kind_of(model: object) -> Kind | None:
    """The kind of a model; None of what is no model."""
    if isinstance(model, keras.Model):
        return NETWORK
    return CLASSIFIER if isinstance(model, FeatureClassifier) else None


def kind_of_file(path: Path) -> Kind:
    """The kind of the model in a file, by its name's ending."""
    return next((kind for kind in KINDS if path.suffix == Path(kind.file).suffix), NETWORK)
