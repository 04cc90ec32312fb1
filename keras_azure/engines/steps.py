"""Training as a run does it, for runs and for whoever measures: some steps of a compiled model in one call."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

Batch = tuple[Any, ...]  # what `keras.Model.train_step` takes: inputs, targets, and perhaps weights of the samples


@dataclass(frozen=True)
class StepResult:
    """What one call has done.

    Attributes:
        seconds: what each step took, float64 (steps,). Where only the whole call can be timed, its even share.
        waited: seconds in which the device had nothing to do because a batch was not there yet.
        logs: what the last step gave: the means over all steps since the metrics were reset. On the device.
        loss_parts: arrays, perhaps on the device, that make up `losses`.
    """

    seconds: np.ndarray
    waited: float
    logs: Mapping[str, Any]
    loss_parts: Sequence[Any]

    @property
    def losses(self) -> np.ndarray:
        """The "loss" of the logs after each step, (steps,); 0 of a step that gives none. Fetched from the device."""
        return np.concatenate([np.ravel(np.asarray(part)) for part in self.loss_parts])

    @property
    def steps(self) -> int:
        return len(self.seconds)


class Steps(Protocol):
    """The steps of one model. The result does not depend, to the bit, on how many are made in one call.

        model.compile(...)
        steps, batches = steps_of(model), iter(dataset)
        steps.run(batches, 1)  # compiles
        done = steps.run(batches, 100)
        len(done.seconds), done.seconds.mean(), float(done.logs["loss"])
        steps.synchronize()

    Attributes:
        model: the model.
        traces: how often the engine has traced and compiled steps, which takes time. On TensorFlow a shorter batch is
            no reason to; on JAX it is one, once, and so are several steps in one call on a GPU.
    """

    model: keras.Model
    traces: int

    def run(self, batches: Iterator[Batch], most: int, longest: float = float("inf")) -> StepResult:
        """Makes steps, one at least, on the next batches of a `tf.data` iterator or of any other, and waits for the
        device.

        Args:
            most: how many.
            longest: seconds after which no further step is begun.

        Raises:
            StopIteration: there is no batch any more.
        """

    def repeat(self, batch: Batch, most: int) -> StepResult:
        """The same on one batch again and again, which is on the device already: what steps cost without their input.

        Args:
            batch: as the engine has it on its device: its tensors or arrays.
        """

    def synchronize(self) -> None:
        """Brings the model's variables up to date, which elsewhere than in TensorFlow the steps do not touch."""


def build_for_steps(model: keras.Model) -> None:
    """Makes the variables of the metrics and of the optimizer, which Keras does not before they are needed: a compiled
    loop can make none. The metrics are left as if they had seen nothing."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    if type(model).compute_metrics is keras.Model.compute_metrics:
        nothing = np.zeros((1, *model.output_shape[1:]), np.float32)
        model.compute_metrics(None, nothing, nothing, None)
        model.reset_metrics()
