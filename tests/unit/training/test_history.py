"""The history: its file has the numbers without loss, and what follows from them."""

import csv
import math

from keras_azure.training.history import History, best_epoch


def test_the_file_has_the_numbers_without_loss(tmp_path):
    history = History(tmp_path)
    rows = [{"epoch": 1, "loss": 1 / 3, "val_loss": 0.1 + 0.2}, {"epoch": 2, "loss": 1e-30, "val_loss": 0.25}]
    for row in rows:
        history.append(row)
    with (tmp_path / "history.csv").open(newline="") as file:
        assert [{name: float(text) for name, text in row.items()} for row in csv.DictReader(file)] == rows


def test_a_run_that_goes_on_has_the_rows_of_its_checkpoint(tmp_path):
    rows = [{"epoch": 1, "loss": 0.5}]
    history = History(tmp_path, rows)
    history.append({"epoch": 2, "loss": 0.25})
    assert (tmp_path / "history.csv").read_text() == "epoch,loss\n1,0.5\n2,0.25\n"
    assert rows == [{"epoch": 1, "loss": 0.5}]


def test_the_best_epoch_has_the_lowest_validation_loss_that_is_a_number(tmp_path):
    losses = (0.5, math.nan, 0.2, 0.2, math.inf)
    rows = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, start=1)]
    history = History(tmp_path, rows)
    assert history.best_epoch == 3  # the first of equals
    assert history.epochs_since_best(0) == 2
    assert best_epoch([{"epoch": 1, "loss": 0.1}]) is None
