"""The displays: plain lines, and a terminal."""

import io

import pytest
from rich.console import Console

from keras_azure.description.events import Observer, RunFacts
from keras_azure.listeners.display import PlainDisplay, TerminalDisplay, display_for_here, duration

ROW = {"epoch": 1, "loss": 0.5, "accuracy": 0.75, "val_loss": 0.4, "images_per_second": 1234.5, "seconds": 61.0}


def tell(display: Observer) -> None:
    display.message("digits: [many] pictures")
    display.training_started(RunFacts(2, 3, 0, 16, 409_034, "cpu:0"))
    display.epoch_started(0)
    for step in range(3):
        display._shown_at = 0.0  # as if a tenth of a second had passed
        display.step_done(step, {"loss": 0.5, "accuracy": 0.75})
    display.epoch_done(0, ROW)


def test_plain_lines():
    out = io.StringIO()
    tell(PlainDisplay(Console(file=out)))
    assert out.getvalue().splitlines() == [
        "digits: [many] pictures",
        "Training 409,034 parameters on cpu:0: 2 epochs, 3 steps of 16 pictures each",
        "Epoch 1/2  loss 0.5000  accuracy 0.7500  val_loss 0.4000  1,234 images/s  1:01",
    ]


def test_a_terminal_shows_steps_scores_speed_and_time_left():
    out = io.StringIO()
    with TerminalDisplay(Console(file=out, force_terminal=True, width=120)) as display:
        tell(display)
        display._progress.refresh()
    text = out.getvalue()
    for piece in ("Epoch 1/2", "3/3", "loss 0.5000", "accuracy 0.7500", "images/s", "left"):
        assert piece in text


HARMFUL = "two\nlines \x1b[31m \u202e \udcff [red]text[/red] :dog:"
WRITTEN_OUT = r"two\nlines \x1b[31m \u202e \udcff [red]text[/red] :dog:"


def test_a_line_is_shown_as_text_and_nothing_else():
    out = io.StringIO()
    PlainDisplay(Console(file=out, force_terminal=True, highlight=False, width=40)).message(HARMFUL)
    assert out.getvalue() == f"{WRITTEN_OUT}\n"


def test_live_text_is_shown_as_text_and_nothing_else():
    out = io.StringIO()
    with TerminalDisplay(Console(file=out, force_terminal=True, width=200)) as display:
        display.live(HARMFUL, 1, 2, HARMFUL)
        display._progress.refresh()
    assert out.getvalue().count(WRITTEN_OUT) >= 2
    assert "\x1b[31m" not in out.getvalue().replace(WRITTEN_OUT, "")


def test_an_observer_of_ones_own_replaces_the_display():
    mine = Observer()
    with display_for_here(mine) as display:
        assert display is mine


@pytest.mark.parametrize(("seconds", "text"), [(4.6, "0:05"), (760, "12:40"), (10_927, "3:02:07")])
def test_durations(seconds, text):
    assert duration(seconds) == text
