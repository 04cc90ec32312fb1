"""The training loop: epochs of steps and of tests on the validation pictures, several of them in each call.

In a call are so many steps that calls cost nothing, and so few that all are heard in between.
"""

from collections.abc import Iterator

import keras
import numpy as np

from keras_azure.engines import Batch, Done, Steps, steps_of
from keras_azure.training.data import RunData
from keras_azure.training.placement import Place
from keras_azure.training.progress import Progress

CALL_SECONDS = 0.25  # what a call is to take
LONGEST_CALL = 0.5  # seconds after which a call begins no further step, should its steps take longer than those before
_MOST_STEPS = 1024
_GROWTH = 4  # times as many steps as in the call before, at most


class Pace:
    """Learns from each call how many steps the next one is to make. What is trained does not depend on it.

    Attributes:
        steps: for the next call; one at first, which compiles.
    """

    def __init__(self):
        self.steps = 1

    def learn(self, done: Done) -> None:
        wanted = CALL_SECONDS / max(float(np.median(done.seconds)), 1e-6)
        self.steps = int(min(max(1, wanted), self.steps * _GROWTH, _MOST_STEPS))


def train_epochs(train: Steps, progress: Progress, data: RunData, place: Place, first: int, last: int) -> None:
    """Trains from one epoch up to before another, or to an early stop; steps of the first one that are done already
    are left out.

    Each call of the engine ends where something is due: a checkpoint, the end of an epoch. Between calls, which take
    a quarter of a second, signals are heard and the clock is looked at.
    """
    trained = train.model
    test = steps_of(trained, "test")
    batches = iter(data.train_batches(first, last, place, first_step=progress.carried_steps))
    validation = iter(data.validation_batches(first, last, place)) if data.validation_steps else None
    train_pace, test_pace = Pace(), Pace()
    progress.follow(train)
    for epoch in range(first, last):
        trained.reset_metrics()
        progress.begin_epoch(epoch)
        while (most := progress.steps_to_next_event) > 0:
            traces = train.traces
            done = train.run(batches, min(train_pace.steps, most), LONGEST_CALL)
            if train.traces == traces:  # else it compiled, which tells nothing of the next call
                train_pace.learn(done)
            progress.steps_done(done, compiled=train.traces > traces)
        train.synchronize()
        scores = _validate(trained, test, validation, data.validation_steps, test_pace, progress) if validation else {}
        if progress.end_epoch(epoch, scores):
            break
    trained.optimizer.finalize_variable_values(trained.trainable_weights)


def _validate(
    trained: keras.Model, test: Steps, batches: Iterator[Batch], steps: int, pace: Pace, progress: Progress
) -> dict[str, float]:
    """One round over the validation pictures; gives the means."""
    trained.reset_metrics()
    while steps > 0:
        traces = test.traces
        done = test.run(batches, min(pace.steps, steps), LONGEST_CALL)
        if test.traces == traces:
            pace.learn(done)
        steps -= done.steps
        test.synchronize()
        progress.validation_steps_done()
    return progress.means(done)
