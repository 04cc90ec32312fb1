"""What a run computes, whatever the machine: its phases, with the memory and the operations of their steps."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import keras

from keras_azure.augmentations.plan import plan_stages
from keras_azure.config import RunConfig
from keras_azure.planning.memory import StepMemory, inference_memory, training_memory
from keras_azure.planning.operations import Operations, step_operations
from keras_azure.stages import learning_rates
from keras_azure.training.compiling import (
    build_model,
    build_optimizer,
    compile_model,
    initial_learning_rate,
)
from keras_azure.training.devices import dtype_policy
from keras_azure.training.fine_tuning import check_stages, enter_stage, head_alone, parts_to_train_apart
from keras_azure.training.standardizing import Statistics
from keras_azure.transfer import FeatureClassifier
from keras_azure.transfer.features import BATCH_SIZE as FEATURES_BATCH_SIZE
from keras_azure.transfer.weights import without_weights


@dataclass(frozen=True)
class Pictures:
    """What is known of a run's data before any picture is read.

    Attributes:
        image_shape: height, width and channels.
        class_names: of all classes.
        train, validation, test: how many there are of each.
    """

    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train: int
    validation: int
    test: int

    @property
    def total(self) -> int:
        return self.train + self.validation + self.test


@dataclass(frozen=True)
class Phase:
    """A part of a run in which all steps are alike.

    Attributes:
        kind: "train", or "infer" for outputs alone.
        model: what is computed; compiled where it is trained.
        pictures: that go through it in all.
        batch_size: of a step.
        follows_batch_size: whether that is the run's own; features are computed of a fixed number at once.
        memory: of its step.
        operations: for each picture; its `backward` counts where it is trained.
        from_pipeline: whether the input pipeline makes the pictures; features are in memory.
    """

    kind: Literal["train", "infer"]
    model: keras.Model
    pictures: int
    batch_size: int
    follows_batch_size: bool
    memory: StepMemory
    operations: Operations
    from_pipeline: bool

    @property
    def steps(self) -> int:
        return -(-self.pictures // self.batch_size)

    @property
    def operations_per_picture(self) -> int:
        return self.operations.total if self.kind == "train" else self.operations.forward


@dataclass(frozen=True)
class Work:
    """All that a run computes.

    Attributes:
        parameters: of the whole model.
        epochs: of all stages.
        pictures: of the data; `train` of them make an epoch.
        notes: what is not counted.
    """

    phases: tuple[Phase, ...]
    parameters: int
    epochs: int
    pictures: Pictures
    notes: tuple[str, ...]

    @property
    def training(self) -> Phase:
        """The phase of training that needs the most memory; of features and a classifier, that of the features."""
        trained = [phase for phase in self.phases if phase.kind == "train"] or list(self.phases)
        return max(trained, key=lambda phase: phase.memory.at(phase.batch_size).total)

    @property
    def largest(self) -> Phase:
        """The phase that needs the most memory."""
        return max(self.phases, key=lambda phase: phase.memory.at(phase.batch_size).total)


def work_of(config: RunConfig, pictures: Pictures) -> Work:
    """Builds the run's model, without its weights, and traces its steps. Nothing is computed.

    Raises:
        KerasAzureError: the model cannot be built so.
    """
    with dtype_policy(config.precision), without_weights():
        # What pixels are standardised by changes neither memory nor time.
        channels = pictures.image_shape[-1]
        model = build_model(config, pictures, Statistics((0.0,) * channels, (1.0,) * channels, pictures.train))
        check_stages(model, config)
        if isinstance(model, FeatureClassifier):
            phases = list(_classic(model, pictures))
            notes = ["The time that the classifier takes on the features is not counted."]
        else:
            phases, notes = list(_phases(model, config, pictures)), []
    uncounted = sorted({name for phase in phases for name in phase.operations.uncounted})
    if uncounted:
        listed = ", ".join(uncounted[:3]) + (", ..." if len(uncounted) > 3 else "")
        notes.append(f"The operations of {len(uncounted)} layers are not counted: {listed}.")
    network = model.features if isinstance(model, FeatureClassifier) else model
    return Work(tuple(phases), network.count_params(), config.total_epochs, pictures, tuple(notes))


def _classic(model: FeatureClassifier, pictures: Pictures) -> Iterator[Phase]:
    everything = pictures.train + pictures.validation + pictures.test
    yield _features(model.features, everything)


def _phases(model: keras.Model, config: RunConfig, pictures: Pictures) -> Iterator[Phase]:
    per_epoch = config.steps_per_epoch * config.batch_size if config.steps_per_epoch else pictures.train
    augmented = bool(plan_stages(config.augment, pictures.image_shape, len(pictures.class_names)))
    rates = learning_rates(config.stages, initial_learning_rate(config))
    for stage, rate in zip(config.stages, rates, strict=True):
        if config.fine_tune is not None:
            enter_stage(model, stage, rate)
        optimizer = build_optimizer(config, rate, stage.epochs * -(-per_epoch // config.batch_size))
        parts = parts_to_train_apart(model, config, augmented=augmented)
        trained, dtype, piped = model, "uint8", True
        if parts is not None:
            if stage.number == config.stages[0].number:
                everything = pictures.train + pictures.validation
                yield _features(parts.features, everything)
            trained, dtype, piped = head_alone(parts), "float32", False
        compile_model(trained, config, "gpu:0", optimizer)
        operations = step_operations(trained)
        memory = training_memory(trained, tuple(trained.input_shape[1:]), dtype)
        yield Phase("train", trained, stage.epochs * per_epoch, config.batch_size, True, memory, operations, piped)
        if pictures.validation:
            validated = stage.epochs * pictures.validation
            yield _inference(trained, validated, config.batch_size, dtype, from_pipeline=piped)
    yield _inference(model, pictures.test, config.batch_size, from_pipeline=True)


def _features(network: keras.Model, pictures: int) -> Phase:
    memory, operations = inference_memory(network), step_operations(network)
    return Phase("infer", network, pictures, FEATURES_BATCH_SIZE, False, memory, operations, True)


def _inference(
    network: keras.Model, pictures: int, batch_size: int, input_dtype: str = "uint8", *, from_pipeline: bool
) -> Phase:
    memory, operations = inference_memory(network, input_dtype), step_operations(network)
    return Phase("infer", network, pictures, batch_size, True, memory, operations, from_pipeline)
