"""Standardised pixels, as layers in front of the model, so that a saved model needs nothing else.

A model scales its own pixels, from 0..255. What it is given here is therefore 255 times the standardised value: behind
its own division by 255 the pixels have the mean 0 and the standard deviation 1.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from keras_azure.description.events import Observer
from keras_azure.files import write_json

FILE = "standardization.json"
_SMALLEST_DEVIATION = 1e-3  # of a picture that is all one level; levels are whole numbers


@dataclass(frozen=True)
class Statistics:
    """Mean and variance of each channel's levels, 0..255, over `pictures` pictures."""

    mean: tuple[float, ...]
    variance: tuple[float, ...]
    pictures: int

    @classmethod
    def made_up(cls, channels: int) -> "Statistics":
        """Any, for a model that is only looked at or timed: neither its memory nor its time depends on them."""
        return cls((128.0,) * channels, (4096.0,) * channels, 1)

    def save(self, run_dir: Path) -> None:
        write_json(run_dir / FILE, dataclasses.asdict(self))

    @classmethod
    def load(cls, run_dir: Path) -> "Statistics | None":
        """Those of a run folder; None if its file is not there or damaged."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads((run_dir / FILE).read_text(encoding="utf-8"))
            mean, variance = (tuple(map(float, values[name])) for name in ("mean", "variance"))
            return cls(mean, variance, int(values["pictures"]))
        return None


def measure(batches: Iterable[tuple[Any, Any]], pictures: int, observer: Observer) -> Statistics:
    """The statistics of a stream of uint8 pictures (batch, height, width, channels), exact: levels are only counted.

    Args:
        pictures: how many there will be.
    """
    from keras_azure.augmentations.kernels import histograms  # here, as all that builds a model imports this module

    counts, done = np.zeros((1, 256), np.int64), 0
    for images, _ in batches:
        counts = counts + histograms(np.asarray(images)).sum(axis=0, dtype=np.int64)  # (channels, 256)
        done += len(images)
        observer.advance("Measuring pixels", done, pictures)
    means, variances = [], []
    for channel in counts.tolist():  # Python's integers have no largest one
        pixels = sum(channel)
        total = sum(level * count for level, count in enumerate(channel))
        squares = sum(level**2 * count for level, count in enumerate(channel))
        means.append(total / pixels)
        variances.append((pixels * squares - total**2) / pixels**2)
    return Statistics(tuple(means), tuple(variances), done)


def standardized(
    model: keras.Model, how: Literal["none", "featurewise", "samplewise"], statistics: Statistics | None
) -> keras.Model:
    """The model behind layers that standardise its pictures; all of them are Keras's own."""
    if how == "none":
        return model
    if how == "featurewise":
        assert statistics is not None  # those of the run, or made up
        variance = [max(value, _SMALLEST_DEVIATION**2) for value in statistics.variance]
        layer = layers.Normalization(mean=statistics.mean, variance=variance, dtype="float32", name="standardize")
    else:
        # Mean and deviation over all of a picture, with nothing to learn.
        layer = layers.LayerNormalization(
            axis=(1, 2, 3), epsilon=_SMALLEST_DEVIATION**2, center=False, scale=False, dtype="float32",
            name="standardize",
        )  # fmt: skip
    to_pixels = layers.Rescaling(255.0, dtype="float32", name="to_pixels")
    inputs = layers.Input(model.input_shape[1:], name="raw_pixels")
    return keras.Sequential([inputs, layer, to_pixels, model], name=f"standardized_{model.name}")
