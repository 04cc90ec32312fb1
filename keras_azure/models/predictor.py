"""A finished run put to use: from picture files to classes, labels or numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from keras_azure.data import TaskName
from keras_azure.data.decoding import BIT_DEPTH
from keras_azure.data.formats.images import open_image
from keras_azure.data.headers import Headers
from keras_azure.data.images import decode_header, decode_image
from keras_azure.description.events import Observer
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import RunFailed, UnreadableFile, UsageError
from keras_azure.models.kinds import Model, kind_of
from keras_azure.models.saving import reason
from keras_azure.models.trained import open_trained

BATCH_SIZE = 32  # pictures that are read and predicted at once


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture.

    Attributes:
        path: the picture's file.
        class_name, probability: the most probable class.
        probabilities: of each class, in the order of the run's classes.
    """

    path: Path
    class_name: str
    probability: float
    probabilities: Mapping[str, float] = field(repr=False)

    def top(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable classes with their probabilities, the most probable first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])[:count]

    def in_words(self, top: int = 1) -> list[tuple[str, str]]:
        """The `top` most probable classes, each with its probability as a text."""
        return [(name, f"{probability:.1%}") for name, probability in self.top(top)]

    def to_json(self, top: int = 1) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "class": self.class_name,
            "probability": self.probability,
            "probabilities": dict(self.top(top)),
        }


@dataclass(frozen=True)
class LabelsPrediction:
    """What a model for several labels says of one picture.

    Attributes:
        path: the picture's file.
        labels: those over their threshold, the most probable first.
        probabilities, thresholds: of each label, in the order of the run's labels.
    """

    path: Path
    labels: tuple[str, ...]
    probabilities: Mapping[str, float] = field(repr=False)
    thresholds: Mapping[str, float] = field(repr=False)

    def in_words(self, top: int = 1) -> list[tuple[str, str]]:
        """The labels over their threshold, each with its probability as a text; "none" where there is none."""
        return [(name, f"{self.probabilities[name]:.1%}") for name in self.labels] or [("none", "")]

    def to_json(self, top: int = 1) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "labels": list(self.labels),
            "probabilities": dict(self.probabilities),
            "thresholds": dict(self.thresholds),
        }


@dataclass(frozen=True)
class NumbersPrediction:
    """What a model for numbers says of one picture.

    Attributes:
        path: the picture's file.
        numbers: each by its name, in the order of the run's numbers.
    """

    path: Path
    numbers: Mapping[str, float]

    def in_words(self, top: int = 1) -> list[tuple[str, str]]:
        """Each number as a text."""
        return [(name, f"{value:.6g}") for name, value in self.numbers.items()]

    def to_json(self, top: int = 1) -> dict[str, Any]:
        return {"path": str(self.path), "numbers": dict(self.numbers)}


Said = Prediction | LabelsPrediction | NumbersPrediction


