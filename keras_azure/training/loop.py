"""The training loop: epochs of steps and of validation, several steps in each call, and the events of all that.

In a call are so many steps that calls cost nothing, and so few that all are heard in between. Each call ends where
something is due, such as a checkpoint or the end of the epoch. Between calls signals are heard and listeners told.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from keras_azure.description.events import Listener, Listeners, PhaseFacts
from keras_azure.engines import Batch, StepResult, Steps, steps_of
from keras_azure.errors import RunFailed
from keras_azure.training.checkpoints import Checkpoint
from keras_azure.training.data import RunData
from keras_azure.training.history import History, Row
from keras_azure.training.interrupts import StopRequests
from keras_azure.training.placement import Placement
from keras_azure.training.state import TrainingState, means

CALL_SECONDS = 0.25  # what a call is to take
LONGEST_CALL = 0.5  # seconds after which a call begins no further step, should its steps take longer than those before
_MOST_STEPS = 1024
_GROWTH = 4  # times as many steps as in the call before, at most
_MOST_SAMPLES_SHOWN = 64  # in the message about a loss that is no number


class StepsPerCall:
    """Learns from each call how many steps the next one is to make. What is trained does not depend on it.

    Attributes:
        steps: for the next call; one at first, which compiles.
    """

    def __init__(self) -> None:
        self.steps = 1

    def learn(self, result: StepResult) -> None:
        wanted = CALL_SECONDS / max(float(np.median(result.seconds)), 1e-6)
        self.steps = int(min(max(1, wanted), self.steps * _GROWTH, _MOST_STEPS))


@dataclass(frozen=True)
class Loop:
    """Trains the epochs of a run's phases.

    Attributes:
        training: where training is.
        resumed: the checkpoint that the run is resumed from.
        patience: epochs without a better one after which a stage ends; None for never.
    """

    training: TrainingState
    history: History
    listeners: Listeners
    stop: StopRequests
    resumed: Checkpoint | None
    patience: int | None

    def train(self, phase: PhaseFacts, steps: Steps, data: RunData, epochs: range, row: Row) -> None:
        """Trains some epochs of a phase, fewer if it is stopped early; what is done of the first one is left out.

        Args:
            steps: of what is trained, compiled.
            row: what the history has of each of these epochs besides.

        Raises:
            RunInterrupted: a stop was asked for.
        """
        training, listeners, trained = self.training, self.listeners, steps.model
        place: Placement = "device" if phase.augment_on == "device" else "host"
        batches = iter(data.train_batches(epochs.start, epochs.stop, place, first_step=training.step))
        validation = iter(data.validation_batches(epochs.start, epochs.stop, place)) if data.validation_steps else None
        test_steps, per_call, per_test_call = steps_of(trained, "test"), StepsPerCall(), StepsPerCall()
        training.begin_phase(phase.stage, steps)
        listeners.phase_started(phase, training.model)
        for epoch in epochs:
            trained.reset_metrics()
            if self.resumed is not None and training.step and training.train_logs is None:
                self.resumed.restore("metrics", trained.metrics_variables)
            training.begin_epoch()
            listeners.epoch_started(epoch)
            while training.train_logs is None:
                self._call(steps, batches, per_call, data.steps_per_epoch - training.step)
            steps.synchronize()
            scores = self._validate(epoch, test_steps, validation, data.validation_steps, per_test_call)
            listeners.epoch_done(epoch, training.end_epoch(scores) | row | training.speed())
            self._check_stop()
            training.ended |= listeners.stop_training
            is_over = self.history.is_stopped_early(phase.stage, self.patience)
            if is_over:
                listeners.message(f"Stopped early: no {self.history.monitor} in {self.patience} epochs.")
            if is_over or training.ended:
                break
        trained.optimizer.finalize_variable_values(trained.trainable_weights)
        listeners.phase_done()

    def _call(self, steps: Steps, batches: Iterator[Batch], per_call: StepsPerCall, left: int) -> None:
        """One call of training steps, of which the epoch has so many left."""
        training, listeners = self.training, self.listeners
        every_step = listeners.every_step
        listeners.steps_started(training.step)
        traces = steps.traces
        most = 1 if every_step else min(per_call.steps, left, listeners.steps_until_due())
        result = steps.run(batches, most, LONGEST_CALL)
        compiled = steps.traces > traces
        if not compiled:  # else it tells nothing of the next call
            per_call.learn(result)
        training.add(result, compiled=compiled)
        if result.steps == left:
            training.end_steps(result)
        if every_step:
            steps.synchronize()
        listeners.steps_done(training.step - 1, result, compiled)
        if listeners.stop_training and training.train_logs is None:
            training.end_steps(result)
        self._check_stop()

    def _validate(
        self, epoch: int, steps: Steps, batches: Iterator[Batch] | None, count: int, per_call: StepsPerCall
    ) -> Row:
        """One round over the validation images; gives the means, or nothing where there are none."""
        if batches is None:
            return {}
        steps.model.reset_metrics()
        listeners, done = self.listeners, 0
        listeners.validation_started(epoch)
        while done < count:
            listeners.validation_steps_started(done)
            traces = steps.traces
            most = 1 if listeners.every_step else min(per_call.steps, count - done)
            result = steps.run(batches, most, LONGEST_CALL)
            if steps.traces == traces:
                per_call.learn(result)
            done += result.steps
            steps.synchronize()
            listeners.validation_steps_done(done - 1, result)
            if not listeners.whole_validations:
                self._check_stop()
        scores = means(result)
        listeners.validation_done(epoch, scores)
        return scores

    def _check_stop(self) -> None:
        """
        Raises:
            RunInterrupted: a stop was asked for; the checkpoint of this moment is made.
        """
        if self.stop.requested:
            self.listeners.stop_requested()
        self.stop.check()


class FiniteLoss(Listener):
    """Ends a run whose loss is infinite or no number, before anything is made of it.

    Args:
        callbacks: those that may end training for that reason themselves, and have heard of the steps before.
    """

    def __init__(self, training: TrainingState, data: RunData, callbacks: Listener):
        self._training, self._data, self._callbacks = training, data, callbacks

    def steps_done(self, step: int, result: StepResult, compiled: bool) -> None:
        """
        Raises:
            RunFailed: the loss of one of these steps is infinite, or not a number.
        """
        # The mean over the epoch so far: from the first loss that is no number on, it is none either.
        if "loss" not in result.logs or np.isfinite(float(result.logs["loss"])) or self._callbacks.stop_training:
            return
        losses = result.losses
        behind = int(np.argmin(np.isfinite(losses)))
        last, first_wrong = step + 1, step + 1 - result.steps + behind + 1
        self._training.steps.synchronize()
        epoch, optimizer = self._training.epochs, self._training.trained.optimizer
        # The rate may follow a schedule, and the optimizer may have gone on since.
        optimizer.iterations.assign(optimizer.iterations - (last - first_wrong) - 1)
        rate = float(np.asarray(optimizer.learning_rate))
        samples = self._data.samples_of_step(epoch, first_wrong - 1)
        shown = ", ".join(map(str, samples[:_MOST_SAMPLES_SHOWN]))
        more = f" and {len(samples) - _MOST_SAMPLES_SHOWN} more" if len(samples) > _MOST_SAMPLES_SHOWN else ""
        raise RunFailed(
            f"The loss became {losses[behind]} in step {first_wrong} of epoch {epoch + 1}, at the learning rate "
            f"{rate:g}; training cannot go on from there. The step's pictures, by their index in the training split: "
            f"{shown}{more}.",
            hint=f"a smaller --learning-rate than {rate:g}, or --clip-norm 1",
        )
