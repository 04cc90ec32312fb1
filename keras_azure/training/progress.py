"""What happens around each step and epoch of `fit`: history, checkpoint, tracking, display, stops."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping

import keras
import numpy as np

from keras_azure.config import RunConfig
from keras_azure.errors import RunFailed
from keras_azure.intervals import parse_interval
from keras_azure.observers import Observer
from keras_azure.stages import Stage
from keras_azure.tracking import Tracker
from keras_azure.training.checkpoints import Checkpoint, State
from keras_azure.training.data import RunData
from keras_azure.training.history import History
from keras_azure.training.interrupts import StopRequests
from keras_azure.training.losses import LossWatch
from keras_azure.training.writer import CheckpointWriter

_MOST_SAMPLES_SHOWN = 64  # in the message about a loss that is no number


class Progress(keras.callbacks.Callback):
    """Binds Keras's training loop to the run.

    Args:
        model: the run's model; Keras's own `self.model` may have augmentations in front of it.
        state: where the run stands; of a run that goes on, as its checkpoint says.
        started: when this process began with the run, on the clock `time.perf_counter`.
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
        super().__init__()
        self.trained = model
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
        self._every = parse_interval(config.checkpoint_every)
        self._begun = started - state.elapsed
        self._carried: Checkpoint | None = None
        self._is_warm = False

    def begin(self, stage: Stage, learning_rate: float) -> None:
        """The next `fit` is of another stage, and compiles anew."""
        self.stage, self.stage_learning_rate = stage, learning_rate
        self._is_warm = False

    def carry(self, checkpoint: Checkpoint) -> None:
        """The next epoch was begun before: it has the checkpoint's steps behind it."""
        self._carried = checkpoint

    @property
    def carried_steps(self) -> int:
        """How many steps of the next epoch are behind it."""
        return 0 if self._carried is None else self._carried.state.step

    def finish_epoch(self, fitted: keras.Model, epoch: int, validation: Iterable | None) -> None:
        """Ends an epoch that has all its steps behind it: what `fit` does after the last one."""
        self.set_model(fitted)
        self.on_epoch_begin(epoch)
        scores = {}
        if validation is not None:
            steps = self.data.validation_steps
            scores = fitted.evaluate(validation, steps=steps, callbacks=[self], return_dict=True, verbose=0)
        self.on_epoch_end(epoch, self._train_logs | {f"val_{name}": score for name, score in scores.items()})

    @property
    def images_per_second(self) -> float:
        """Over the whole run, without each first step of a stage, which compiles, and without validation."""
        return self.state.images / self.state.seconds if self.state.seconds else 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        now = time.perf_counter()
        self._first_step, self._epoch_begun, self._train_logs = 0, now, None
        if self._carried is None:
            self.state = dataclasses.replace(self.state, step=0, epoch_images=0, epoch_seconds=0.0)
        else:
            before = self._carried.state
            self._first_step, self._epoch_begun = before.step, now - before.epoch_elapsed
            self._train_logs = before.train_logs
            if before.train_logs is None:
                _build_metrics(self.model)
                self._carried.restore("metrics", self.model.metrics_variables)
            self._carried = None
        self._losses = LossWatch()
        self._counted_at, self._counted_steps = now, self._first_step
        self._saved_at, self._saved_steps = now, self._first_step
        self.observer.epoch_started(epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        done = self._first_step + batch + 1
        is_last = done == self.data.steps_per_epoch
        if not self._is_warm:
            self._is_warm = True
            self._counted_at, self._counted_steps = time.perf_counter(), done
        self._losses.add(done, logs["loss"])
        is_due = not is_last and self._every.is_over(done - self._saved_steps, time.perf_counter() - self._saved_at)
        if is_last or is_due or self.stop.requested or self._losses.is_due:
            self._require_numbers(done)
        if is_last:
            self._count(done)
            self._train_logs = {name: float(np.mean(value)) for name, value in logs.items()}
        self.observer.step_done(done - 1, logs)
        if is_due or self.stop.requested:
            self._save_within(done)
        self.stop.check()

    def on_test_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        if self.stop.requested:
            self._save_within(self.data.steps_per_epoch)
        self.stop.check()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        names = sorted(logs, key=lambda name: (name.startswith("val_"), name.removeprefix("val_") != "loss", name))
        # A metric with a value per class, such as f1_score, is kept as its mean over the classes.
        row = {"epoch": epoch + 1, **{name: float(np.mean(logs[name])) for name in names}}
        row["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
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
        if stopped_early(self.config, self.history, self.stage.number):
            patience = self.config.early_stopping
            self.observer.message(f"Stopped early: no lower validation loss in {patience} epochs.")
            self.model.stop_training = True

    def _save_within(self, done: int) -> None:
        """A checkpoint in the epoch, after so many of its steps."""
        self._count(done)
        self._save(epochs=len(self.history), step=done, train_logs=self._train_logs)
        self._saved_at, self._saved_steps = time.perf_counter(), done

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
        fitted = self.model  # asked for first: under JAX this brings the variables up to date
        variables = {
            "model": self.trained.variables,
            "optimizer": fitted.optimizer.variables,
            "metrics": fitted.metrics_variables,
        }
        self.writer.save(self.state, variables, then)

    def _count(self, done: int) -> None:
        """Adds the pictures of the steps since the last count, and what they took."""
        if done <= self._counted_steps:
            return
        now, size = time.perf_counter(), self.config.batch_size
        first, last = (min(steps * size, self.data.images_per_epoch) for steps in (self._counted_steps, done))
        self.state = dataclasses.replace(
            self.state,
            epoch_images=self.state.epoch_images + last - first,
            epoch_seconds=self.state.epoch_seconds + now - self._counted_at,
        )
        self._counted_at, self._counted_steps = now, done

    def _require_numbers(self, done: int) -> None:
        """
        Raises:
            RunFailed: the loss of a step since the last look is infinite, or not a number.
        """
        found = self._losses.first_bad_step()
        if found is None:
            return
        step, loss = found
        epoch, optimizer = len(self.history), self.model.optimizer
        # The rate may follow a schedule, and the optimizer may have gone on since.
        optimizer.iterations.assign(optimizer.iterations - (done - step) - 1)
        rate = float(np.asarray(optimizer.learning_rate))
        samples = self.data.samples_of_step(epoch, step - 1)
        shown = ", ".join(map(str, samples[:_MOST_SAMPLES_SHOWN]))
        more = f" and {len(samples) - _MOST_SAMPLES_SHOWN} more" if len(samples) > _MOST_SAMPLES_SHOWN else ""
        raise RunFailed(
            f"The loss became {loss} in step {step} of epoch {epoch + 1}, at the learning rate {rate:g}; training "
            f"cannot go on from there. The step's pictures, by their index in the training split: {shown}{more}.",
            hint=f"a smaller --learning-rate than {rate:g}, or --clip-norm 1",
        )


def _build_metrics(model: keras.Model) -> None:
    """Makes the metrics' variables, which Keras does not before they have seen a batch."""
    nothing = np.zeros((1, *model.output_shape[1:]), np.float32)
    model.compute_metrics(None, nothing, nothing, None)


def stopped_early(config: RunConfig, history: History, stage: int) -> bool:
    """Whether a stage ends with as many epochs without a lower validation loss as the config allows."""
    return config.early_stopping is not None and history.epochs_since_best(stage) >= config.early_stopping
