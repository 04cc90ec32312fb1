"""Training without a gradient: features of all images, and a classifier of scikit-learn on them."""

import contextlib
import time

import numpy as np

from keras_azure.description.config import RunConfig
from keras_azure.description.events import Listener
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.features import Stream, compute_features
from keras_azure.models.fitting import SCORES, fit, name_of
from keras_azure.pipeline import labels_of
from keras_azure.training.compiling import build_loss
from keras_azure.training.data import Part, RunData
from keras_azure.training.history import Row
from keras_azure.training.interrupts import StopRequests


def fit_classifier(
    classifier: FeatureClassifier, data: RunData, config: RunConfig, listener: Listener, stop: StopRequests
) -> tuple[FeatureClassifier, Row]:
    """Fits the classifier to the training pictures; of augmented ones, to each as often as there are epochs.

    Returns:
        The fitted classifier, and a row for the history: "loss" and "accuracy" in training and validation.

    Raises:
        DataError: there are too few pictures, or the classifier cannot be fitted to them.
    """
    started = time.perf_counter()
    if data.augment is None:
        with contextlib.closing(data.with_features(classifier.features, listener, stop)) as featured:
            vectors, labels = _samples_of(featured.train)
            held_out = _samples_of(featured.validation)
    else:
        vectors, labels, held_out = _augmented(classifier, data, config, listener, stop)
    computed = time.perf_counter() - started
    listener.message(f"Fitting {name_of(classifier.estimator)} to the features of {len(labels):,} pictures")
    fitted = fit(classifier, vectors, labels, config.seed)
    stop.check()
    for name, score in fitted.scores.items():
        listener.message(f"  {name}: {SCORES[classifier.task]} {score:.4f} in {fitted.folds} folds")
    for name, why in fitted.left_out.items():
        listener.message(f"  {name}: left out. {why}")
    if classifier.choices:
        why = "" if fitted.folds else ", the first that can be fitted: no class has two pictures to compare them by"
        listener.message(f"Chosen: {name_of(fitted.classifier.estimator)}{why}")
    if not fitted.converged:
        listener.message("It did not converge: features of more different scales than it can cope with.")
    row = {"epoch": 1, **_scores(fitted.classifier, vectors, labels, data, "")}
    if data.validation_steps:
        row |= _scores(fitted.classifier, *held_out, data, "val_")
    row |= {"images_per_second": len(labels) / computed, "seconds": time.perf_counter() - started}
    return fitted.classifier, row


def _scores(
    classifier: FeatureClassifier, vectors: np.ndarray, labels: np.ndarray, data: RunData, prefix: str
) -> dict[str, float]:
    task, form = data.task, data.train.source.form
    given = classifier.probabilities(vectors)
    truth = np.asarray(labels, np.float32) if form.shape else np.eye(form.count, dtype=np.float32)[labels]
    scaling = task.scaling
    lost = (truth, given) if scaling is None else (scaling.apply(truth), scaling.apply(given))
    found = {"loss": float(build_loss(data.config, task.loss)(*lost)), **task.scores(truth, given)}
    return {f"{prefix}{name}": value for name, value in found.items()}


def _samples_of(part: Part) -> tuple[np.ndarray, np.ndarray]:
    """The features, float32 (n, num_features), and the labels of a part that has them in memory."""
    assert part.source.pictures is not None  # held in memory, see RunData.with_features
    return part.source.pictures[part.samples], labels_of(part.source, part.samples)


def _augmented(
    classifier: FeatureClassifier, data: RunData, config: RunConfig, listener: Listener, stop: StopRequests
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Features and labels of the training pictures as each epoch has them, and of the validation pictures."""

    def computed(stream: Stream, pictures: int) -> tuple[np.ndarray, np.ndarray]:
        return compute_features(classifier.features, stream, pictures, data.train.source.form, listener, stop.check)

    training = computed(lambda: data.train_batches(0, config.epochs), config.epochs * data.images_per_epoch)
    if not data.validation_steps:
        none = np.empty((0, classifier.features.output_shape[-1]), np.float32), data.train.source.form.empty(0)
        return *training, none
    return *training, computed(lambda: data.validation_batches(0, 1, "host"), len(data.validation))