class Predictor:
    """The model of a finished run.

    Attributes:
        task: "classify", "multilabel" or "regress".
        thresholds: of several labels, by name: each is predicted from so much on.
        model: a `keras.Model`, or a `FeatureClassifier`. A model is compiled where its loss, metrics and optimizer are
            here: not those that were code of a Python program.
        class_names: the classes, labels or numbers, in the order of what the model gives.
        image_shape: height, width and channels of the pictures that the model takes.

    Args:
        bit_depth: how many bits the levels of images of 16 bits a channel use, as in training.
    """

    def __init__(
        self,
        model: Model,
        class_names: Sequence[str],
        bit_depth: int = BIT_DEPTH,
        *,
        task: TaskName = "classify",
        thresholds: Mapping[str, float] = MappingProxyType({}),
    ):
        self.task = task
        self.thresholds = dict(thresholds)
        self._bit_depth = bit_depth
        kind = kind_of(model)
        assert kind is not None, "a keras.Model or a FeatureClassifier"
        self._kind = kind
        self.model = model
        self.class_names = tuple(class_names)
        self.image_shape: tuple[int, int, int] = tuple(self._kind.network(model).input_shape[1:])

    def predict(self, paths: Sequence[str | Path] | str | Path) -> list[Said]:
        """What the model says of picture files, in their order; they are brought to the model's size and channels.

        Raises:
            UnreadableFile: a file is not there, is no picture, or is damaged.
        """
        found = []
        for outcome in self.predict_each(paths):
            if isinstance(outcome, UnreadableFile):
                raise outcome
            found.append(outcome)
        return found

    def predict_each(
        self, paths: Sequence[str | Path] | str | Path, observer: Observer | None = None
    ) -> Iterator[Said | UnreadableFile]:
        """As `predict`, with the error in place of the prediction of a file that cannot be read.

        Args:
            observer: hears at the end of images that are not taken as they are: on white, the first of several frames.
        """
        chosen = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
        headers = Headers()
        for batch in _batches(chosen):
            yield from self._predict_files(batch, headers)
        headers.tell(observer or Observer())

    def predict_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The probabilities or numbers, (n, classes) float32, of pictures (n, height, width, channels), levels 0..255.

        Raises:
            UsageError: the pictures have another shape than `image_shape`.
        """
        pixels = np.asarray(pixels)
        if pixels.shape[1:] != self.image_shape:
            raise UsageError(
                f"The model cannot take pixels of the shape {pixels.shape}.",
                expected=f"(n, {', '.join(map(str, self.image_shape))})",
            )
        found = np.empty((len(pixels), len(self.class_names)), np.float32)
        for start in range(0, len(pixels), BATCH_SIZE):
            found[start : start + BATCH_SIZE] = self._predict_batch(pixels[start : start + BATCH_SIZE])
        return found

    def _predict_files(self, paths: Sequence[Path], headers: Headers) -> Iterator[Said | UnreadableFile]:
        read = [self.read(path, headers) for path in paths]
        pixels = [found for found in read if not isinstance(found, UnreadableFile)]
        rows = iter(self.predict_pixels(np.stack(pixels)).tolist() if pixels else ())
        for path, found in zip(paths, read, strict=True):
            if isinstance(found, UnreadableFile):
                yield found
                continue
            yield self.said(path, next(rows))

    def said(self, path: Path, row: Sequence[float]) -> Said:
        """What is said of an image, by what the model gives for it, in the order of `class_names`."""
        given = dict(zip(self.class_names, row, strict=True))
        if self.task == "regress":
            return NumbersPrediction(path, given)
        likely = sorted(given, key=lambda name: -given[name])
        if self.task == "multilabel":
            over = tuple(name for name in likely if given[name] >= self.thresholds[name])
            return LabelsPrediction(path, over, given, self.thresholds)
        return Prediction(path, likely[0], given[likely[0]], given)

    def read(self, path: Path, headers: Headers) -> np.ndarray | UnreadableFile:
        """An image file as the model takes it, uint8 (height, width, channels), or the error of one that cannot be
        read; `headers` keep what it was."""
        height, width, channels = self.image_shape
        name, hint = f"The picture {path}", "leave it out"
        try:
            with open_image(path, hint) as file:
                header = decode_header(file, name, hint=hint)
                file.seek(0)
                pixels = decode_image(file, name, (height, width), channels, hint=hint, bit_depth=self._bit_depth)
        except UnreadableFile as error:
            return error
        headers.add(str(path), header)
        return pixels

    def _predict_batch(self, pixels: np.ndarray) -> np.ndarray:
        try:
            with keras_settings():
                return self._kind.predict(self.model, pixels.astype(np.float32))
        except Exception as error:  # a file may hold layers or a classifier that are loaded and do not fit together
            raise RunFailed(f"The model cannot compute probabilities: {reason(error)}.") from error


def load(run: str | Path) -> Predictor:
    """The model of a finished run, and what its classes are called.

    Args:
        run: the run folder, or the file of the model in it.

    Raises:
        UsageError: there is no run, it is not finished, or its model gives no probabilities of classes.
        RunFailed: a file of the run is damaged or unsafe.
    """
    trained = open_trained(run)
    trained.require_names()
    return Predictor(
        trained.model,
        trained.class_names,
        trained.bit_depth,
        task=trained.task,
        thresholds=dict(zip(trained.class_names, trained.thresholds, strict=False)),
    )


def _batches(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    for start in range(0, len(paths), BATCH_SIZE):
        yield paths[start : start + BATCH_SIZE]
