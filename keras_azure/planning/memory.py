"""The memory that training needs: from the real model and its step, and by the chapter's rule beside it."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from keras_azure.engines.adam import fused_updates
from keras_azure.planning.graph import BATCH_SIZE, Profile, profile


@dataclass(frozen=True)
class Memory:
    """Bytes at the moment of a step when most are needed.

    Attributes:
        weights: of the model, trainable or not, and the metrics.
        optimizer: what it keeps between steps.
        gradients: those by weights, and else what is of the weights' size: copies in half precision.
        activations: the batch, and what layers made of it and the gradients need.
        workspace: gradients by activations, on their way backward.
    """

    weights: int
    optimizer: int
    gradients: int
    activations: int
    workspace: int

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.gradients + self.activations + self.workspace


@dataclass(frozen=True)
class StepMemory:
    """What a training step needs, whatever the size of its batch.

    Attributes:
        weights, optimizer: bytes that are held all the time.
        step: the rest.
    """

    weights: int
    optimizer: int
    step: Profile

    def at(self, batch_size: int) -> Memory:
        held = self.step.most(batch_size)
        return Memory(self.weights, self.optimizer, held.fixed, held.forward, held.backward)

    def largest_batch(self, limit: int) -> int:
        """The largest batch that fits into so many bytes; 0 if none does."""
        return self.step.largest_batch(limit - self.weights - self.optimizer)


def training_memory(model: keras.Model, input_shape: tuple[int, ...], input_dtype: str = "uint8") -> StepMemory:
    """What the training step of a compiled model needs, as it is trainable now.

    Args:
        input_shape: of one picture, or of its features.
        input_dtype: of what comes from the pipeline.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)

    def step(inputs: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
        with fused_updates(model.optimizer):
            return model.train_step((inputs, targets))

    inputs = tf.TensorSpec((BATCH_SIZE, *input_shape), input_dtype)
    targets = tf.TensorSpec((BATCH_SIZE, *model.output_shape[1:]), "float32")
    weights = _bytes_of([*model.variables, *model.metrics_variables])
    return StepMemory(weights, _bytes_of(model.optimizer.variables), profile(step, inputs, targets))


def inference_memory(network: keras.Model, input_dtype: str = "uint8") -> StepMemory:
    """What it takes to compute a network's outputs, such as features."""
    inputs = tf.TensorSpec((BATCH_SIZE, *network.input_shape[1:]), input_dtype)
    return StepMemory(_bytes_of(network.variables), 0, profile(lambda each: network(each, training=False), inputs))


def chapter_rule(parameters: int, batch_size: int, *, bytes_per_number: int = 4, training: bool = True) -> int:
    """Bytes by the rule of the book chapter: parameters, twice in training, for each picture of the batch.

    It counts neither activations nor the optimizer, and multiplies weights by the batch; the chapter calls it rough.
    """
    return parameters * (2 if training else 1) * batch_size * bytes_per_number


def _bytes_of(variables: Sequence[keras.Variable]) -> int:
    unique = {id(variable): variable for variable in variables}.values()
    return sum(tf.TensorShape(each.shape).num_elements() * tf.as_dtype(each.dtype).size for each in unique)
