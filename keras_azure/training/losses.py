"""The first step whose loss is no number, found without waiting for the device in each step."""

from typing import Any

import numpy as np

CHECKED_EVERY = 50  # steps; to read a loss means to wait until the device has it


class LossWatch:
    """The losses of the steps since the last look, which the device may still be computing.

    What Keras tells is the mean over the epoch so far: from the first loss that is no number on, it is none either.
    """

    def __init__(self):
        self._losses: list[tuple[int, Any]] = []

    def add(self, step: int, mean_loss: Any) -> None:
        self._losses.append((step, mean_loss))

    @property
    def is_due(self) -> bool:
        return len(self._losses) >= CHECKED_EVERY

    def first_bad_step(self) -> tuple[int, float] | None:
        """The step and its mean loss, which is infinite or not a number; None if all are well, and forgotten."""
        losses, self._losses = self._losses, []
        if not losses or np.isfinite(float(losses[-1][1])):
            return None
        return next((step, float(loss)) for step, loss in losses if not np.isfinite(float(loss)))
