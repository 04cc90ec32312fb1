"""The pictures of a run: its data set, opened and divided, as batches for training, validation and test."""

import dataclasses
import functools
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from keras_azure.augmentations import Augment, build_augment
from keras_azure.augmentations.plan import MixingStage
from keras_azure.data import (
    Dataset,
    TaskName,
    has_fingerprint,
    has_weights,
    is_held,
    task_of_data,
)
from keras_azure.data.arrays import fingerprint_of
from keras_azure.data.label_forms import Label, Scaling
from keras_azure.data.memory import require_memory
from keras_azure.data.overview import absent_classes, divided, open_and_describe
from keras_azure.data.sizes import LARGEST_KEPT
from keras_azure.data.source import Source, held_source, open_source
from keras_azure.data.threads import map_in_threads
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, DataError, UnreadableFile, UsageError
from keras_azure.models.features import BATCH_SIZE, can_store_features, compute_features, stored_features
from keras_azure.pipeline import batches, labels_of, samples_of_step, steps_in_epoch
from keras_azure.registry.registry import DATASETS
from keras_azure.registry.specs import Spec
from keras_azure.training.interrupts import StopRequests
from keras_azure.training.standardizing import Statistics, measure
from keras_azure.training.tasks import CLASSIFY, Task

if TYPE_CHECKING:
    import tensorflow as tf

Batch = tuple[Any, Any]  # pictures (batch, height, width, channels) 0..255, and targets (batch, n)
CONTENTS = "contents"  # which runs of older versions do not have
_DECODING = "decoding"  # likewise
_BYTES_OF_A_FEATURE = 4


@dataclass(frozen=True)
class Part:
    """Some samples of a split: `samples` are their indices, (n,)."""

    source: Source
    samples: np.ndarray

    def __len__(self) -> int:
        return len(self.samples)


@dataclass(frozen=True)
class DataFacts:
    """What is known of a run's data before any image is read.

    Attributes:
        image_shape: height, width and channels.
        class_names: of all classes.
        train, validation, test: how many images there are of each.
        augment: what changes the images that are trained on.
        task: that the labels are for.
    """

    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    train: int
    validation: int
    test: int
    augment: Augment | None = None
    task: TaskName = "classify"

    @property
    def total(self) -> int:
        return self.train + self.validation + self.test

    def steps_per_epoch(self, config: RunConfig) -> int:
        return config.steps_per_epoch or steps_in_epoch(self.train, config.batch_size)

    def images_per_epoch(self, config: RunConfig) -> int:
        return config.steps_per_epoch * config.batch_size if config.steps_per_epoch else self.train


