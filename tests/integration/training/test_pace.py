"""How many steps are made in a call."""

import numpy as np
import pytest

from keras_azure.engines import StepResult
from keras_azure.training import loop as pace
from keras_azure.training.loop import StepsPerCall


def calls(step_seconds: float, number: int) -> list[int]:
    """The steps of so many calls, one after the other."""
    found, steps = StepsPerCall(), []
    for _ in range(number):
        steps.append(found.steps)
        found.learn(StepResult(np.full(found.steps, step_seconds), 0.0, {}, []))
    return steps


@pytest.mark.parametrize(("step_seconds", "steps"), [(0.001, [1, 4, 16, 64, 250, 250]), (0.2, [1] * 6), (5.0, [1] * 6)])
def test_a_call_takes_a_quarter_of_a_second(step_seconds, steps):
    assert pace.CALL_SECONDS == 0.25
    assert calls(step_seconds * 0.999, 6) == steps


def test_there_is_a_most():
    assert calls(1e-9, 20)[-1] == calls(0.0, 21)[-1] <= 1024


def test_a_pace_that_was_too_fast_is_given_up():
    slow = StepsPerCall()
    slow.steps = 200
    slow.learn(StepResult(np.full(200, 0.2), 0.0, {}, []))
    assert slow.steps == 1
