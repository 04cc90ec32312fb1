"""An estimator of scikit-learn on features of Keras: what was common before networks were trained to the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_azure.data import TaskName
from keras_azure.models.archive import read_archive, write_archive
from keras_azure.models.features import BATCH_SIZE

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


@dataclass(frozen=True, eq=False)
class FeatureClassifier:
    """A network that makes features, which stays as it is, and a classifier that learns from them; or, for numbers, a
    regressor.

    Attributes:
        features: from pixels 0..255, (batch, height, width, channels), to (batch, d).
        estimator: a classifier of scikit-learn; for numbers a regressor. For several labels or numbers `fitting.fit`
            makes one of it for each.
        num_classes: how many probabilities or numbers come out; labels of classes are 0 .. num_classes - 1.
        choices: other classifiers; if there are any, `fitting.fit` takes the best of all.
        task: "classify", "multilabel" or "regress".
        constants: of several labels those that all images had when it was fitted, as 1, or none, as 0: the estimator
            knows nothing of them.
    """

    features: keras.Model
    estimator: "BaseEstimator"
    num_classes: int
    choices: "tuple[BaseEstimator, ...]" = ()
    task: TaskName = "classify"
    constants: Mapping[int, int] = field(default_factory=dict)

    def vectors(self, pictures: np.ndarray) -> np.ndarray:
        """The features of pictures (n, height, width, channels), 0..255: (n, d) float32."""
        found = np.empty((len(pictures), *self.features.output_shape[1:]), np.float32)
        for start in range(0, len(pictures), BATCH_SIZE):
            batch = np.asarray(pictures[start : start + BATCH_SIZE], np.float32)
            found[start : start + BATCH_SIZE] = np.asarray(self.features.predict_on_batch(batch))
        return found

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """What the fitted estimator says of vectors (n, d): (n, num_classes) float32, probabilities or numbers.

        The softmax of its margins stands for probabilities of classes where it gives none, as a linear SVM; for those
        of labels their sigmoid. A class or label that was not there when it was fitted has probability 0.
        """
        vectors = np.asarray(vectors, np.float32)
        if self.task == "regress":
            return np.asarray(self.estimator.predict(vectors), np.float32).reshape(len(vectors), self.num_classes)
        if self.task == "multilabel":
            return self._of_labels(vectors)
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

    def _of_labels(self, vectors: np.ndarray) -> np.ndarray:
        learned = [label for label in range(self.num_classes) if label not in self.constants]
        if hasattr(self.estimator, "predict_proba"):
            known = np.asarray(self.estimator.predict_proba(vectors))
            known = known[:, -1] if len(learned) == 1 else known  # of one label: that it is not there, and that it is
        else:
            import scipy.special

            known = scipy.special.expit(np.asarray(self.estimator.decision_function(vectors), np.float64))
        found = np.zeros((len(vectors), self.num_classes), np.float32)
        found[:, learned] = known.reshape(len(vectors), len(learned))
        found[:, list(self.constants)] = list(self.constants.values())
        return found

    def predict(self, pictures: np.ndarray) -> np.ndarray:
        """The probabilities or numbers, (n, num_classes) float32, of pictures (n, height, width, channels), 0..255."""
        if not len(pictures):
            return np.zeros((0, self.num_classes), np.float32)  # scikit-learn takes no empty arrays
        return self.probabilities(self.vectors(pictures))

    def save(self, path: Path, about: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Saves features and estimator, without the other choices, as one file; equal models give equal files.

        Args:
            about: what the file says of the model besides, JSON-safe.

        Raises:
            RunFailed: the disk is full or not writable, or the estimator cannot be written.
        """
        write_archive(path, self.features, self.estimator, self.num_classes, self.task, self.constants, about)

    @classmethod
    def load(cls, path: Path) -> "FeatureClassifier":
        """What `save` wrote; no code from the file is run.

        Raises:
            RunFailed: the file is not there, damaged, unsafe, or another one.
        """
        features, estimator, num_classes, task, constants = read_archive(path)
        return cls(features, estimator, num_classes, task=task, constants=constants)
