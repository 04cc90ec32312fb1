"""What the input pipeline costs a picture, tried on this machine."""

import math
import time
from dataclasses import dataclass

import numpy as np

from keras_azure.data import Dataset, is_held
from keras_azure.data.label_forms import LabelForm
from keras_azure.data.source import Source, held_source, open_source
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.pipeline import batches, steps_in_epoch
from keras_azure.training.data import DataFacts

_TRIED_PICTURES = 256
_TRIED_BYTES = 32 << 20  # of pixels: small pictures are gone over several times, ...
_TRIED_SECONDS = 0.5  # ... but not for longer: beside it, the beginning of a stream is little already
_MOST_AT_ONCE = 16  # times as many batches as before: the first ones are slow


@dataclass(frozen=True)
class InputCost:
    """Seconds that one core of this machine works for a picture.

    Attributes:
        decoding: to read, decode and augment it; None if the pictures are not here, or in memory anyway.
        augmenting: to augment one that is in memory, and put it into a batch.
    """

    decoding: float | None
    augmenting: float


def input_cost(config: RunConfig, pictures: DataFacts, dataset: Dataset | None) -> InputCost:
    """Tries it: with some pictures of the data set for decoding, with random ones for what comes behind.

    Raises:
        DataError: a picture cannot be read.
    """
    decoding = None
    if dataset is not None and not is_held(dataset):
        decoding = _core_seconds(open_source(dataset, "train", Observer(), "none"), config, pictures)
    shape = pictures.image_shape
    count = max(2, min(pictures.train, _TRIED_PICTURES))
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    classes = len(pictures.class_names)
    held = held_source(images, np.arange(count) % classes, LabelForm("classify", classes))  # which all cost the same
    many = _TRIED_BYTES // (math.prod(shape) * config.batch_size)
    return InputCost(decoding, _core_seconds(held, config, pictures, at_least=many))


def _core_seconds(source: Source, config: RunConfig, pictures: DataFacts, *, at_least: int = 1) -> float:
    """Seconds a picture, of `at_least` so many batches, or of fewer that take long enough."""
    samples = np.arange(min(source.size, _TRIED_PICTURES))

    def go_over(steps: int) -> int:
        stream = batches(
            source, samples, batch_size=config.batch_size, seed=config.seed, steps=steps, augment=pictures.augment
        )
        return sum(len(images) for images, *_ in stream)

    try:
        go_over(1)  # traces, and compiles what augments
        steps = steps_in_epoch(len(samples), config.batch_size)
        while True:
            begun = time.process_time()
            done = go_over(steps)
            taken = time.process_time() - begun
            if steps >= at_least or taken >= _TRIED_SECONDS:
                return taken / done
            more = min(_MOST_AT_ONCE, 1.2 * _TRIED_SECONDS / max(taken, 1e-6))
            steps = min(at_least, math.ceil(steps * more))
    finally:
        source.streams.close()
