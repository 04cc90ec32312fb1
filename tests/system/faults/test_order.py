"""The order of an epoch's end that makes resume exact: checkpoint, then record, then display."""

import threading

import keras_azure
from keras_azure.description.events import Listener
from keras_azure.listeners.tracking import Tracker
from keras_azure.training.checkpoints import Checkpoints
from keras_azure.training.writer import CheckpointWriter

PATIENCE = 60  # seconds


class Display(Listener):
    """Says what it hears, and lets each checkpoint be written only then: what is recorded must have waited for it."""

    def __init__(self, happened):
        self.happened = happened
        self.shown = [threading.Event() for _ in range(3)]

    def epoch_done(self, epoch, row):
        self.happened.append(f"shown {epoch + 1}")
        self.shown[epoch].set()


def test_nothing_is_recorded_or_shown_that_a_resumed_run_would_do_again(tmp_path, monkeypatch):
    happened = []
    display = Display(happened)
    order, write, record = CheckpointWriter.save, Checkpoints.save, Tracker.log_epoch

    def ordered(self, state, *rest):
        assert [row["epoch"] for row in state.history] == [*range(1, state.epochs + 1)]  # of the same moment
        order(self, state, *rest)  # waits for the one before
        happened.append(f"ordered {state.epochs}")

    def written(self, state, values):
        assert display.shown[state.epochs - 1].wait(PATIENCE)
        write(self, state, values)
        happened.append(f"written {state.epochs}")

    def recorded(self, row):
        assert (tmp_path / "run/checkpoints" / f"epoch-{row['epoch']:04}.npz").is_file()
        happened.append(f"recorded {row['epoch']}")
        record(self, row)

    monkeypatch.setenv("KAZ_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(CheckpointWriter, "save", ordered)
    monkeypatch.setattr(Checkpoints, "save", written)
    monkeypatch.setattr(Tracker, "log_epoch", recorded)
    settings = {"epochs": 3, "batch_size": 64, "backend": "local-cpu", "output": tmp_path / "run"}
    keras_azure.run("cnn(filters=(4,))", observer=display, **settings)
    assert happened == [
        f"{what} {epoch}" for epoch in (1, 2, 3) for what in ("ordered", "shown", "written", "recorded")
    ]
