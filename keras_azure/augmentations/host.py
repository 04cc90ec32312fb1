"""The augmentations of a run on the host: from sample indices to augmented pictures and labels, in a tf.data graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from keras.src.utils.backend_utils import DynamicBackend

from keras_azure.augmentations.arrays import of_engine
from keras_azure.augmentations.draws import words
from keras_azure.augmentations.parameters import Parameters
from keras_azure.augmentations.plan import ForeignStage, KernelStage, MixingStage, Shape, Stage, plan_stages

if TYPE_CHECKING:
    from keras_azure.data.source import Source

_PARTNER_STREAMS = 1 << 15  # the upper half of the streams: which picture is mixed in
_TENSORFLOW = of_engine(DynamicBackend("tensorflow"))  # also where Keras itself runs on another engine


def build_augment(specs: Sequence[str], image_shape: Shape, num_classes: int) -> "Augment | None":
    """What the named augmentations do in their order, or None when there are none.

    Raises:
        UnknownName, WrongOption: an augmentation is not there or does not take its options.
        BrokenPlugin: an augmentation changes the pictures' shape or cannot take them.
    """
    stages = plan_stages(specs, image_shape, num_classes)
    return Augment(stages, image_shape) if stages else None


class Augment:
    """The stages of a run, and how they are applied.

    A stage that mixes needs a second picture for each one that it gives. So before anything else the samples are
    doubled for each such stage, each beside its partner; the stage itself then halves them. All random numbers follow
    from `(seed, epoch, sample index)`, for the partners as well.
    """

    def __init__(self, stages: Sequence[Stage | ForeignStage], image_shape: Shape):
        self.stages = list(stages)
        self._shape = image_shape
        self._all_parameters: dict[tuple[int, int, int], Parameters] = {}
        # One function a stage, however often it is called: each is traced and compiled once for a shape.
        self._compiled: dict[int, Callable[..., tf.Tensor]] = {
            number: _compiled_mix(stage) if isinstance(stage, MixingStage) else _compiled(stage)
            for number, stage in enumerate(self.stages)
            if isinstance(stage, Stage) and not isinstance(stage, KernelStage)
        }

    @property
    def for_device(self) -> list[Stage]:
        """The last stages that the device can do: those behind the last one of another package."""
        last: list[Stage] = []
        for stage in self.stages:
            last = [] if isinstance(stage, ForeignStage) else [*last, stage]
        return last

    @property
    def device_shape(self) -> tuple[int, int]:
        """How many pictures of a sample go to the device, and how many parameters with each."""
        leaves = 2 ** sum(isinstance(stage, MixingStage) for stage in self.for_device)
        return leaves, sum(stage.num_parameters for stage in self.for_device)

    def on_host(
        self, source: "Source", seed: int, epochs: tf.Tensor, indices: tf.Tensor, population: np.ndarray
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Augmented pictures (batch, height, width, channels) and labels (batch, n) float32.

        Args:
            source: where the pictures are read.
            epochs, indices: int64 (batch,): the round and the sample.
            population: the samples among which partners are drawn, (n,).

        Returns:
            The pictures are uint8, or float32 where the last stage is another package's.
        """
        samples = self._with_partners(_Samples(source, seed, epochs, indices), population)
        images, labels, _ = self._run(self.stages, samples)
        return images, labels

    def split(
        self, source: "Source", seed: int, epochs: tf.Tensor, indices: tf.Tensor, population: np.ndarray
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """What `DeviceAugment` needs to go on, and the labels as they will be.

        Returns:
            `images` uint8 (batch, 2 ** mixing stages, height, width, channels), `parameters` int32
            (batch, the same, k).
        """
        samples = self._with_partners(_Samples(source, seed, epochs, indices), population)
        device = self.for_device
        images, labels, samples = self._run(self.stages[: len(self.stages) - len(device)], samples)
        parameters = []
        for stage in device:
            drawn = self._drawn(stage, samples)
            parameters.append(drawn)
            if isinstance(stage, MixingStage):
                # Labels are a few numbers and mixed here; of the pictures all partners go along.
                samples, labels, _ = self._mixed_labels(stage, samples, labels, drawn)
        leaves, _ = self.device_shape
        batch = tf.shape(indices)[0]
        columns = [_padded(drawn, leaves * batch) for drawn in parameters]
        return {
            "images": _by_sample(_whole_levels(images), leaves),
            "parameters": _by_sample(tf.concat(columns, axis=1), leaves),
        }, labels

    def unchanged(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Pictures that are not augmented, in the form of `split`."""
        leaves, columns = self.device_shape
        batch = tf.shape(images)[0]
        copies = tf.stack([images] * leaves, axis=1)
        return {"images": copies, "parameters": tf.zeros((batch, leaves, columns), tf.int32)}, labels

    def _run(
        self, stages: Sequence[Stage | ForeignStage], samples: "_Samples"
    ) -> tuple[tf.Tensor, tf.Tensor, "_Samples"]:
        source, kernels = samples.source, _leading_kernels(stages)
        if kernels and source.pictures is not None and source.read_labels is not None:
            # Read and changed in one go: the pictures are taken from where they are.
            images = self._through_kernels(kernels, samples, source.pictures)
            labels = source.read_labels(samples.indices)
        else:
            kernels = []
            images, labels = source.read(samples.indices)
            images = tf.ensure_shape(images, (None, *self._shape))
        labels = source.targets(labels)
        number = len(kernels)
        while number < len(stages):
            stage, kernels = stages[number], _leading_kernels(stages[number:])
            if kernels:
                images = self._through_kernels(kernels, samples, _whole_levels(images))
            elif isinstance(stage, ForeignStage):
                images, labels = stage.augmentation(images, labels, samples.numbers)
            elif isinstance(stage, MixingStage):
                drawn = self._drawn(stage, samples)
                samples, labels, drawn = self._mixed_labels(stage, samples, labels, drawn)
                images = self._compiled[number](*tf.split(_whole_levels(images), 2), drawn)
            else:
                images = self._compiled[number](_whole_levels(images), self._drawn(stage, samples))
            number += len(kernels) or 1
        return tf.ensure_shape(images, (None, *self._shape)), labels, samples

    def _with_partners(self, samples: "_Samples", population: np.ndarray) -> "_Samples":
        mixing = [stage.steps[0].stream for stage in self.stages if isinstance(stage, MixingStage)]
        if not mixing:
            return samples

        def partners(epochs: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            for stream in reversed(mixing):
                drawn = words(samples.seed, epochs, indices, _PARTNER_STREAMS + stream, 1)[:, 0]
                indices = np.concatenate([indices, population[drawn % len(population)]])
                epochs = np.concatenate([epochs, epochs])
            return epochs, indices

        pairs = tf.numpy_function(partners, [samples.epochs, samples.indices], (tf.int64, tf.int64), stateful=False)
        epochs, indices = (tf.ensure_shape(numbers, (None,)) for numbers in pairs)
        return replace(samples, epochs=epochs, indices=indices)

    def _through_kernels(
        self, stages: Sequence[KernelStage], samples: "_Samples", pictures: np.ndarray | tf.Tensor
    ) -> tf.Tensor:
        """Stages that have compiled loops, on all pictures of a split or on those of the batch."""
        parameters = [self._parameters(stage, samples) for stage in stages]

        def run(epochs: np.ndarray, indices: np.ndarray, batch: np.ndarray | None = None) -> np.ndarray:
            images, places = (pictures, indices) if batch is None else (batch, np.arange(len(batch)))
            for stage, drawn in zip(stages, parameters, strict=True):
                images = stage.on_host(images, places, drawn(epochs, indices))
                places = np.arange(len(images))
            return images

        batch = [] if isinstance(pictures, np.ndarray) else [pictures]
        out = tf.numpy_function(run, [samples.epochs, samples.indices, *batch], tf.uint8, stateful=False)
        return tf.ensure_shape(out, (None, *self._shape))

    def _drawn(self, stage: Stage, samples: "_Samples") -> tf.Tensor:
        """The stage's parameters, int32 (batch, k)."""
        draw = self._parameters(stage, samples)
        out = tf.numpy_function(draw, [samples.epochs, samples.indices], tf.int32, stateful=False)
        return tf.ensure_shape(out, (None, stage.num_parameters))

    def _parameters(self, stage: Stage, samples: "_Samples") -> Parameters:
        key = (id(stage), samples.seed, samples.source.size)
        if key not in self._all_parameters:
            self._all_parameters[key] = Parameters(stage, samples.seed, samples.source.size)
        return self._all_parameters[key]

    def _mixed_labels(
        self, stage: MixingStage, samples: "_Samples", labels: tf.Tensor, drawn: tf.Tensor
    ) -> tuple["_Samples", tf.Tensor, tf.Tensor]:
        """The first half of the samples, their mixed labels, and their parameters."""
        epochs, indices, drawn = (tf.split(each, 2)[0] for each in (samples.epochs, samples.indices, drawn))
        own, others = tf.split(labels, 2)
        mixed = stage.layer.mix_labels(own, others, drawn, self._shape, _TENSORFLOW)
        return replace(samples, epochs=epochs, indices=indices), mixed, drawn


@dataclass(frozen=True)
class _Samples:
    """The pictures on their way: where they are from, and the round and index, int64 (batch,), of each."""

    source: "Source"
    seed: int
    epochs: tf.Tensor
    indices: tf.Tensor

    @property
    def numbers(self) -> tf.Tensor:
        """`(seed, epoch, sample index)` of each, int64 (batch, 3)."""
        return tf.stack([tf.fill(tf.shape(self.indices), tf.cast(self.seed, tf.int64)), self.epochs, self.indices], 1)


def _leading_kernels(stages: Sequence[Stage | ForeignStage]) -> list[KernelStage]:
    leading: list[KernelStage] = []
    for stage in stages:
        if not isinstance(stage, KernelStage):
            break
        leading.append(stage)
    return leading


def _compiled(stage: Stage) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    @tf.function(jit_compile=True)
    def run(images: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        return tf.cast(stage.transform(tf.cast(images, tf.int32), parameters, _TENSORFLOW), tf.uint8)

    return run


def _compiled_mix(stage: MixingStage) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    @tf.function(jit_compile=True)
    def run(images: tf.Tensor, others: tf.Tensor, parameters: tf.Tensor) -> tf.Tensor:
        levels = (tf.cast(images, tf.int32), tf.cast(others, tf.int32))
        return tf.cast(stage.mix(*levels, parameters, _TENSORFLOW), tf.uint8)

    return run


def _whole_levels(images: tf.Tensor) -> tf.Tensor:
    """Pictures as uint8: those that another package's augmentation gave are rounded, and cut to 0..255."""
    return images if images.dtype == tf.uint8 else tf.cast(tf.clip_by_value(tf.floor(images + 0.5), 0, 255), tf.uint8)


def _by_sample(values: tf.Tensor, leaves: int) -> tf.Tensor:
    """(leaves * batch, ...) -> (batch, leaves, ...)."""
    return tf.stack(tf.split(values, leaves), axis=1)


def _padded(values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """With zeros below, so that the parameters of stages before and behind a mixing one have as many rows."""
    return tf.pad(values, [[0, rows - tf.shape(values)[0]], [0, 0]])
