"""Ctrl-C and SIGTERM while training."""

import signal

import pytest

from keras_azure.errors import RunInterrupted
from keras_azure.training.interrupts import StopRequests


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_for_a_place_to_stop(number):
    told = []
    with StopRequests(told.append) as stop, pytest.raises(RunInterrupted), stop.deferred():
        stop.check()
        signal.raise_signal(number)
        assert stop.requested
        told.append("the step ends")
        stop.check()
    assert told[0].startswith("Stopping after this step")
    assert told[1:] == ["the step ends"]


def test_a_stop_that_nobody_looked_for_is_heard_at_the_end():
    with StopRequests(lambda text: None) as stop, pytest.raises(RunInterrupted), stop.deferred():
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_nothing_is_torn_apart_a_signal_stops_at_once(number):
    with StopRequests(lambda text: None), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def test_a_stop_that_python_drops_is_heard_at_the_next_place():
    class Deleted:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    dropped = []
    with pytest.MonkeyPatch.context() as patch, StopRequests(lambda text: None) as stop:
        patch.setattr("sys.unraisablehook", lambda raised: dropped.append(raised.exc_type))
        Deleted()
        with pytest.raises(RunInterrupted), stop.deferred():
            raise AssertionError("it was not heard")
    assert dropped == [KeyboardInterrupt]


def test_a_second_ctrl_c_stops_at_once_and_a_second_sigterm_does_not():
    with StopRequests(lambda text: None) as stop, pytest.raises(KeyboardInterrupt), stop.deferred():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("it was not heard")


def test_afterwards_signals_are_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with StopRequests(lambda text: None):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_ignored_interrupt_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for what it runs in the background
    try:
        with StopRequests(lambda text: None) as stop:
            signal.raise_signal(signal.SIGINT)
            stop.check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
