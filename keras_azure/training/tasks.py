"""What a run is to do: a task for each kind, which knows what it is trained on and how it is judged.

`task_of` is the one place that chooses. A further task is a subclass here, and a line there.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from keras_azure.data import Dataset, TaskName
from keras_azure.data.label_forms import Scaling
from keras_azure.models.kinds import NETWORK, Kind, Model, kind_of
from keras_azure.models.measures import in_units, over_present_classes
from keras_azure.models.outputs import in_units as model_in_units
from keras_azure.training.evaluation import (
    Batches,
    Evaluation,
    Exam,
    ImageEvaluation,
    LabelsEvaluation,
    NumbersEvaluation,
    Predict,
    evaluate,
    evaluate_images,
    evaluate_labels,
    evaluate_numbers,
    predictions,
)
from keras_azure.training.scores import NO_THRESHOLD, best_thresholds, label_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Test = Evaluation | ImageEvaluation | LabelsEvaluation | NumbersEvaluation
About = Mapping[str, Any]  # what a model's file says of itself, JSON-safe


class Task(ABC):
    """What a run is to do.

    Attributes:
        name: in the words of a user.
        kind: of its model.
        scaling: of the numbers that a network is trained to give, or None.
        targets: what the model is to give for each image, as `pipeline.batches` knows it.
        loss: the spec of the loss that it has by default.
        augments_on_device: whether images may be augmented within the step.
    """

    name: str
    targets: Literal["labels", "pictures"] = "labels"
    loss: str = "categorical_crossentropy"
    augments_on_device: bool = True

    def __init__(self, kind: Kind = NETWORK, scaling: Scaling | None = None) -> None:
        self.kind = kind
        self.scaling = scaling

    @property
    def has_steps(self) -> bool:
        """Whether it is trained in steps, with a gradient; then checkpoints are made of it."""
        return self.kind is NETWORK

    def metrics(self) -> list[keras.metrics.Metric]:
        """Those that it always has, fresh; each also of the validation, where there is one."""
        return [keras.metrics.CategoricalAccuracy(name="accuracy")]

    def compiled_metrics(self, further: Sequence[keras.metrics.Metric]) -> list[keras.metrics.Metric]:
        """All metrics of training, of what a network gives in it.

        Args:
            further: those of the config.
        """
        return [*self.metrics(), *further]

    def batch(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Images and targets (batch, n), as tensors, as a step takes them."""
        return images, labels

    def scores(self, truth: np.ndarray, given: np.ndarray) -> dict[str, float]:
        """The same numbers as `metrics`, of all that was to be given, (n, count), and what was."""
        return {"accuracy": float((given.argmax(axis=1) == truth.argmax(axis=1)).mean())}

    def about(
        self, names: Sequence[str], predict: Predict, validation: Batches | None, tell: Callable[[str], None]
    ) -> About:
        """What the file of a trained model says of itself, besides what it is made of.

        Args:
            names: of labels or numbers.
            predict: of the model.
            validation: images and targets; None without.
            tell: hears what a user should know.
        """
        return {}

    def finished(self, model: Model, further: Sequence[keras.metrics.Metric]) -> Model:
        """The model as it is saved, of one that was trained.

        Args:
            further: the metrics of the config, fresh.
        """
        return model

    @abstractmethod
    def evaluate(self, exam: Exam, about: About) -> Test:
        """Tests a model that was saved.

        Args:
            about: what its file says.
        """

    @abstractmethod
    def figures(self, test: Any, dataset: Dataset) -> "Mapping[str, Figure]":
        """What shows the outcome of a test, each by the name of its file."""


class Classify(Task):
    """One class for each image, out of several."""

    name = "classify"

    def evaluate(self, exam: Exam, about: About) -> Evaluation:
        return evaluate(exam)

    def figures(self, test: Evaluation, dataset: Dataset) -> "Mapping[str, Figure]":
        from keras_azure.training.plots import confusion_matrix, worst_mistakes  # which training need not wait for

        return {
            "confusion_matrix": confusion_matrix(test, dataset.class_names),
            "worst_mistakes": worst_mistakes(test, dataset),
        }


