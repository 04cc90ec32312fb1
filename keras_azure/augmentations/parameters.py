"""The parameters of a stage for the samples of a batch, which follow from `(seed, epoch, sample index)`."""

import threading
from collections import OrderedDict
from functools import partial

import numpy as np

from keras_azure.augmentations.draws import uniform
from keras_azure.augmentations.plan import Stage

MOST_NUMBERS = 1 << 24  # of a table: 64 MiB
_EPOCHS_KEPT = 3  # the pipeline makes batches ahead, over the end of an epoch


class Parameters:
    """Draws the parameters of a whole epoch at once, and looks those of a batch up in it.

    For small pictures NumPy's time between operations would otherwise be a good part of all the work. Of very large
    data sets, each batch is drawn by itself; the numbers are the same.

    Args:
        size: how many samples there are.
    """

    def __init__(self, stage: Stage, seed: int, size: int):
        self._stage = stage
        self._seed = seed
        self._all = np.arange(size)
        self._at_once = size * stage.num_parameters <= MOST_NUMBERS
        self._tables: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """Parameters, int32 (batch, k), for samples `indices` (batch,) of the rounds `epochs` (batch,)."""
        if not self._at_once:
            return self._drawn(epochs, indices)
        first = int(epochs[0]) if len(epochs) else 0
        parameters = self._table(first)[indices]
        for epoch in set(epochs[epochs != first].tolist()):
            others = epochs == epoch
            parameters[others] = self._table(epoch)[indices[others]]
        return parameters

    def _table(self, epoch: int) -> np.ndarray:
        with self._lock:
            if epoch not in self._tables:
                self._tables[epoch] = self._drawn(np.full(len(self._all), epoch), self._all)
                if len(self._tables) > _EPOCHS_KEPT:
                    self._tables.popitem(last=False)
            return self._tables[epoch]

    def _drawn(self, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
        return self._stage.sample(partial(uniform, self._seed, epochs, indices))
