"""Where training is: the loop moves it on before anybody hears of it, and checkpoints are made of it."""

import time
from typing import Any

import keras
import numpy as np

from keras_azure.description.events import Listener
from keras_azure.engines import StepResult, Steps
from keras_azure.training.checkpoints import State
from keras_azure.training.history import Row
from keras_azure.training.performance import StepTimes


class TrainingState(Listener):
    """Where training is, and what it took to come there. It hears of nothing; the loop tells it what to become.

    Args:
        state: where it begins; of a run that is resumed, as its checkpoint says.
        images_per_epoch, batch_size: of training.
        started: when this process began with the run, on the clock `time.perf_counter`.

    Attributes:
        model: the run's; what is trained of it shares its variables.
        steps: of what is trained.
        stage: of fine-tuning; 0 without.
        epochs: finished ones.
        step: how many steps are done in the epoch after them.
        train_logs: the epoch's means in training, where all its steps are done and its validation is not; else None.
        ended: whether a listener has ended training.
        images, seconds, epoch_images, epoch_seconds: as in `State`.
        times: of all steps that this process has made, but for those that compiled.
    """

    steps: Steps

    def __init__(self, model: keras.Model, state: State, images_per_epoch: int, batch_size: int, started: float):
        self.model = model
        self.stage, self.epochs, self.step, self.train_logs = state.stage, state.epochs, state.step, state.train_logs
        self.ended = state.ended
        self.images, self.seconds = state.images, state.seconds
        self.epoch_images, self.epoch_seconds = state.epoch_images, state.epoch_seconds
        self.times = StepTimes()
        self._images_per_epoch, self._batch_size = images_per_epoch, batch_size
        self._begun = started - state.elapsed
        self._epoch_begun = self._counted_at = started - state.epoch_elapsed
        self._epoch_elapsed = state.epoch_elapsed
        self._counted_steps = state.step
        self._is_warm = False

    @property
    def trained(self) -> keras.Model:
        """What is trained: the model, its head alone, or one that augments in front of it."""
        return self.steps.model

    @property
    def images_per_second(self) -> float:
        """Over the whole run, without each first call of a phase, which compiles, and without validation."""
        return self.images / self.seconds if self.seconds else 0.0

    def begin_phase(self, stage: int, steps: Steps) -> None:
        self.stage, self.steps = stage, steps
        self._is_warm = False

    def begin_epoch(self) -> None:
        """An epoch that was begun before goes on after its steps."""
        now = time.perf_counter()
        if not self.step:
            self.epoch_images, self.epoch_seconds, self._epoch_elapsed = 0, 0.0, 0.0
        self._epoch_begun = now - self._epoch_elapsed
        self._counted_at, self._counted_steps = now, self.step

    def add(self, result: StepResult, *, compiled: bool) -> None:
        """Some more steps are done; `compiled` if that is a part of their time."""
        self.step += result.steps
        if not compiled:
            self.times.add(result)
        if not self._is_warm:
            self._is_warm = True
            self._counted_at, self._counted_steps = time.perf_counter(), self.step

    def end_steps(self, result: StepResult) -> None:
        """The last steps of the epoch are done."""
        self._count()
        self.train_logs = means(result)

    def end_epoch(self, scores: dict[str, float]) -> Row:
        """The epoch is over, and validated with these scores. Gives its line of the history."""
        assert self.train_logs is not None
        values = self.train_logs | {f"val_{name}": score for name, score in scores.items()}
        names = sorted(values, key=lambda name: (name.startswith("val_"), name.removeprefix("val_") != "loss", name))
        self.epochs, self.step, self.train_logs = self.epochs + 1, 0, None
        self.images, self.seconds = self.images + self.epoch_images, self.seconds + self.epoch_seconds
        return {
            "epoch": self.epochs,
            **{name: values[name] for name in names},
            "learning_rate": float(np.asarray(self.trained.optimizer.learning_rate)),
        }

    def speed(self) -> Row:
        """Of the epoch that has just ended."""
        images, seconds = self.epoch_images, self.epoch_seconds
        return {
            "images_per_second": images / seconds if seconds else 0.0,
            "seconds": time.perf_counter() - self._epoch_begun,
        }

    def get_state(self) -> dict[str, Any]:
        self._count()
        now = time.perf_counter()
        return {
            "epochs": self.epochs,
            "step": self.step,
            "stage": self.stage,
            "train_logs": self.train_logs,
            "images": self.images,
            "seconds": self.seconds,
            "epoch_images": self.epoch_images,
            "epoch_seconds": self.epoch_seconds,
            "epoch_elapsed": now - self._epoch_begun,
            "elapsed": now - self._begun,
        }

    def _count(self) -> None:
        """Adds the images of the steps since the last count, and what they took."""
        if self.step <= self._counted_steps:
            return
        now, size = time.perf_counter(), self._batch_size
        first, last = (min(steps * size, self._images_per_epoch) for steps in (self._counted_steps, self.step))
        self.epoch_images += last - first
        self.epoch_seconds += now - self._counted_at
        self._counted_at, self._counted_steps = now, self.step


def means(result: StepResult) -> Row:
    """The means over the epoch so far. A metric with a value per class, such as f1_score, is their mean."""
    return {name: float(np.mean(value)) for name, value in result.logs.items()}
