"""What happens around each step and epoch of `fit`: history, checkpoint, tracking, display, stops."""

import math
import time
from collections.abc import Mapping

import keras
import numpy as np

from keras_azure.config import RunConfig
from keras_azure.errors import RunFailed
from keras_azure.observers import Observer
from keras_azure.stages import Stage
from keras_azure.tracking import Tracker
from keras_azure.training.checkpoints import Checkpoints
from keras_azure.training.history import History
from keras_azure.training.interrupts import StopRequests


class Progress(keras.callbacks.Callback):
    """Binds Keras's training loop to the run.

    Attributes:
        images: pictures trained on since the first step ended, which compiles and is not counted.
        seconds: what they took, validation and saving left out.
    """

    def __init__(
        self,
        model: keras.Model,
        config: RunConfig,
        history: History,
        checkpoints: Checkpoints,
        tracker: Tracker,
        observer: Observer,
        stop: StopRequests,
        images_per_epoch: int,
    ):
        super().__init__()
        self.stage = Stage(0, 0, config.epochs)
        self.stage_learning_rate = 0.0
        self.trained = model  # not Keras's self.model, which may have augmentations in front of it
        self.config = config
        self.history = history
        self.checkpoints = checkpoints
        self.tracker = tracker
        self.observer = observer
        self.stop = stop
        self.images_per_epoch = images_per_epoch
        self.images = 0
        self.seconds = 0.0
        self._warm = False

    def begin(self, stage: Stage, learning_rate: float) -> None:
        """The next `fit` is of another stage, and compiles anew."""
        self.stage, self.stage_learning_rate = stage, learning_rate
        self._warm = False

    @property
    def images_per_second(self) -> float:
        return self.images / self.seconds if self.seconds else 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._epoch_started = self._clock_started = time.perf_counter()
        self._epoch_images, self._epoch_seconds = self.images_per_epoch, 0.0
        self.observer.epoch_started(epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        if not self._warm:
            self._warm = True
            self._clock_started = time.perf_counter()
            self._epoch_images -= min(self.config.batch_size, self.images_per_epoch)
        if batch == self.params["steps"] - 1:
            self._epoch_seconds = time.perf_counter() - self._clock_started
        self.observer.step_done(batch, logs)
        self.stop.check()

    def on_test_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self.stop.check()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        names = sorted(logs, key=lambda name: (name.startswith("val_"), name.removeprefix("val_") != "loss", name))
        # A metric with a value per class, such as f1_score, is kept as its mean over the classes.
        row = {"epoch": epoch + 1, **{name: float(np.mean(logs[name])) for name in names}}
        row["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        if self.config.fine_tune is not None:
            row |= {"stage": self.stage.number, "stage_learning_rate": self.stage_learning_rate}
        self.images += self._epoch_images
        self.seconds += self._epoch_seconds
        row["images_per_second"] = self._epoch_images / self._epoch_seconds if self._epoch_seconds else 0.0
        row["seconds"] = time.perf_counter() - self._epoch_started
        if not math.isfinite(row["loss"]):
            raise RunFailed(
                f"The loss became {row['loss']} in epoch {epoch + 1}; training cannot go on from there.",
                hint=f"a smaller --learning-rate than {row['learning_rate']:g}",
            )
        # The history first: a checkpoint without its row could not be gone on from, a row too many is cut off.
        self.history.append(row)
        self.checkpoints.save(self.trained, epoch + 1, self.history.best_epoch)
        self.tracker.log_epoch(row)
        self.observer.epoch_done(epoch, row)
        if stopped_early(self.config, self.history, self.stage.number):
            patience = self.config.early_stopping
            self.observer.message(f"Stopped early: no lower validation loss in {patience} epochs.")
            self.model.stop_training = True


def stopped_early(config: RunConfig, history: History, stage: int) -> bool:
    """Whether a stage ends with as many epochs without a lower validation loss as the config allows."""
    return config.early_stopping is not None and history.epochs_since_best(stage) >= config.early_stopping