@dataclass(frozen=True)
class RunData:
    config: RunConfig
    dataset: Dataset
    train: Part
    validation: Part
    test: Part
    augment: Augment | None
    task: Task = CLASSIFY

    def close(self) -> None:
        """Ends all streams of batches. Before it, none may be let go of that is not at its end."""
        for source in {id(part.source): part.source for part in (self.train, self.validation, self.test)}.values():
            source.streams.close()

    @functools.cached_property
    def facts(self) -> DataFacts:
        sizes = (len(self.train), len(self.validation), len(self.test))
        names, labels = tuple(self.dataset.class_names), task_of_data(self.dataset)
        return DataFacts(_shape_of(self.dataset), names, *sizes, self.augment, labels)

    @property
    def steps_per_epoch(self) -> int:
        return self.facts.steps_per_epoch(self.config)

    @property
    def images_per_epoch(self) -> int:
        return self.facts.images_per_epoch(self.config)

    def identity(self, observer: Observer) -> dict[str, Any]:
        """What tells, JSON-safe, that a run that goes on has the data that it had.

        Raises:
            DataError: the data cannot be read any more.
        """
        dataset = self.dataset
        contents = {split: digest_of(dataset, split, observer) for split in dataset.split_sizes}
        return {
            "class_names": list(dataset.class_names),
            "image_shape": list(dataset.image_shape),
            "split_sizes": dict(dataset.split_sizes),
            "steps_per_epoch": self.steps_per_epoch,
            **({} if task_of_data(dataset) == "classify" else {"task": task_of_data(dataset)}),
            **({_DECODING: dataset.decoding} if hasattr(dataset, "decoding") else {}),
            **({} if None in contents.values() else {CONTENTS: contents}),
        }

    def samples_of_step(self, epoch: int, step: int) -> np.ndarray:
        """The indices, (batch,), of the training pictures of a step; epochs and steps count from 0."""
        return samples_of_step(
            self.train.samples,
            epoch * self.steps_per_epoch + step,
            batch_size=self.config.batch_size,
            seed=self.config.seed,
            endless=self.config.steps_per_epoch is not None,
        )

    def with_readable_test(self, observer: Observer) -> "RunData":
        """The same with those test images alone that can be read; the others are tried once more."""

        def can_be_read(index: int) -> bool:
            try:
                self.dataset.read("test", int(index))
            except UnreadableFile:
                return False
            return True

        count, kept = len(self.test), []
        found = map_in_threads(can_be_read, self.test.samples, os.cpu_count() or 1)
        for done, (index, readable) in enumerate(zip(self.test.samples, found, strict=True), start=1):
            if readable:
                kept.append(index)
            observer.advance("Looking for test pictures that can be read", done, count)
        self.test.source.failure = None
        return dataclasses.replace(self, test=Part(self.test.source, np.array(kept, np.int64)))

    @property
    def test_view(self) -> Dataset:
        """The data set, in which the test images are counted as the test part counts them."""
        return self.dataset if len(self.test) == self.test.source.size else _TestView(self)

    @property
    def failure(self) -> Exception | None:
        """The error of a picture that could not be read, if there was one."""
        return next(
            (part.source.failure for part in (self.train, self.validation, self.test) if part.source.failure), None
        )

    def train_batches(
        self, first_epoch: int, last_epoch: int, augment_on: Literal["host", "device"] = "host", *, first_step: int = 0
    ) -> "tf.data.Dataset":
        """The steps from one epoch up to before another, in one stream: nothing is torn down between epochs.

        Args:
            first_step: the step of the first epoch to begin with; nothing before it is computed.
        """
        config = self.config
        return batches(
            self.train.source,
            self.train.samples,
            batch_size=config.batch_size,
            seed=config.seed,
            endless=config.steps_per_epoch is not None,
            first_step=first_epoch * self.steps_per_epoch + first_step,
            steps=(last_epoch - first_epoch) * self.steps_per_epoch - first_step,
            augment=self.augment,
            augment_on=augment_on,
            class_weights=self.class_weights,
            weights=self.weights,
            scaling=self.task.scaling,
            targets=self.task.targets,
        )

    @property
    def scaling(self) -> Scaling | None:
        """Of the numbers of the images that are trained on; None of other labels. Where these are known only when
        images are decoded, all are decoded for it."""
        if task_of_data(self.dataset) != "regress":
            return None
        return Scaling.of(labels_of(self.train.source, self.train.samples))

    @functools.cached_property
    def weights(self) -> np.ndarray | None:
        """What each image of the training split counts in the loss, float32 (n,); None if they count the same.

        Raises:
            BrokenPlugin: the data set gives something else.
        """
        if not has_weights(self.dataset):
            return None
        found = np.asarray(self.dataset.weights("train"))
        if found.shape != (self.train.source.size,) or not np.all(np.isfinite(found) & (found >= 0)):
            raise BrokenPlugin(
                f"The weights of {self.dataset.description} are of type {found.dtype} and shape {found.shape}.",
                expected=f"({self.train.source.size},) finite numbers, 0 or more",
            )
        return found.astype(np.float32)

    @functools.cached_property
    def class_weights(self) -> np.ndarray | None:
        """What a picture of each class counts in the loss, float32 (num_classes,); None if they count the same."""
        if self.config.class_weights == "none":
            return None
        counts = np.bincount(labels_of(self.train.source, self.train.samples), minlength=len(self.dataset.class_names))
        present = np.count_nonzero(counts)
        return (counts.sum() / (present * np.maximum(counts, 1))).astype(np.float32)

    @property
    def validation_steps(self) -> int:
        """Of each epoch; 0 without validation."""
        return steps_in_epoch(len(self.validation), self.config.batch_size)

    def validation_batches(
        self, first_epoch: int, last_epoch: int, augment_on: Literal["host", "device"]
    ) -> "tf.data.Dataset":
        """The validation part as it is, in the form of `train_batches`: once for each epoch, in one stream."""
        plain = self.ordered_batches(self.validation, last_epoch - first_epoch, self.task.scaling)
        if augment_on == "host" or self.augment is None:
            return plain
        return self.validation.source.streams.kept(plain.map(self.augment.unchanged))

    def absent_from_training(self) -> list[str]:
        """The classes without an image to train on; none where labels are known only when images are decoded."""
        if self.train.source.read_labels is None:
            return []
        return absent_classes(labels_of(self.train.source, self.train.samples), self.dataset.class_names)

    def statistics(self, observer: Observer) -> Statistics:
        """Mean and variance of the pictures that are trained on.

        Raises:
            DataError: a picture cannot be read.
        """
        try:
            return measure(self.ordered_batches(self.train), len(self.train), observer)
        except Exception:
            if self.failure is not None:
                raise self.failure from None
            raise

    def ordered_batches(self, part: Part, epochs: int = 1, scaling: Scaling | None = None) -> "tf.data.Dataset":
        """Some epochs of a part, in order and as it is.

        Args:
            scaling: of numbers.
        """
        return batches(
            part.source,
            part.samples,
            batch_size=self.config.batch_size,
            steps=epochs * steps_in_epoch(len(part), self.config.batch_size),
            scaling=scaling,
            targets=self.task.targets,
        )

    def with_features(self, network: keras.Model, observer: Observer, stop: StopRequests) -> "RunData":
        """The same samples for training and validation, with what the network makes of each in place of its picture.

        Raises:
            DataError: there is no room for them in memory, or on the disk if that was asked for.
        """
        sources = {"train": self.train.source}
        if self.validation.source is not self.train.source:
            sources["validation"] = self.validation.source
        needed = sum(source.size for source in sources.values()) * network.output_shape[-1] * _BYTES_OF_A_FEATURE
        require_memory(needed, "The features of all pictures", hint="--cache none, which computes them in each step")
        computed = {
            id(source): held_source(*self._features(network, split, source, observer, stop), source.form)
            for split, source in sources.items()
        }
        train, validation = (Part(computed[id(part.source)], part.samples) for part in (self.train, self.validation))
        # The test is of the whole model, on pictures; its source is this one's to close.
        return dataclasses.replace(self, train=train, validation=validation, test=train, augment=None)

    def _features(
        self, network: keras.Model, split: str, source: Source, observer: Observer, stop: StopRequests
    ) -> tuple[np.ndarray, np.ndarray]:
        def stream() -> Iterable[Batch]:
            return batches(source, np.arange(source.size), batch_size=BATCH_SIZE)

        dataset, may_store = self.dataset, self.config.cache in ("auto", "disk")
        if may_store and has_fingerprint(dataset) and can_store_features(network, dataset, split):
            return stored_features(network, dataset, split, stream, observer, stop.check)
        return compute_features(network, stream, source.size, source.form, observer, stop.check)


