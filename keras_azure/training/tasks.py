"""What a run is to do: a task for each kind, which knows what it is trained on and how it is judged.

`task_of` is the one place that chooses. A further task is a subclass here, and a line there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import keras

from keras_azure.data import Dataset
from keras_azure.models.kinds import CLASSIFIER, NETWORK, Kind, Model, kind_of
from keras_azure.training.evaluation import Evaluation, ImageEvaluation, evaluate, evaluate_images

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Task(ABC):
    """What a run is to do.

    Attributes:
        name: in the words of a user.
        kind: of its model.
        targets: what the model is to give for each image, as `pipeline.batches` knows it.
        loss: the spec of the loss that it has by default.
        has_steps: whether it is trained in steps, with a gradient; then checkpoints are made of it.
        augments_on_device: whether images may be augmented within the step.
        evaluate: tests a model, as the functions of `evaluation` do.
    """

    name: str
    kind: Kind = NETWORK
    targets: Literal["labels", "pictures"] = "labels"
    loss: str = "categorical_crossentropy"
    has_steps: bool = True
    augments_on_device: bool = True
    evaluate: ClassVar[Callable[..., Evaluation | ImageEvaluation]]

    def metrics(self) -> list[keras.metrics.Metric]:
        """Those that it always has, fresh; each also of the validation, where there is one."""
        return [keras.metrics.CategoricalAccuracy(name="accuracy")]

    def batch(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Images and one-hot labels, as tensors, as a step takes them."""
        return images, labels

    @abstractmethod
    def figures(self, test: Any, dataset: Dataset) -> "Mapping[str, Figure]":
        """What shows the outcome of a test, each by the name of its file."""


class Classify(Task):
    """One class for each image, out of several."""

    name = "classify"
    evaluate = staticmethod(evaluate)

    def figures(self, test: Evaluation, dataset: Dataset) -> "Mapping[str, Figure]":
        from keras_azure.training.plots import confusion_matrix, worst_mistakes  # which training need not wait for

        return {
            "confusion_matrix": confusion_matrix(test, dataset.class_names),
            "worst_mistakes": worst_mistakes(test, dataset),
        }


class ClassifyFeatures(Classify):
    """The same by a classifier of scikit-learn, fitted to the features of a network that stays as it is."""

    name = "classify features"
    kind = CLASSIFIER
    has_steps = False


class GiveBack(Task):
    """The image itself, as an autoencoder gives it back; levels 0..1."""

    name = "give back images"
    evaluate = staticmethod(evaluate_images)
    targets = "pictures"
    loss = "mean_squared_error"
    augments_on_device = False  # what is to come back is the augmented image, which only the host has apart

    def metrics(self) -> list[keras.metrics.Metric]:
        return []

    def batch(self, images: Any, labels: Any) -> tuple[Any, Any]:
        return images, keras.ops.cast(images, "float32") / 255

    def figures(self, test: ImageEvaluation, dataset: Dataset) -> "Mapping[str, Figure]":
        from keras_azure.training.plots import reconstructions

        return {"reconstructions": reconstructions(test)}


CLASSIFY, CLASSIFY_FEATURES, GIVE_BACK = Classify(), ClassifyFeatures(), GiveBack()


def task_of(model: Model) -> Task:
    """The task of a model that keeps its contract."""
    if kind_of(model) is CLASSIFIER:
        return CLASSIFY_FEATURES
    return GIVE_BACK if len(NETWORK.output_shape(model)) == 4 else CLASSIFY
