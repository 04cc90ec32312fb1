"""What a run tells while it goes on. Displays listen; training and backends speak and never print."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_azure.description.result import RunResult


@dataclass(frozen=True)
class RunFacts:
    """What is known when training begins.

    Attributes:
        steps_per_epoch: training steps in each epoch.
        first_epoch, first_step: epochs, and steps of the next one, that were done before, when a run goes on.
        parameters: the model's number of parameters.
        device: the device that trains, in Keras's words: "cpu:0".
    """

    epochs: int
    steps_per_epoch: int
    first_epoch: int
    batch_size: int
    parameters: int
    device: str
    first_step: int = 0


class Observer:
    """Hears of a run's progress; each method may be overridden, and none has to be."""

    def message(self, text: str) -> None:
        """A line that the user should read."""

    def advance(self, activity: str, done: int, total: int) -> None:
        """Long work beside training, such as reading pictures: `done` of `total`."""

    def training_started(self, facts: RunFacts) -> None:
        pass

    def epoch_started(self, epoch: int) -> None:
        """Epochs count from 0."""

    def step_done(self, step: int, logs: Mapping[str, float]) -> None:
        """The last of the steps that were made in one call, which takes a quarter of a second. Steps count from 0 in each
        epoch; `logs` are means over the epoch so far, which are on the device until somebody reads them."""

    def epoch_done(self, epoch: int, row: Mapping[str, Any]) -> None:
        """`row` is the epoch's line of the history."""

    def run_finished(self, result: RunResult) -> None:
        pass
