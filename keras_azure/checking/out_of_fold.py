"""Probabilities of each image's classes, from models that were trained without it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import keras
import numpy as np

from keras_azure.checking.duplicates import Groups
from keras_azure.data.fitted import fitted
from keras_azure.data.memory import require_memory
from keras_azure.data.originals import Original
from keras_azure.data.resizing import Size
from keras_azure.description.events import Observer
from keras_azure.errors import UnusableWeights
from keras_azure.models.features import BATCH_SIZE
from keras_azure.models.kinds import CLASSIFIER
from keras_azure.models.parts import parts_of
from keras_azure.models.weights import encoder_in, existing, load_safely
from keras_azure.registry.registry import MODELS

FOLDS = 5
_TRAINED_ON = 32, 32, 3  # the shape of the images that a network is trained on here
_BATCH = 128  # images of a training step
_STEPS = 250  # of each fold, at least, and
_EPOCHS = 3, 30  # at least and at most
_LEARNED_BY_STEPS = 3e-3  # the highest learning rate
_USUAL_SIZE: Size = (224, 224)  # of networks that take any


class Judge(Protocol):
    """Who gives probabilities; it gets the pixels in the pass through all images.

    Attributes:
        name: what is said of it: "features of runs/x/model.keras".
    """

    name: str

    def take(self, image: Original) -> np.ndarray: ...

    def keep(self, number: int, taken: np.ndarray) -> None: ...

    def probabilities(
        self, numbers: np.ndarray, labels: np.ndarray, folds: np.ndarray, num_classes: int, observer: Observer
    ) -> np.ndarray:
        """Of images, out of fold, float32 (n, num_classes).

        Args:
            numbers: which images, (n,).
            labels: of them, (n,).
            folds: of them, (n,); each is judged by what was trained on the others.
        """
        ...


class ByTraining:
    """Trains a small network on all folds but one, for each fold.

    Args:
        model: a model plugin's spec, of one that is trained from scratch in little time.
    """

    def __init__(self, model: str, seed: int) -> None:
        self.name = f"{model}, trained out of fold"
        self._model, self._seed = model, seed
        self._kept: dict[int, np.ndarray] = {}

    def take(self, image: Original) -> np.ndarray:
        return fitted(image.pixels, _TRAINED_ON)

    def keep(self, number: int, taken: np.ndarray) -> None:
        if len(self._kept) % 1024 == 0:
            require_memory(1024 * taken.nbytes, "What a network is trained on", hint="--no-labels")
        self._kept[number] = taken

    def probabilities(
        self, numbers: np.ndarray, labels: np.ndarray, folds: np.ndarray, num_classes: int, observer: Observer
    ) -> np.ndarray:
        pixels = np.stack([self._kept[number] for number in numbers.tolist()])
        keras.utils.set_random_seed(self._seed)
        model: keras.Model = MODELS.build(self._model, pixels.shape[1:], num_classes)
        optimizer = keras.optimizers.Adam(_LEARNED_BY_STEPS, name="adam")
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        model.optimizer.build(model.trainable_variables)
        variables = [*model.variables, *model.optimizer.variables]
        fresh = [np.array(variable) for variable in variables]
        found = np.empty((len(pixels), num_classes), np.float32)
        for fold in range(FOLDS):
            for variable, value in zip(variables, fresh, strict=True):
                variable.assign(value)
            train, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            batches = [*_batches(len(train), np.random.default_rng([self._seed, fold]))]
            for done, batch in enumerate(batches, start=1):
                chosen = train[batch]
                model.optimizer.learning_rate.assign(_LEARNED_BY_STEPS * (1 - (done - 1) / len(batches)))
                model.train_on_batch(pixels[chosen].astype(np.float32), labels[chosen])
                observer.advance(f"Training {self._model} for labels", fold * len(batches) + done, FOLDS * len(batches))
            for start in range(0, len(held_out), _BATCH):
                chosen = held_out[start : start + _BATCH]
                found[chosen] = np.asarray(model.predict_on_batch(pixels[chosen].astype(np.float32)))
        return found


class ByFeatures:
    """A logistic regression on the features of a network that was trained elsewhere, fitted for each fold.

    Args:
        weights: the folder of a run, or a `.keras` file.

    Raises:
        UnusableWeights: there is no such file, it is damaged or unsafe, or takes no images.
    """

    def __init__(self, weights: str) -> None:
        self.name = f"features of {weights}"
        self._network = _features_in(weights)
        shape = self._network.input_shape
        if len(shape) != 4 or shape[3] not in (1, 3):
            raise UnusableWeights(f"The network in {weights} takes {shape}, and no images.", expected="gray or colour")
        self._shape = (shape[1] or _USUAL_SIZE[0], shape[2] or _USUAL_SIZE[1], shape[3])
        self._waiting: list[np.ndarray] = []
        self._numbers: list[int] = []
        self._features: list[np.ndarray] = []

    def take(self, image: Original) -> np.ndarray:
        return fitted(image.pixels, self._shape)

    def keep(self, number: int, taken: np.ndarray) -> None:
        self._numbers.append(number)
        self._waiting.append(taken)
        if len(self._waiting) == BATCH_SIZE:
            self._compute()

    def probabilities(
        self, numbers: np.ndarray, labels: np.ndarray, folds: np.ndarray, num_classes: int, observer: Observer
    ) -> np.ndarray:
        from sklearn.linear_model import LogisticRegression  # here: a second to load, and most checks need none
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits  # which scikit-learn needs itself

        if self._waiting:
            self._compute()
        vectors = np.concatenate(self._features)[np.searchsorted(self._numbers, numbers)]
        found = np.zeros((len(vectors), num_classes), np.float32)
        for fold in range(FOLDS):
            train, held_out = folds != fold, folds == fold
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, C=0.1))
            with threadpool_limits(1):  # in products of such size threads spend more on waiting for each other
                classifier.fit(vectors[train], labels[train])
            found[np.ix_(held_out, classifier.classes_)] = classifier.predict_proba(vectors[held_out])
            observer.advance("Fitting classifiers for labels", fold + 1, FOLDS)
        return found

    def _compute(self) -> None:
        vectors = np.asarray(self._network.predict_on_batch(np.stack(self._waiting).astype(np.float32)))
        self._features.append(vectors.mean(axis=tuple(range(1, vectors.ndim - 1))) if vectors.ndim > 2 else vectors)
        self._waiting.clear()


def folds_of(labels: np.ndarray, together: Groups, seed: int) -> np.ndarray:
    """A fold of each image, 0 to FOLDS - 1, so that each class is in all of them, as evenly as `together` allows.

    Args:
        labels: int64 (n,).
        together: groups of places in `labels` that must be in one fold: copies of an image would tell its label.
    """
    folds = np.empty(len(labels), np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds[order] = np.arange(len(labels)) % FOLDS
    for group in together:
        folds[group] = folds[group[0]]
    return folds


def _features_in(weights: str) -> keras.Model:
    if (classifier := Path(weights).expanduser() / CLASSIFIER.file).is_file():
        return CLASSIFIER.load(classifier).features
    model = load_safely(existing(weights))
    parts = parts_of(model)
    return encoder_in(model) if parts is None else parts.features


def _batches(size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Full batches of some epochs, each in an order of its own."""
    batch = min(_BATCH, size)
    per_epoch = size // batch
    for _ in range(int(np.clip(-(-_STEPS // per_epoch), *_EPOCHS))):
        order = rng.permutation(size)
        for start in range(0, per_epoch * batch, batch):
            yield order[start : start + batch]
