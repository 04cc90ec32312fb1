"""How many steps are made in one call: so many that calls cost nothing, and so few that all are heard in between."""

import numpy as np

from keras_azure.engines import Done

CALL_SECONDS = 0.25  # what a call is to take
LONGEST_CALL = 0.5  # seconds after which a call begins no further step, should its steps take longer than those before
_MOST_STEPS = 1024
_GROWTH = 4  # times as many steps as in the call before, at most


class Pace:
    """Learns from each call how many steps the next one is to make. What is trained does not depend on it.

    Attributes:
        steps: for the next call; one at first, which compiles.
    """

    def __init__(self):
        self.steps = 1

    def learn(self, done: Done) -> None:
        wanted = CALL_SECONDS / max(float(np.median(done.seconds)), 1e-6)
        self.steps = int(min(max(1, wanted), self.steps * _GROWTH, _MOST_STEPS))
