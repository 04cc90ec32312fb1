"""Training steps on pictures that are on the device already: what the arithmetic alone allows."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_azure.engines.devices import put, wait
from keras_azure.engines.steps import Steps, build_for_steps

Batch = tuple[Any, Any]  # pictures (batch, height, width, channels) uint8, one-hot labels (batch, classes) float32
_BATCHES = 4  # that are taken in turns
_MOST_BYTES = 1 << 28  # of pictures that are put on the device for it


def synthetic_batches(
    image_shape: tuple[int, int, int], num_classes: int, batch_size: int, device: str
) -> Sequence[Batch]:
    """Noise and labels on the device; no step's time depends on what pictures show."""
    rng = np.random.default_rng(0)
    count = max(1, min(_BATCHES, _MOST_BYTES // (batch_size * int(np.prod(image_shape)))))
    made = []
    for _ in range(count):
        pictures = rng.integers(0, 256, (batch_size, *image_shape), np.uint8)
        labels = np.eye(num_classes, dtype=np.float32)[rng.integers(0, num_classes, batch_size)]
        made.append((put(pictures, device), put(labels, device)))
    return made


class OurStep:
    """The step that a run trains with, on one batch again and again, so that the engine is asked once for many.

    Args:
        steps: those of a compiled model.
    """

    def __init__(self, steps: Steps, batch: Batch):
        self._steps, self._batch = steps, batch

    def run(self, steps: int) -> list[float] | None:
        """Makes so many steps, and comes back when the device has done them; gives the seconds of each if it knows."""
        seconds = self._steps.repeat(self._batch, steps).seconds
        return seconds.tolist() if np.ptp(seconds) > 0 else None


class KerasStep:
    """Keras's own compiled `train_step`, called for each batch, with nothing around it.

    The model's variables are left behind the steps under JAX, whose step has them as arguments.

    Args:
        model: compiled.
        batches: taken in turns.
    """

    def __init__(self, model: keras.Model, batches: Sequence[Batch]):
        self._batches = itertools.cycle(batches)
        build_for_steps(model)
        self._step: Callable[[Batch], Any] = (
            _of_jax(model) if keras.backend.backend() == "jax" else _of_tensorflow(model)
        )

    def run(self, steps: int) -> None:
        for batch in itertools.islice(self._batches, steps):
            done = self._step(batch)
        wait(done)


def _of_tensorflow(model: keras.Model) -> Callable[[Batch], Any]:
    import tensorflow as tf

    return tf.function(model.train_step, reduce_retracing=True, jit_compile=model.jit_compile)


def _of_jax(model: keras.Model) -> Callable[[Batch], Any]:
    import jax

    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    # Copies: the compiled step writes over what it is given.
    state = tuple([jax.numpy.copy(variable.value) for variable in group] for group in groups)
    compiled = jax.jit(model.train_step, donate_argnums=0)

    def step(batch: Batch) -> Any:
        nonlocal state
        logs, state = compiled(state, batch)
        return logs, state

    return step
