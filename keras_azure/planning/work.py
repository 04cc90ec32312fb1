"""What a run computes, whatever the machine: its phases, with the memory and the operations of their steps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import keras

from keras_azure.augmentations.plan import plan_stages
from keras_azure.description.config import RunConfig
from keras_azure.description.stages import learning_rates
from keras_azure.engines.devices import dtype_policy, has_gpu
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.features import BATCH_SIZE as FEATURES_BATCH_SIZE
from keras_azure.models.weights import without_weights
from keras_azure.planning.memory import StepMemory, inference_memory, training_memory
from keras_azure.planning.operations import Operations, step_operations
from keras_azure.training.compiling import build_model, build_optimizer, compile_model, initial_learning_rate
from keras_azure.training.fine_tuning import check_stages, enter_stage, head_alone, parts_to_train_apart
from keras_azure.training.standardizing import Statistics


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
        rounds: how many times pictures go through it.
        pictures_per_round: how many there are.
        batch_size: of a step.
        follows_batch_size: whether that is the run's own; features are computed of a fixed number at once.
        memory: of its step.
        operations: for each picture; its `backward` counts where it is trained.
        from_pipeline: whether the input pipeline makes the pictures; features are in memory.
    """

    kind: Literal["train", "infer"]
    model: keras.Model
    rounds: int
    pictures_per_round: int
    batch_size: int
    follows_batch_size: bool
    memory: StepMemory
    operations: Operations
    from_pipeline: bool

    @property
    def steps(self) -> int:
        """In all rounds, each of which ends with what is left."""
        return self.rounds * -(-self.pictures_per_round // self.batch_size)

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
        model = build_model(config, pictures, Statistics.made_up(pictures.image_shape[-1]))
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
    yield _features(model.features, pictures.total)


def _phases(model: keras.Model, config: RunConfig, pictures: Pictures) -> Iterator[Phase]:
    per_epoch = config.steps_per_epoch * config.batch_size if config.steps_per_epoch else pictures.train
    augmented = bool(plan_stages(config.augment, pictures.image_shape, len(pictures.class_names)))
    rates = learning_rates(config.stages, initial_learning_rate(config))
    for stage, rate in zip(config.stages, rates, strict=True):
        if config.fine_tune is not None:
            enter_stage(model, stage, rate)
        optimizer = build_optimizer(config, rate, stage.epochs * -(-per_epoch // config.batch_size))
        parts = parts_to_train_apart(model, config, augmented=augmented)
        trained, dtype = model, "uint8"
        if parts is not None:
            yield _features(parts.features, pictures.train + pictures.validation)
            trained, dtype = head_alone(parts), "float32"
        compile_model(trained, config, "gpu:0" if has_gpu() else "cpu:0", optimizer)  # for steps that are tried here
        training = Phase(
            kind="train",
            model=trained,
            rounds=stage.epochs,
            pictures_per_round=per_epoch,
            batch_size=config.batch_size,
            follows_batch_size=True,
            memory=training_memory(trained, trained.input_shape[1:], dtype),
            operations=step_operations(trained),
            from_pipeline=parts is None,
        )
        yield training
        if pictures.validation:
            memory = inference_memory(trained, dtype)
            yield replace(training, kind="infer", pictures_per_round=pictures.validation, memory=memory)
    yield replace(_features(model, pictures.test), batch_size=config.batch_size, follows_batch_size=True)


def _features(network: keras.Model, pictures: int) -> Phase:
    """Its outputs for some pictures, once."""
    return Phase(
        kind="infer",
        model=network,
        rounds=1,
        pictures_per_round=pictures,
        batch_size=FEATURES_BATCH_SIZE,
        follows_batch_size=False,
        memory=inference_memory(network),
        operations=step_operations(network),
        from_pipeline=True,
    )
