"""What epochs are judged by: which numbers there are, and whether a high one is good."""

from dataclasses import dataclass

import pytest

from keras_azure.description.config import RunConfig
from keras_azure.errors import ConfigError, SpecError
from keras_azure.training.history import History, best_epoch
from keras_azure.training.monitor import Monitor, find_monitor


@dataclass
class Metric:
    name: str
    _direction: str | None = None


METRICS = (Metric("accuracy", "up"), Metric("mean_squared_error", "down"), Metric("mine"))


@pytest.mark.parametrize(
    ("text", "monitor"),
    [
        ("val_loss", Monitor("val_loss", highest=False)),
        ("val_accuracy", Monitor("val_accuracy", highest=True)),
        ("val_mean_squared_error", Monitor("val_mean_squared_error", highest=False)),
        ("val_mine(mode=max)", Monitor("val_mine", highest=True)),
        ("val_accuracy(mode=min)", Monitor("val_accuracy", highest=False)),
    ],
)
def test_a_metric_says_whether_a_high_value_is_good(text, monitor):
    assert find_monitor(RunConfig("cnn", monitor=text), METRICS) == monitor


def test_a_number_that_the_run_does_not_have_is_refused_with_those_that_it_has():
    with pytest.raises(ConfigError) as refused:
        find_monitor(RunConfig("cnn", monitor="val_auc"), METRICS)
    assert refused.value.expected == "one of val_loss, val_accuracy, val_mean_squared_error, val_mine"
    with pytest.raises(ConfigError, match="no 'loss' to monitor"):
        find_monitor(RunConfig("cnn", monitor="loss"), METRICS)


def test_a_metric_that_does_not_say_it_has_to_be_told():
    with pytest.raises(ConfigError, match=r"Whether a high val_mine is good is not known.(.|\n)*val_mine\(mode=max\)"):
        find_monitor(RunConfig("cnn", monitor="val_mine"), METRICS)
    with pytest.raises(ConfigError, match="cannot be 'val_mine\\(mode=up\\)'"):
        find_monitor(RunConfig("cnn", monitor="val_mine(mode=up)"), METRICS)


def test_a_monitor_needs_a_validation():
    with pytest.raises(ConfigError, match="monitor judges epochs by their val_accuracy, and validation_split is 0"):
        RunConfig("cnn", monitor="val_accuracy", validation_split=0)
    with pytest.raises(ConfigError, match="keep='best' judges epochs by their validation loss"):
        RunConfig("cnn", keep="best", validation_split=0)
    with pytest.raises(SpecError):
        RunConfig("cnn", monitor="val_accuracy(")


def test_the_best_epoch_has_the_highest_where_that_is_good(tmp_path):
    rows = [{"epoch": n, "val_loss": n, "val_accuracy": right} for n, right in enumerate((0.2, 0.9, 0.9, 0.5), 1)]
    assert best_epoch(rows) == 1
    assert best_epoch(rows, Monitor("val_accuracy", highest=True)) == 2
    history = History(tmp_path, rows, Monitor("val_accuracy", highest=True))
    assert (history.best_epoch, history.epochs_since_best(0)) == (2, 2)
    assert str(history.monitor) == "higher val_accuracy"
    assert str(History(tmp_path).monitor) == "lower validation loss"
