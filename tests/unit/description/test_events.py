"""Events come to every listener, in one order, and the names that users know stay."""

import sys
from types import SimpleNamespace

import pytest

import keras_azure
from keras_azure.description.events import Listener, Listeners, Observer

ANSWERS = {"steps_until_due", "get_state"}
EVENTS = [name for name, value in vars(Listener).items() if callable(value) and not name.startswith("_")]


class Recorder(Listener):
    def __init__(self, name, heard):
        for event in EVENTS:
            if event not in ANSWERS:
                setattr(self, event, lambda *given, event=event: heard.append((name, event, given)))


@pytest.mark.parametrize("event", sorted(set(EVENTS) - ANSWERS))
def test_each_event_comes_to_all_in_their_order(event):
    heard = []
    listeners = Listeners([Recorder("first", heard), Recorder("second", heard)])
    getattr(listeners, event)("some", "arguments")
    assert heard == [(name, event, ("some", "arguments")) for name in ("first", "second")]


def test_an_observer_of_before_hears_of_steps():
    class Old(keras_azure.Observer):
        def step_done(self, step, logs):
            self.heard = (step, logs)

    old = Old()
    Listeners([Listener(), old]).steps_done(3, SimpleNamespace(logs={"loss": 0.5}), False)
    assert old.heard == (3, {"loss": 0.5})
    assert Observer is keras_azure.Observer is Listener


def test_what_one_of_them_wants_holds_for_all():
    plain, wanting = Listener(), Listener()
    listeners = Listeners([plain, wanting])
    assert (listeners.every_step, listeners.stop_training) == (False, False)
    assert listeners.steps_until_due() == sys.maxsize
    wanting.every_step = wanting.stop_training = True
    wanting.steps_until_due = lambda: 5
    assert (listeners.every_step, listeners.stop_training) == (True, True)
    assert listeners.steps_until_due() == 5
    assert Listeners([]).steps_until_due() == sys.maxsize


def test_a_checkpoint_keeps_the_state_of_all():
    one, other = Listener(), Listener()
    one.get_state, other.get_state = (lambda: {"history": (1,)}), (lambda: {"tracking": None})
    assert Listeners([one, Listener(), other]).get_state() == {"history": (1,), "tracking": None}