def digest_of(dataset: Dataset, split: str, observer: Observer) -> str | None:
    """What is equal only for the same images and labels in the same order; None where the data set has none.

    Raises:
        DataError: the data cannot be read any more.
    """
    if is_held(dataset):  # what is in memory anyway
        return fingerprint_of(*map(np.asarray, dataset.arrays(split)))
    return dataset.fingerprint(split, observer) if has_fingerprint(dataset) else None


class _TestView:
    """A data set without some of its test images."""

    def __init__(self, data: RunData) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data.dataset, name)

    def read(self, split: str, index: int) -> tuple[np.ndarray, Label]:
        return self._data.dataset.read(split, int(self._data.test.samples[index]) if split == "test" else index)


def require_same_data(before: Mapping[str, Any], now: Mapping[str, Any], run_dir: Path) -> None:
    """Compares the `identity` of the data that a run began with, and of what it is to go on with.

    Raises:
        DataError: they differ.
    """
    changes = [
        f"{name.replace('_', ' ')} {before.get(name)} then, {now[name]} now"
        for name in now
        if name not in (CONTENTS, _DECODING) and _composed(before.get(name)) != now[name]
    ]
    if not changes and CONTENTS in before and before[CONTENTS] != now.get(CONTENTS):
        changes = ["its images, their labels or their order are others"]
    if changes:
        raise DataError(
            f"The data is not what the run in {run_dir} began with: {'; '.join(changes)}.",
            hint="bring back what is missing, and then: kaz resume; or a new run",
        )


