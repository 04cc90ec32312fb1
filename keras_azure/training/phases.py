"""What a run trains, one after another: `phases`, which the trainer goes through, and with it plans and benches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import keras

from keras_azure.description.config import RunConfig
from keras_azure.description.events import PhaseFacts
from keras_azure.description.stages import Stage, learning_rates
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.kinds import Model
from keras_azure.training.compiling import build_optimizer, compile_model, initial_learning_rate
from keras_azure.training.data import DataFacts
from keras_azure.training.fine_tuning import check_stages, enter_stage, head_alone, parts_to_train_apart
from keras_azure.training.placement import Placement, placement_of
from keras_azure.training.tasks import Task, task_of


@dataclass(frozen=True)
class Phase:
    """A part of a run in which all steps are alike.

    Attributes:
        task: of the run.
        stage: of fine-tuning.
        learning_rate: the highest; None without steps.
        steps_per_epoch, images_per_epoch: of training; the last step of an epoch may have fewer images.
        validation_images: of each epoch.
        model: what is trained, compiled: the model, or its head alone; or the classifier that is fitted.
        features: the network whose outputs are trained on in place of the images; they are computed once.
        feature_images: how many images these are computed of.
        augment_on: where images are augmented; None if they are not.
        line: for the user, or nothing.
    """

    task: Task
    stage: Stage
    learning_rate: float | None
    steps_per_epoch: int
    images_per_epoch: int
    validation_images: int
    model: Model
    features: keras.Model | None
    feature_images: int
    augment_on: Literal["host", "device", "tried"] | None
    line: str = ""

    def facts(self, augment_on: Placement | None = None) -> PhaseFacts:
        """What is told of it.

        Args:
            augment_on: where images are augmented, if that was tried.
        """
        network = self.task.kind.network(self.model)
        return PhaseFacts(
            kind="train" if self.task.has_steps else "fit",
            stage=self.stage.number,
            epochs=self.stage.epochs,
            steps_per_epoch=self.steps_per_epoch,
            learning_rate=self.learning_rate,
            variables=tuple(each.path for each in network.trainable_variables) if self.task.has_steps else (),
            input="images" if self.features is None else "features",
            augment_on=augment_on or self.augment_on,
        )


def phases(config: RunConfig, model: Model, data: DataFacts, device: str, task: Task | None = None) -> Iterable[Phase]:
    """What a run trains, one after another; may be gone through more than once.

    Each phase prepares the model for itself: what of it is trainable, and its optimizer. So the phase before has to be
    over when the next one is asked for.

    Args:
        model: of the run, not compiled.
        device: that trains, in Keras's words.
        task: of the run; by default the one that its model and data have.

    Raises:
        UsageError: the model cannot be trained in these stages, or the images not be augmented there. At once, not
            with the first phase.
    """
    check_stages(model, config)
    task = task or task_of(model, data.task)
    if not task.has_steps:
        return [_fitting(config, model, data, task)]
    placement = placement_of(config, task, data.augment, device)
    return _Training(config, model, data, device, task, placement if data.augment else None)


@dataclass(frozen=True)
class _Training:
    """The phases of a network."""

    config: RunConfig
    model: keras.Model
    data: DataFacts
    device: str
    task: Task
    augment_on: Literal["host", "device", "tried"] | None

    def __iter__(self) -> Iterator[Phase]:
        config, model, data = self.config, self.model, self.data
        steps_per_epoch = data.steps_per_epoch(config)
        rates = learning_rates(config.stages, initial_learning_rate(config))
        for stage, rate in zip(config.stages, rates, strict=True):
            optimizer = build_optimizer(config, rate, stage.epochs * steps_per_epoch)
            line = enter_stage(model, stage, rate) if config.fine_tune is not None else ""
            compile_model(model, config, self.device, optimizer, self.task)
            parts = parts_to_train_apart(model, config, augmented=data.augment is not None)
            trained = model
            if parts is not None:
                trained = head_alone(parts)
                compile_model(trained, config, self.device, optimizer, self.task)
            yield Phase(
                task=self.task,
                stage=stage,
                learning_rate=rate,
                steps_per_epoch=steps_per_epoch,
                images_per_epoch=data.images_per_epoch(config),
                validation_images=data.validation,
                model=trained,
                features=None if parts is None else parts.features,
                feature_images=0 if parts is None else data.train + data.validation,
                augment_on=self.augment_on,
                line=line,
            )


def _fitting(config: RunConfig, model: FeatureClassifier, data: DataFacts, task: Task) -> Phase:
    """A classifier learns from each image once; of augmented ones, as often as there are epochs."""
    images = data.train if data.augment is None else config.epochs * data.images_per_epoch(config)
    return Phase(
        task=task,
        stage=Stage(0, 0, epochs=1),
        learning_rate=None,
        steps_per_epoch=0,
        images_per_epoch=images,
        validation_images=data.validation,
        model=model,
        features=model.features,
        feature_images=images + data.validation,
        augment_on="host" if data.augment else None,
    )
