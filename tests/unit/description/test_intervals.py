"""`500steps`, `10min`: how often checkpoints are made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_azure.description.intervals import Interval, parse_interval
from keras_azure.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        (None, Interval()),
        ("500steps", Interval(steps=500)),
        ("1 step", Interval(steps=1)),
        ("30s", Interval(seconds=30)),
        ("10min", Interval(seconds=600)),
        (" 2h ", Interval(seconds=7200)),
    ],
)
def test_intervals(text, interval):
    assert parse_interval(text) == interval


@pytest.mark.parametrize("text", ["", "500", "steps", "0steps", "-5s", "1.5h", "10 minutes", "5steps5s"])
def test_what_is_none_is_refused_with_examples(text):
    with pytest.raises(ConfigError, match=r"(?s)'checkpoint_every' cannot be.*500steps, 30s, 10min, 2h"):
        parse_interval(text)


@given(st.text(max_size=12))
def test_any_text_is_an_interval_or_refused(text):
    try:
        interval = parse_interval(text)
    except ConfigError:
        return
    assert (interval.steps is None) != (interval.seconds is None)


def test_when_an_interval_is_over():
    assert not Interval().is_over(10**9, 1e9)
    assert not Interval(steps=5).is_over(4, 1e9)
    assert Interval(steps=5).is_over(5, 0)
    assert not Interval(seconds=5).is_over(10**9, 4.9)
    assert Interval(seconds=5).is_over(1, 5)


def test_how_many_steps_are_left():
    assert Interval(steps=5).steps_left(2) == 3
    assert Interval(steps=5).steps_left(7) == 1
    assert Interval(seconds=5).steps_left(10**9) > 10**9