class Multilabel(Task):
    """Several labels for each image, each there or not."""

    name = "multilabel"
    loss = "binary_crossentropy"

    def metrics(self) -> list[keras.metrics.Metric]:
        f1 = [keras.metrics.F1Score(each, threshold=NO_THRESHOLD, name=f"{each}_f1") for each in ("macro", "micro")]
        return [over_present_classes(metric) for metric in f1]

    def scores(self, truth: np.ndarray, given: np.ndarray) -> dict[str, float]:
        names = [str(label) for label in range(truth.shape[1])]
        found, _ = label_scores(truth >= NO_THRESHOLD, given, [NO_THRESHOLD] * len(names), names)
        return {name: found[name] for name in ("macro_f1", "micro_f1")}

    def about(
        self, names: Sequence[str], predict: Predict, validation: Batches | None, tell: Callable[[str], None]
    ) -> About:
        if validation is None:
            tell(f"Without validation images the threshold of each label is {NO_THRESHOLD}.")
            thresholds = [NO_THRESHOLD] * len(names)
        else:
            given, truth = predictions(predict, validation)
            thresholds = best_thresholds(truth, given)
        return {"task": self.name, "labels": list(names), "thresholds": thresholds}

    def evaluate(self, exam: Exam, about: About) -> LabelsEvaluation:
        return evaluate_labels(exam, about["thresholds"], about["labels"])

    def figures(self, test: LabelsEvaluation, dataset: Dataset) -> "Mapping[str, Figure]":
        from keras_azure.training.plots import precision_recall

        return {"precision_recall": precision_recall(test, dataset.class_names)}


class Regress(Task):
    """Numbers for each image. A network learns them brought to mean 0 and deviation 1, so that all of them count the
    same, and no optimizer has to do with their units; metrics and the saved model have the units."""

    name = "regress"
    loss = "mean_squared_error"

    def metrics(self) -> list[keras.metrics.Metric]:
        return [keras.metrics.MeanAbsoluteError(name="mae")]

    def compiled_metrics(self, further: Sequence[keras.metrics.Metric]) -> list[keras.metrics.Metric]:
        found = super().compiled_metrics(further)
        return found if self.scaling is None else [in_units(metric, self.scaling) for metric in found]

    def scores(self, truth: np.ndarray, given: np.ndarray) -> dict[str, float]:
        return {"mae": float(np.abs(truth - given).mean())}

    def about(
        self, names: Sequence[str], predict: Predict, validation: Batches | None, tell: Callable[[str], None]
    ) -> About:
        scaling = {} if self.scaling is None else {"scaling": dataclasses.asdict(self.scaling)}
        return {"task": self.name, "numbers": list(names), **scaling}

    def finished(self, model: Model, further: Sequence[keras.metrics.Metric]) -> Model:
        if not isinstance(model, keras.Model) or self.scaling is None:
            return model
        made, metrics = model_in_units(model, self.scaling), [*self.metrics(), *further]
        made.compile(optimizer=model.optimizer, loss=model.loss, metrics=metrics, jit_compile=model.jit_compile)
        return made

    def evaluate(self, exam: Exam, about: About) -> NumbersEvaluation:
        return evaluate_numbers(exam, self.scaling, about["numbers"])

    def figures(self, test: NumbersEvaluation, dataset: Dataset) -> "Mapping[str, Figure]":
        from keras_azure.training.plots import predicted_over_true, residuals

        names = dataset.class_names
        return {"predicted_over_true": predicted_over_true(test, names), "residuals": residuals(test, names)}


class GiveBack(Task):
    """The image itself, as an autoencoder gives it back; levels 0..1."""

    name = "give back images"
    targets = "pictures"
    loss = "mean_squared_error"
    augments_on_device = False  # what is to come back is the augmented image, which only the host has apart

    def metrics(self) -> list[keras.metrics.Metric]:
        return []

    def batch(self, images: Any, labels: Any) -> tuple[Any, Any]:
        return images, keras.ops.cast(images, "float32") / 255

    def scores(self, truth: np.ndarray, given: np.ndarray) -> dict[str, float]:
        return {}

    def evaluate(self, exam: Exam, about: About) -> ImageEvaluation:
        return evaluate_images(exam)

    def figures(self, test: ImageEvaluation, dataset: Dataset) -> "Mapping[str, Figure]":
        from keras_azure.training.plots import reconstructions

        return {"reconstructions": reconstructions(test)}


CLASSIFY, GIVE_BACK = Classify(), GiveBack()
_OF_LABELS: dict[TaskName, type[Task]] = {"classify": Classify, "multilabel": Multilabel, "regress": Regress}


def task_of(model: Model, labels: TaskName = "classify", scaling: Scaling | None = None) -> Task:
    """The task of a model that keeps its contract.

    Args:
        labels: what those of the data are for.
        scaling: of numbers to train a network on.
    """
    kind = kind_of(model)
    if kind is NETWORK and len(NETWORK.output_shape(model)) == 4:
        return GIVE_BACK
    return _OF_LABELS[labels](kind or NETWORK, scaling)


def task_of_labels(labels: TaskName) -> Task:
    """The task of a network for such labels."""
    return _OF_LABELS[labels]()
