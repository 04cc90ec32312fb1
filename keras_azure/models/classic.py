"""A classifier of scikit-learn on features of Keras: what was common before networks were trained to the end."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_azure.models.archive import read_archive, write_archive
from keras_azure.models.features import BATCH_SIZE

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


@dataclass(frozen=True, eq=False)
class FeatureClassifier:
    """A network that makes features, which stays as it is, and a classifier that learns from them.

    Attributes:
        features: from pixels 0..255, (batch, height, width, channels), to (batch, d).
        estimator: a classifier of scikit-learn.
        num_classes: how many probabilities come out; labels are 0 .. num_classes - 1.
        choices: other classifiers; if there are any, `fitting.fit` takes the best of all.
    """

    features: keras.Model
    estimator: "BaseEstimator"
    num_classes: int
    choices: "tuple[BaseEstimator, ...]" = ()

    def vectors(self, pictures: np.ndarray) -> np.ndarray:
        """The features of pictures (n, height, width, channels), 0..255: (n, d) float32."""
        found = np.empty((len(pictures), *self.features.output_shape[1:]), np.float32)
        for start in range(0, len(pictures), BATCH_SIZE):
            batch = np.asarray(pictures[start : start + BATCH_SIZE], np.float32)
            found[start : start + BATCH_SIZE] = np.asarray(self.features.predict_on_batch(batch))
        return found

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """What the fitted classifier says of vectors (n, d): (n, num_classes) float32.

        The softmax of its margins stands for probabilities where it gives none, as a linear SVM. A class that was not
        there when it was fitted has probability 0.
        """
        vectors = np.asarray(vectors, np.float32)
        if hasattr(self.estimator, "predict_proba"):
            known = self.estimator.predict_proba(vectors)
        else:
            import scipy.special  # here, as scikit-learn: of most runs no classifier is a part

            margins = self.estimator.decision_function(vectors)
            if margins.ndim == 1:  # of two classes it gives the second one's; the first one's is the opposite
                margins = np.stack([-margins, margins], axis=1)
            known = scipy.special.softmax(margins, axis=1)
        found = np.zeros((len(vectors), self.num_classes), np.float32)
        found[:, self.estimator.classes_] = known
        return found

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """The probabilities, (n, num_classes) float32, of pictures (n, height, width, channels), 0..255."""
        if not len(pictures):
            return np.zeros((0, self.num_classes), np.float32)  # scikit-learn takes no empty arrays
        return self.probabilities(self.vectors(pictures))

    def save(self, path: Path) -> None:
        """Saves features and estimator, without the other choices, as one file; equal models give equal files.

        Raises:
            RunFailed: the disk is full or not writable, or the estimator cannot be written.
        """
        write_archive(path, self.features, self.estimator, self.num_classes)

    @classmethod
    def load(cls, path: Path) -> "FeatureClassifier":
        """What `save` wrote; no code from the file is run.

        Raises:
            RunFailed: the file is not there, damaged, unsafe, or another one.
        """
        return cls(*read_archive(path))
