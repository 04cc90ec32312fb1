"""Training without a gradient: features of all pictures, and a classifier of scikit-learn on them."""

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_azure.config import RunConfig
from keras_azure.observers import Observer
from keras_azure.training.compiling import build_loss
from keras_azure.training.data import Batch, RunData
from keras_azure.training.history import Row
from keras_azure.training.interrupts import StopRequests
from keras_azure.transfer.classic import FeatureClassifier, fit, name_of
from keras_azure.transfer.features import compute_features


def fit_classifier(
    classifier: FeatureClassifier, data: RunData, config: RunConfig, observer: Observer, stop: StopRequests
) -> tuple[FeatureClassifier, Row]:
    """Fits the classifier to the training pictures; of augmented ones, to each as often as there are epochs.

    Returns:
        The fitted classifier, and a row for the history: "loss" and "accuracy" in training and validation.

    Raises:
        DataError: there are too few pictures, or the classifier cannot be fitted to them.
    """
    started = time.perf_counter()
    rounds = config.epochs if data.augment else 1

    def features_of(batches: Iterable[Batch], pictures: int) -> tuple[np.ndarray, np.ndarray]:
        return compute_features(classifier.features, _until_stopped(batches, stop), pictures, observer)

    vectors, labels = features_of(data.train_batches(0, rounds), rounds * data.images_per_epoch)
    computed = time.perf_counter() - started
    stop.check()
    observer.message(f"Fitting {name_of(classifier.estimator)} to the features of {len(labels):,} pictures")
    fitted = fit(classifier, vectors, labels, config.seed)
    stop.check()
    for name, score in fitted.scores.items():
        observer.message(f"  {name}: accuracy {score:.4f} in {fitted.folds} folds")
    if fitted.scores:
        observer.message(f"Chosen: {name_of(fitted.classifier.estimator)}")
    if not fitted.converged:
        observer.message("It did not converge: features of more different scales than it can cope with.")
    row = {"epoch": 1, **_scores(fitted.classifier, vectors, labels, config, "")}
    if data.validation_steps:
        held_out = features_of(data.validation_batches(0, 1, "host"), len(data.validation))
        row |= _scores(fitted.classifier, *held_out, config, "val_")
    row |= {"images_per_second": len(labels) / computed, "seconds": time.perf_counter() - started}
    return fitted.classifier, row


def _scores(
    classifier: FeatureClassifier, vectors: np.ndarray, labels: np.ndarray, config: RunConfig, prefix: str
) -> dict[str, float]:
    probabilities = classifier.probabilities(vectors)
    truth = np.eye(classifier.num_classes, dtype=np.float32)[labels]
    return {
        f"{prefix}loss": float(build_loss(config)(truth, probabilities)),
        f"{prefix}accuracy": float((probabilities.argmax(axis=1) == labels).mean()),
    }


def _until_stopped(batches: Iterable[Batch], stop: StopRequests) -> Iterable[tuple[Any, ...]]:
    for images, labels, *_ in batches:
        stop.check()
        yield images, labels
