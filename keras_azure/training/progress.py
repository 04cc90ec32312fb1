"""What happens between the steps and epochs of the loop: history, checkpoint, tracking, display, stops."""

import dataclasses
import time
from collections.abc import Callable, Mapping

import keras
import numpy as np

from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.description.intervals import parse_interval
from keras_azure.description.stages import Stage
from keras_azure.engines import Done, Steps
from keras_azure.errors import RunFailed
from keras_azure.listeners.tracking import Tracker
from keras_azure.training.checkpoints import Checkpoint, State
from keras_azure.training.data import RunData
from keras_azure.training.history import History
from keras_azure.training.interrupts import StopRequests
from keras_azure.training.performance import StepTimes
from keras_azure.training.writer import CheckpointWriter

_MOST_SAMPLES_SHOWN = 64  # in the message about a loss that is no number


class Progress:
    """Binds the training loop to the run.

    Args:
        model: the run's model; the one that the loop trains may have augmentations in front of it.
        state: where the run stands; of a run that goes on, as its checkpoint says.
        started: when this process began with the run, on the clock `time.perf_counter`.

    Attributes:
        times: of all steps that this process has made, but for those that compiled.
    """

    def __init__(
        self,
        model: keras.Model,
        config: RunConfig,
        data: RunData,
        history: History,
        writer: CheckpointWriter,
        tracker: Tracker,
        observer: Observer,
        stop: StopRequests,
        state: State,
        started: float,
    ):
        self.model = model
        self.config = config
        self.data = data
        self.history = history
        self.writer = writer
        self.tracker = tracker
        self.observer = observer
        self.stop = stop
        self.state = state
        self.stage = Stage(0, 0, config.epochs)
        self.stage_learning_rate = 0.0
        self.times = StepTimes()
        self._every = parse_interval(config.checkpoint_every)
        self._begun = started - state.elapsed
        self._carried: Checkpoint | None = None
        self._is_warm = False

    def begin(self, stage: Stage, learning_rate: float) -> None:
        """What follows is of another stage, and compiles anew."""
        self.stage, self.stage_learning_rate = stage, learning_rate
        self._is_warm = False

    def carry(self, checkpoint: Checkpoint) -> None:
        """The next epoch was begun before: it has the checkpoint's steps behind it."""
        self._carried = checkpoint

    @property
    def carried_steps(self) -> int:
        """How many steps of the next epoch are behind it."""
        return 0 if self._carried is None else self._carried.state.step

    def follow(self, steps: Steps) -> None:
        """What follows are these steps, of a model that has the variables of the run's model."""
        self._trained, self._steps = steps.model, steps

    @property
    def steps_to_next_event(self) -> int:
        """How many steps may be made before something is due: a checkpoint, or the end of the epoch."""
        to_end = self.data.steps_per_epoch - self._done
        return min(to_end, self._every.steps_left(self._done - self._saved_steps)) if to_end else 0

    @property
    def images_per_second(self) -> float:
        """Over the whole run, without each first step of a stage, which compiles, and without validation."""
        return self.state.images / self.state.seconds if self.state.seconds else 0.0

    def begin_epoch(self, epoch: int) -> None:
        """Follows after the metrics begin anew; those of an epoch that was begun before are given back."""
        now = time.perf_counter()
        self._done, self._epoch_begun, self._train_means = 0, now, None
        if self._carried is None:
            self.state = dataclasses.replace(self.state, step=0, epoch_images=0, epoch_seconds=0.0)
        else:
            before = self._carried.state
            self._done, self._epoch_begun = before.step, now - before.epoch_elapsed
            self._train_means = before.train_logs
            if before.train_logs is None:
                self._carried.restore("metrics", self._trained.metrics_variables)
            self._carried = None
        self._counted_at, self._counted_steps = now, self._done
        self._saved_at, self._saved_steps = now, self._done
        self.observer.epoch_started(epoch)

    def steps_done(self, done: Done, compiled: bool) -> None:
        """Follows after each call that has made steps; `compiled` if that is a part of their time.

        Raises:
            RunFailed: a loss is infinite, or not a number.
            RunInterrupted: a stop was asked for.
        """
        self._done += done.steps
        is_last = self._done == self.data.steps_per_epoch
        if not compiled:
            self.times.add(done)
        if not self._is_warm:
            self._is_warm = True
            self.tracker.begin()
            self._counted_at, self._counted_steps = time.perf_counter(), self._done
        self._require_numbers(done)
        if is_last:
            self._count()
            self._train_means = self.means(done)
        self.observer.step_done(self._done - 1, done.logs)
        behind, elapsed = self._done - self._saved_steps, time.perf_counter() - self._saved_at
        if self.stop.requested or (not is_last and self._every.is_over(behind, elapsed)):
            self._save_within()
        self.stop.check()

    def validation_steps_done(self) -> None:
        """Follows after each call that has made steps of a validation.

        Raises:
            RunInterrupted: a stop was asked for.
        """
        if self.stop.requested:
            self._save_within()
        self.stop.check()

    @staticmethod
    def means(done: Done) -> dict[str, float]:
        """The means over the epoch so far. A metric with a value per class, such as f1_score, is their mean."""
        return {name: float(np.mean(value)) for name, value in done.logs.items()}

    def end_epoch(self, epoch: int, scores: Mapping[str, float]) -> bool:
        """Follows after an epoch and its validation, which gave these means; whether the stage ends with it.

        Raises:
            RunInterrupted: a stop was asked for.
        """
        means = self._train_means | {f"val_{name}": score for name, score in scores.items()}
        names = sorted(means, key=lambda name: (name.startswith("val_"), name.removeprefix("val_") != "loss", name))
        row = {"epoch": epoch + 1, **{name: means[name] for name in names}}
        row["learning_rate"] = float(np.asarray(self._trained.optimizer.learning_rate))
        if self.config.fine_tune is not None:
            row |= {"stage": self.stage.number, "stage_learning_rate": self.stage_learning_rate}
        images, seconds = self.state.epoch_images, self.state.epoch_seconds
        row["images_per_second"] = images / seconds if seconds else 0.0
        row["seconds"] = time.perf_counter() - self._epoch_begun
        self.history.append(row)
        self.state = dataclasses.replace(
            self.state, images=self.state.images + images, seconds=self.state.seconds + seconds
        )
        # The record of an epoch follows its checkpoint: what a run does again, it must not record again.
        self._save(epochs=epoch + 1, step=0, train_logs=None, then=lambda: self.tracker.log_epoch(row))
        self.observer.epoch_done(epoch, row)
        self.stop.check()
        ends = stopped_early(self.config, self.history, self.stage.number)
        if ends:
            patience = self.config.early_stopping
            self.observer.message(f"Stopped early: no lower validation loss in {patience} epochs.")
        return ends

    def _save_within(self) -> None:
        """A checkpoint in the epoch, after the steps that are done."""
        self._count()
        self._save(epochs=len(self.history), step=self._done, train_logs=self._train_means)
        self._saved_at, self._saved_steps = time.perf_counter(), self._done

    def _save(self, then: Callable[[], None] = lambda: None, **changes: object) -> None:
        now = time.perf_counter()
        self.state = dataclasses.replace(
            self.state,
            stage=self.stage.number,
            history=tuple(self.history),
            epoch_elapsed=now - self._epoch_begun,
            elapsed=now - self._begun,
            tracking=self.tracker.address or self.state.tracking,
            **changes,
        )
        self._steps.synchronize()
        variables = {
            "model": self.model.variables,
            "optimizer": self._trained.optimizer.variables,
            "metrics": self._trained.metrics_variables,
        }
        self.writer.save(self.state, variables, then)

    def _count(self) -> None:
        """Adds the pictures of the steps since the last count, and what they took."""
        if self._done <= self._counted_steps:
            return
        now, size = time.perf_counter(), self.config.batch_size
        first, last = (min(steps * size, self.data.images_per_epoch) for steps in (self._counted_steps, self._done))
        self.state = dataclasses.replace(
            self.state,
            epoch_images=self.state.epoch_images + last - first,
            epoch_seconds=self.state.epoch_seconds + now - self._counted_at,
        )
        self._counted_at, self._counted_steps = now, self._done

    def _require_numbers(self, done: Done) -> None:
        """
        Raises:
            RunFailed: the loss of one of these steps is infinite, or not a number.
        """
        # The mean over the epoch so far: from the first loss that is no number on, it is none either.
        if "loss" not in done.logs or np.isfinite(float(done.logs["loss"])):
            return
        means = done.losses
        behind = int(np.argmin(np.isfinite(means)))
        step, loss = self._done - done.steps + behind + 1, means[behind]
        self._steps.synchronize()
        epoch, optimizer = len(self.history), self._trained.optimizer
        # The rate may follow a schedule, and the optimizer may have gone on since.
        optimizer.iterations.assign(optimizer.iterations - (self._done - step) - 1)
        rate = float(np.asarray(optimizer.learning_rate))
        samples = self.data.samples_of_step(epoch, step - 1)
        shown = ", ".join(map(str, samples[:_MOST_SAMPLES_SHOWN]))
        more = f" and {len(samples) - _MOST_SAMPLES_SHOWN} more" if len(samples) > _MOST_SAMPLES_SHOWN else ""
        raise RunFailed(
            f"The loss became {loss} in step {step} of epoch {epoch + 1}, at the learning rate {rate:g}; training "
            f"cannot go on from there. The step's pictures, by their index in the training split: {shown}{more}.",
            hint=f"a smaller --learning-rate than {rate:g}, or --clip-norm 1",
        )


def stopped_early(config: RunConfig, history: History, stage: int) -> bool:
    """Whether a stage ends with as many epochs without a lower validation loss as the config allows."""
    return config.early_stopping is not None and history.epochs_since_best(stage) >= config.early_stopping