def tell_other_decoding(before: Mapping[str, Any], now: Mapping[str, Any], observer: Observer) -> None:
    """Says that images may have other pixels than when the run began; takes what `require_same_data` does."""
    if _DECODING not in now or before.get(_DECODING) == now[_DECODING]:
        return
    if _DECODING in before:
        what = f"Images are decoded otherwise than when the run began: {before[_DECODING]} then, {now[_DECODING]} now."
    else:
        what = (
            "The run began with an older version of keras_azure, which read images otherwise that are turned by EXIF "
            "data, transparent in parts, of 16 bits a channel or resized."
        )
    observer.message(f"{what} It goes on with what they are now.")


def _composed(value: Any) -> Any:
    """Class names as all data sets of folders have them now: older runs have those of some disks in another form."""
    if not isinstance(value, list):
        return value
    return [unicodedata.normalize("NFC", each) if isinstance(each, str) else each for each in value]


def _as_large_as(before: Mapping[str, Any] | None, data: Spec) -> Spec:
    """The data of a run that is resumed. One that began when large images kept their size goes on with it."""
    size = tuple((before or {}).get("image_shape", ())[:2])
    if max(size, default=0) <= LARGEST_KEPT or "image_size" in data.options or not DATASETS.takes(data, "image_size"):
        return data
    return data.with_options(image_size=size)


def facts_of(dataset: Dataset, config: RunConfig) -> DataFacts:
    """What is known of a run's data before any of its images is read."""
    shape, classes = _shape_of(dataset), tuple(dataset.class_names)
    sizes = sizes_of_parts(dataset.split_sizes, config.validation_split)
    augment, labels = build_augment(config.augment, shape, len(classes)), task_of_data(dataset)
    _check_mixing(augment, labels)
    return DataFacts(shape, classes, *sizes, dataset.split_sizes["test"], augment, labels)


def _shape_of(dataset: Dataset) -> tuple[int, int, int]:
    """A tuple also where a plugin has a list."""
    height, width, channels = dataset.image_shape
    return height, width, channels


def sizes_of_parts(split_sizes: Mapping[str, int], validation_split: float) -> tuple[int, int]:
    """How many pictures of a data set are trained on, and validated on after each epoch.

    Args:
        split_sizes: of the data set; what has no "validation" of its own gives a share of "train" for it.
    """
    if "validation" in split_sizes and validation_split:
        return split_sizes["train"], split_sizes["validation"]
    held_out = round(split_sizes["train"] * validation_split)
    return split_sizes["train"] - held_out, held_out


def open_data(config: RunConfig, observer: Observer, before: Mapping[str, Any] | None = None) -> RunData:
    """Opens the data set; a validation part is drawn from its training split unless it brings one of its own.

    Args:
        before: the `identity` of the data that the run began with, if it is resumed.

    Raises:
        DataError: the data set cannot be used, or is too small for the split.
    """
    dataset = open_and_describe(config, observer, _as_large_as(before, config.data_to_open))
    # Before any picture is read: another package's augmentation may not take pictures of this shape.
    augment = build_augment(config.augment, dataset.image_shape, len(dataset.class_names))
    _check_mixing(augment, task_of_data(dataset))
    train, test = (open_source(dataset, split, observer, config.cache) for split in ("train", "test"))
    everything = Part(train, np.arange(train.size))
    test_part = Part(test, np.arange(test.size))
    if "validation" in dataset.split_sizes and config.validation_split:
        validation = open_source(dataset, "validation", observer, config.cache)
        validation_part = Part(validation, np.arange(validation.size))
        return RunData(config, dataset, everything, validation_part, test_part, augment)
    chosen, rest = divided(dataset, config, lambda: labels_of(train, everything.samples))
    return RunData(config, dataset, Part(train, chosen), Part(train, rest), test_part, augment)


def _check_mixing(augment: Augment | None, labels: TaskName) -> None:
    """
    Raises:
        UsageError: images are mixed in a way that says nothing of their numbers.
    """
    for stage in augment.stages if augment is not None and labels == "regress" else ():
        if isinstance(stage, MixingStage) and not stage.layer.mixes_numbers:
            raise UsageError(
                f"The augmentation {stage.steps[0].label} mixes classes and labels, and no numbers.", hint="mixup"
            )
