"""What listeners hear of whole runs, and what they can ask for: each step by itself, and the end of training."""

import itertools
import signal

import numpy as np
import pytest

import keras_azure
from keras_azure.description.events import Listener
from keras_azure.errors import RunFailed, RunInterrupted
from keras_azure.training.checkpoints import Checkpoints

MODEL = "cnn(filters=(4,), dense=(8,), dropout=0.2)"
SETTINGS = {"epochs": 3, "batch_size": 64, "tracking": False, "backend": "local-cpu"}
STEPS, VALIDATION_STEPS = 21, 3
TIMES = ("seconds", "images_per_second")


def run(folder, listener=None, **settings):
    return keras_azure.run(MODEL, output=folder, observer=listener or Listener(), **SETTINGS | settings)


def outcome(run_dir):
    """What must not depend on who listens, nor on an interruption."""
    rows = Checkpoints(run_dir).load(Checkpoints(run_dir).names()[-1]).state.history
    history = [{name: value for name, value in row.items() if name not in TIMES} for row in rows]
    return (run_dir / "model.keras").read_bytes(), history


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run(tmp_path_factory.mktemp("whole") / "run")


NOT_COUNTED = ("message", "advance", "step_done", "checkpoint_written", "steps_until_due", "get_state")


class Names(Listener):
    """The names of the events that it hears of."""

    def __init__(self):
        self.heard = []
        for name, event in vars(Listener).items():
            if callable(event) and not name.startswith("_") and name not in NOT_COUNTED:
                setattr(self, name, lambda *given, name=name: self.heard.append(name))


def test_the_events_come_as_the_contract_says(tmp_path):
    names = Names()
    run(tmp_path / "run", names, epochs=2)
    steps = ["steps_started", "steps_done"]
    validation = ["validation_steps_started", "validation_steps_done"]
    order = [name for name, _ in itertools.groupby(names.heard)]
    for pair in (steps, validation):  # each as often as there were calls
        assert names.heard.count(pair[0]) == names.heard.count(pair[1]) >= 2
        while (twice := [*pair, *pair]) and any(order[at : at + 4] == twice for at in range(len(order))):
            at = next(at for at in range(len(order)) if order[at : at + 4] == twice)
            del order[at : at + 2]
    epoch = ["epoch_started", *steps, "validation_started", *validation, "validation_done", "epoch_done"]
    expected = ["training_started", "phase_started", *epoch, *epoch, "phase_done", "training_done", "run_finished"]
    assert order == expected


class EveryStep(Listener):
    """Looks at each step, and at the variables behind it."""

    every_step = True

    def __init__(self):
        self.steps, self.validation_steps, self.iterations = [], [], []

    def phase_started(self, facts, model):
        self.model = model

    def steps_done(self, step, result, compiled):
        assert result.steps == 1
        self.steps.append(step)
        self.iterations.append(int(np.array(self.model.optimizer.iterations)))

    def validation_steps_done(self, step, result):
        assert result.steps == 1
        self.validation_steps.append(step)


def test_who_looks_at_each_step_hears_of_each_and_changes_nothing(whole, tmp_path):
    listener = EveryStep()
    result = run(tmp_path / "run", listener)
    assert listener.steps == [*range(STEPS)] * 3
    assert listener.validation_steps == [*range(VALIDATION_STEPS)] * 3
    assert listener.iterations == [*range(1, 3 * STEPS + 1)]
    assert outcome(result.run_dir) == outcome(whole.run_dir)


class EndsAt(Listener):
    """Ends training after a step of an epoch, or after the epoch."""

    every_step = True

    def __init__(self, epoch, step=None):
        self.place, self.epoch, self.means = (epoch, step), 0, None

    def epoch_started(self, epoch):
        self.epoch = epoch

    def steps_done(self, step, result, compiled):
        if (self.epoch, step) == self.place:
            self.stop_training = True
            self.means = {name: float(value) for name, value in result.logs.items()}
        assert self.place[1] is None or (self.epoch, step) <= self.place

    def validation_done(self, epoch, scores):
        self.stop_training |= self.place == (epoch, None)


def test_a_listener_ends_training_after_an_epoch_and_the_run_goes_on_to_its_test(whole, tmp_path):
    result = run(tmp_path / "run", EndsAt(1))
    assert result.epochs == 2
    assert 0 < result.test_accuracy <= 1
    losses = [[row["val_loss"] for row in each.history] for each in (result, whole)]
    assert losses[0] == losses[1][:2]


def test_a_listener_ends_training_within_an_epoch_which_is_validated_and_recorded(tmp_path):
    listener = EndsAt(1, step=4)
    result = run(tmp_path / "run", listener)
    assert result.epochs == 2
    assert result.history[1]["loss"] == listener.means["loss"]
    assert result.history[1]["val_loss"] > 0
    assert int(result.model.optimizer.iterations) == STEPS + 5


@pytest.mark.parametrize("place", [(1, None), (1, 4)])
def test_a_run_whose_training_was_ended_does_not_go_on_with_it_when_it_is_resumed(tmp_path, place):
    whole = run(tmp_path / "whole", EndsAt(*place))

    class ThenStopped(EndsAt):
        def training_done(self):
            raise KeyboardInterrupt

    class StoppedInValidation(EndsAt):
        def validation_steps_done(self, step, result):
            if self.epoch == 1:
                signal.raise_signal(signal.SIGINT)

    class Epochs(Listener):
        epochs = steps = 0

        def epoch_started(self, epoch):
            self.epochs += 1

        def steps_done(self, step, result, compiled):
            self.steps += 1

    with pytest.raises(RunInterrupted):
        run(tmp_path / "stopped", ThenStopped(*place))
    resumed = Epochs()
    keras_azure.resume(tmp_path / "stopped", observer=resumed)
    assert resumed.epochs == 0
    assert outcome(tmp_path / "stopped") == outcome(whole.run_dir)
    if place[1] is not None:
        with pytest.raises(RunInterrupted):
            run(tmp_path / "validating", StoppedInValidation(*place))
        resumed = Epochs()
        keras_azure.resume(tmp_path / "validating", observer=resumed)
        assert (resumed.epochs, resumed.steps) == (1, 0)
        assert outcome(tmp_path / "validating") == outcome(whole.run_dir)


def test_a_listener_that_fails_ends_the_run_and_keeps_its_checkpoints(tmp_path):
    class Fails(Listener):
        def epoch_done(self, epoch, row):
            if epoch == 1:
                raise ZeroDivisionError("of a user's")

    with pytest.raises(RunFailed, match="Training failed: ZeroDivisionError: of a user's"):
        run(tmp_path / "run", Fails())
    assert Checkpoints(tmp_path / "run").names() == ["epoch-0001.npz", "epoch-0002.npz"]
