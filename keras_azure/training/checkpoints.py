"""A checkpoint after each epoch: the model with its optimizer, in `checkpoints/epoch-0001.keras`.

Keras leaves the state of random layers such as Dropout out of its files. It is an entry of its own in the same archive,
so that a checkpoint is one file, whole or not there.
"""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np

from keras_azure.files import write_atomically
from keras_azure.saving import load_model

KEPT = 2  # the newest ones; one more than needed, in case the newest is damaged
_RANDOM_STATE = "random_state.json"


class Checkpoints:
    """The checkpoints of a run folder. Epochs count from 1 in the names: the number of finished epochs."""

    def __init__(self, run_dir: Path):
        self.folder = run_dir / "checkpoints"

    def save(self, model: keras.Model, finished_epochs: int, best_epoch: int | None) -> None:
        """Saves, then removes what is neither among the newest nor of the best epoch."""
        self.folder.mkdir(exist_ok=True)
        state = [np.asarray(variable).tolist() for variable in _random_state(model)]

        def write(beside: Path) -> None:
            model.save(beside)
            with zipfile.ZipFile(beside, "a") as archive:
                archive.writestr(_RANDOM_STATE, json.dumps(state))

        write_atomically(self.path(finished_epochs), write)
        keep = {*self.finished_epochs()[-KEPT:], best_epoch}
        for epochs in self.finished_epochs():
            if epochs not in keep:
                self.path(epochs).unlink()

    def load(self, finished_epochs: int) -> keras.Model:
        """The compiled model with its optimizer's state and the state of its random layers."""
        path = self.path(finished_epochs)
        model = load_model(path)
        with zipfile.ZipFile(path) as archive:
            state = json.loads(archive.read(_RANDOM_STATE))
        for variable, value in zip(_random_state(model), state, strict=True):
            variable.assign(value)
        return model

    def path(self, finished_epochs: int) -> Path:
        return self.folder / f"epoch-{finished_epochs:04d}.keras"

    def finished_epochs(self) -> list[int]:
        """The epochs after which there is a checkpoint, in order."""
        return sorted(int(path.stem.removeprefix("epoch-")) for path in self.folder.glob("epoch-*.keras"))


def _random_state(model: keras.Model) -> list[keras.Variable]:
    """The variables that `weights` leaves out: the seeds of random layers, in the order of the layers."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]
