"""Runs whose steps are made several in a call: where calls end, what is heard of them, and that it changes nothing."""

import itertools

import pytest

import keras_azure
from keras_azure.description.events import Observer

SETTINGS = {"epochs": 2, "batch_size": 64, "tracking": False, "checkpoint_every": "7steps"}
MODEL = "cnn(filters=(4,), dense=(16,), dropout=0.3)"
STEPS = 21  # of an epoch of digits


class Listener(Observer):
    def __init__(self):
        self.steps, self.losses = [], []

    def epoch_started(self, epoch):
        self.steps.append([])

    def step_done(self, step, logs):
        self.steps[-1].append(step)
        self.losses.append(float(logs["loss"]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run with one step in a call, and with as many as there may be."""
    folder, listeners, results = tmp_path_factory.mktemp("runs"), {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_azure.training.checkpoints.KEPT", 1000)
        for name, seconds in (("one", 0.0), ("many", 1000.0)):
            patch.setattr("keras_azure.training.loop.CALL_SECONDS", seconds)
            patch.setattr("keras_azure.training.loop.LONGEST_CALL", 1000.0)
            listeners[name] = Listener()
            results[name] = keras_azure.run(MODEL, output=folder / name, observer=listeners[name], **SETTINGS)
    return listeners, results


def test_calls_end_at_checkpoints_and_at_the_end_of_the_epoch(runs):
    listeners, _ = runs
    assert listeners["one"].steps == [[*range(STEPS)]] * 2
    for steps in listeners["many"].steps:
        assert {6, 13, 20} <= set(steps)
        assert len(steps) < STEPS
        assert all(before < after for before, after in itertools.pairwise(steps))
    assert listeners["many"].steps[1] == [6, 13, 20]  # when the pace is known


def test_checkpoints_are_made_after_their_steps(runs):
    _, results = runs
    for result in results.values():
        names = {path.name for path in (result.run_dir / "checkpoints").iterdir() if not path.name.startswith(".")}
        within = {f"epoch-{epoch:04}-step-{step:06}.npz" for epoch in (0, 1) for step in (7, 14)}
        assert names == within | {"epoch-0001.npz", "epoch-0002.npz"}


def test_the_result_does_not_depend_on_the_steps_in_a_call(runs):
    listeners, results = runs
    one, many = ((results[name].run_dir / "model.keras").read_bytes() for name in ("one", "many"))
    assert one == many
    for mine, theirs in zip(results["one"].history, results["many"].history, strict=True):
        for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert mine[name] == theirs[name]
    heard = {}
    for name, listener in listeners.items():
        places = [(epoch, step) for epoch, steps in enumerate(listener.steps) for step in steps]
        heard[name] = dict(zip(places, listener.losses, strict=True))
    assert heard["many"].items() < heard["one"].items()  # the same means, heard of less often
