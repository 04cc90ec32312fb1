"""The events of a run, and who listens to them: history, checkpoints, tracking, display, callbacks, and a user's own.

Training and backends tell of events and never print. While a network is trained they come in this order:

    training_started
      phase_started                     for each phase: a stage of fine-tuning, or all of the run
        epoch_started
          steps_started, steps_done     for each call of steps, which takes a quarter of a second
          validation_started            with validation alone, as the three that follow
            validation_steps_started, validation_steps_done
          validation_done
        epoch_done                      then checkpoint_written, from another thread
      phase_done
    training_done
    run_finished

A classifier that is fitted to features has one phase and one epoch, without steps and without a checkpoint.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from keras_azure.description.result import RunResult

if TYPE_CHECKING:
    import keras

    from keras_azure.engines.steps import StepResult
    from keras_azure.models.classic import FeatureClassifier


@dataclass(frozen=True)
class RunFacts:
    """What is known when training begins.

    Attributes:
        steps_per_epoch: training steps in each epoch.
        first_epoch, first_step: epochs, and steps of the next one, that were done before, when a run is resumed.
        parameters: the model's number of parameters.
        device: the device that trains, in Keras's words: "cpu:0".
        monitor: the column of the history that epochs are judged by.
        metrics: those that the task of the run always has.
    """

    epochs: int
    steps_per_epoch: int
    first_epoch: int
    batch_size: int
    parameters: int
    device: str
    first_step: int = 0
    monitor: str = "val_loss"
    metrics: tuple[str, ...] = ("accuracy",)


@dataclass(frozen=True)
class PhaseFacts:
    """A part of a run in which all steps are alike.

    Attributes:
        kind: "train" for steps of a network; "fit" for a classifier of scikit-learn, which has no steps.
        stage: of fine-tuning; 0 without.
        epochs: all that it has, of which some may have been done before.
        steps_per_epoch: training steps in each; 0 where a classifier is fitted.
        learning_rate: the highest, where it follows a schedule; None where a classifier is fitted.
        variables: the paths of the variables that are trained, within the model.
        input: what is trained on: "images", or "features" of them, which are computed once.
        augment_on: where images are augmented; None if they are not; "tried" in a plan, where a run will try both.
    """

    kind: Literal["train", "fit"]
    stage: int
    epochs: int
    steps_per_epoch: int
    learning_rate: float | None
    variables: tuple[str, ...]
    input: Literal["images", "features"]
    augment_on: Literal["host", "device", "tried"] | None

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch


class Listener:
    """Hears of a run's events; each method may be overridden, and none has to be.

        class Losses(keras_azure.Observer):
            def epoch_done(self, epoch, row):
                print(epoch, row["loss"])

        keras_azure.run("cnn", observer=Losses())

    Attributes:
        every_step: whether it is to hear of each step by itself. Then a call makes one step, and the model's variables
            are up to date whenever it hears of one; without such a listener a call makes as many as take a quarter of a
            second.
        stop_training: set by the listener to end training, after the steps that it has just heard of. The epoch is
            validated, recorded and saved as any other; then the run goes on to its test. An observer hears of
            `epoch_done` when the checkpoint is made: who ends training only there is asked again by a resumed run.
        whole_validations: whether it has to hear of the end of each validation of whose begin it has heard: then no
            request stops the run in between.
    """

    every_step: bool = False
    stop_training: bool = False
    whole_validations: bool = False

    def message(self, text: str) -> None:
        """A line that the user should read."""

    def advance(self, activity: str, done: int, total: int) -> None:
        """Long work beside training, such as reading images: `done` of `total`."""

    def training_started(self, facts: RunFacts) -> None:
        pass

    def phase_started(self, facts: PhaseFacts, model: "keras.Model | FeatureClassifier") -> None:
        """`model` is the whole model of the run, a `keras.Model` compiled with the phase's optimizer, or a
        `FeatureClassifier`. What is trained of it, such as its head alone, shares its variables and its optimizer."""

    def epoch_started(self, epoch: int) -> None:
        """Epochs count from 0, over all phases."""

    def steps_started(self, step: int) -> None:
        """A call of steps begins with this one. Steps count from 0 in each epoch."""

    def steps_done(self, step: int, result: "StepResult", compiled: bool) -> None:
        """A call of steps is done, of which `step` was the last.

        Args:
            result: an `engines.StepResult`: its `steps` say how many there were, its `logs` are as in `step_done`.
            compiled: whether the call compiled too, which took a part of its time.
        """
        self.step_done(step, result.logs)

    def step_done(self, step: int, logs: Mapping[str, Any]) -> None:
        """The last of the steps that were made in one call. `logs` are means over the epoch so far, which are on the
        device until somebody reads them."""

    def validation_started(self, epoch: int) -> None:
        pass

    def validation_steps_started(self, step: int) -> None:
        """A call of validation steps begins with this one. They count from 0 in each validation."""

    def validation_steps_done(self, step: int, result: "StepResult") -> None:
        """A call of validation steps is done, of which `step` was the last; the arguments are as in `steps_done`."""

    def validation_done(self, epoch: int, scores: Mapping[str, float]) -> None:
        """`scores` are the means over all validation images: "loss", "accuracy" ..."""

    def epoch_done(self, epoch: int, row: Mapping[str, Any]) -> None:
        """`row` is the epoch's line of the history."""

    def checkpoint_written(self, epochs: int, step: int) -> None:
        """A checkpoint is on the disk, after so many epochs and steps of the next. Comes from the thread that writes
        it, while training goes on."""

    def stop_requested(self) -> None:
        """A signal asked the run to stop: Ctrl-C, or a node that is taken away. Training ends after this event."""

    def phase_done(self) -> None:
        pass

    def training_done(self) -> None:
        """All phases are over, and the model is about to be saved."""

    def run_finished(self, result: RunResult) -> None:
        pass

    def steps_until_due(self) -> int:
        """After how many steps, 1 at least, it has to hear of them, such as for a checkpoint: no call makes more."""
        return sys.maxsize

    def get_state(self) -> Mapping[str, Any]:
        """What a checkpoint keeps of it, as fields of `training.checkpoints.State`; asked whenever one is made."""
        return {}


Observer = Listener  # the name that users know


class Listeners(Listener):
    """Several listeners as one. Each event comes to all of them in the order in which they are given."""

    def __init__(self, listeners: Sequence[Listener]):
        self.all = tuple(listeners)

    @property
    def every_step(self) -> bool:  # type: ignore[override]  # of the others, which may change it
        return any(listener.every_step for listener in self.all)

    @property
    def stop_training(self) -> bool:  # type: ignore[override]  # it is one of the listeners that ends training
        return any(listener.stop_training for listener in self.all)

    @property
    def whole_validations(self) -> bool:  # type: ignore[override]  # of the others, which may change it
        return any(listener.whole_validations for listener in self.all)

    def steps_until_due(self) -> int:
        return min((listener.steps_until_due() for listener in self.all), default=sys.maxsize)

    def get_state(self) -> dict[str, Any]:
        return {name: value for listener in self.all for name, value in listener.get_state().items()}


_ANSWERS = ("steps_until_due", "get_state")  # the methods that are questions, and no events


def _told_to_all(event: str) -> Callable[..., None]:
    def tell(self: Listeners, *arguments: object) -> None:
        for listener in self.all:
            getattr(listener, event)(*arguments)

    tell.__name__ = event
    return tell


for _name, _method in list(vars(Listener).items()):
    if callable(_method) and not _name.startswith("_") and _name not in _ANSWERS:
        setattr(Listeners, _name, _told_to_all(_name))
