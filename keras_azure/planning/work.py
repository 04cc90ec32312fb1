"""What a run computes, whatever the machine: its phases, with the memory and the operations of their steps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import keras

from keras_azure.description.config import RunConfig
from keras_azure.description.events import PhaseFacts
from keras_azure.engines.devices import has_gpu
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.models.features import BATCH_SIZE as FEATURES_BATCH_SIZE
from keras_azure.models.weights import without_weights
from keras_azure.planning.memory import StepMemory, inference_memory, training_memory
from keras_azure.planning.operations import Operations, step_operations
from keras_azure.training.compiling import build_model
from keras_azure.training.data import DataFacts
from keras_azure.training.phases import Phase as RunPhase
from keras_azure.training.phases import phases
from keras_azure.training.standardizing import Statistics
from keras_azure.training.tasks import task_of


@dataclass(frozen=True)
class Phase:
    """What a run computes in steps that are alike.

    Attributes:
        kind: "train", or "infer" for outputs alone.
        of: the phase of the run that it is of; None of the test behind them.
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
    of: PhaseFacts | None
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
        run_phases: what the run trains, one after another, as its events tell of it.
        parameters: of the whole model.
        epochs: of all stages.
        pictures: of the data; `train` of them make an epoch.
        targets: what the images are trained towards.
        notes: what is not counted.
    """

    phases: tuple[Phase, ...]
    run_phases: tuple[PhaseFacts, ...]
    parameters: int
    epochs: int
    pictures: DataFacts
    targets: Literal["labels", "pictures"]
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


def work_of(config: RunConfig, pictures: DataFacts) -> Work:
    """Builds the run's model, without its weights, and traces its steps. Nothing is computed.

    Raises:
        KerasAzureError: the model cannot be built so, or the run not be made.
    """
    with keras_settings(config.precision), without_weights():
        model = build_model(config, pictures, Statistics.made_up(pictures.image_shape[-1]))
        device = "gpu:0" if has_gpu() else "cpu:0"  # for steps that are tried here
        run_phases: list[PhaseFacts] = []
        computed: list[Phase] = []
        for phase in phases(config, model, pictures, device):
            run_phases.append(phase.facts())
            computed += _computed(phase, config, pictures)
        task = task_of(model, pictures.task)
        notes = [] if task.has_steps else ["The time that the classifier takes on the features is not counted."]
        if task.has_steps:
            test = _outputs(model, pictures.test, None)
            computed.append(replace(test, batch_size=config.batch_size, follows_batch_size=True))
    uncounted = sorted({name for phase in computed for name in phase.operations.uncounted})
    if uncounted:
        listed = ", ".join(uncounted[:3]) + (", ..." if len(uncounted) > 3 else "")
        notes.append(f"The operations of {len(uncounted)} layers are not counted: {listed}.")
    parameters = task.kind.network(model).count_params()
    return Work(
        tuple(computed), tuple(run_phases), parameters, config.total_epochs, pictures, task.targets, tuple(notes)
    )


def _computed(phase: RunPhase, config: RunConfig, pictures: DataFacts) -> Iterator[Phase]:
    """What a phase of the run computes."""
    facts = phase.facts()
    if not phase.task.has_steps:
        # With the features of the test, which are computed as those that the classifier learns from.
        yield _outputs(phase.features, phase.feature_images + pictures.test, facts)
        return
    if phase.features is not None:
        yield _outputs(phase.features, phase.feature_images, facts)
    dtype = "uint8" if phase.features is None else "float32"
    network = phase.task.kind.network(phase.model)
    training = Phase(
        kind="train",
        of=facts,
        model=network,
        rounds=phase.stage.epochs,
        pictures_per_round=phase.images_per_epoch,
        batch_size=config.batch_size,
        follows_batch_size=True,
        memory=training_memory(network, network.input_shape[1:], dtype),
        operations=step_operations(network),
        from_pipeline=phase.features is None,
    )
    yield training
    if phase.validation_images:
        memory = inference_memory(network, dtype)
        yield replace(training, kind="infer", pictures_per_round=phase.validation_images, memory=memory)


def _outputs(network: keras.Model, pictures: int, of: PhaseFacts | None) -> Phase:
    """Its outputs for some pictures, once."""
    return Phase(
        kind="infer",
        of=of,
        model=network,
        rounds=1,
        pictures_per_round=pictures,
        batch_size=FEATURES_BATCH_SIZE,
        follows_batch_size=False,
        memory=inference_memory(network),
        operations=step_operations(network),
        from_pipeline=True,
    )
