"""What a user should hear of a run's data before anything is computed with it: the same wherever it is looked at."""

from collections.abc import Sequence

import numpy as np

from keras_azure.data import Dataset, is_held, open_dataset, tells_labels
from keras_azure.data.formats.layout import some_of
from keras_azure.data.splits import hold_out_validation, size_held_out
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin
from keras_azure.registry.registry import MODELS
from keras_azure.registry.specs import Spec

_MOST_NAMED = 10


def open_and_describe(spec: Spec, validation_split: float, observer: Observer) -> Dataset:
    """The data set, ready to be read; the observer hears what it is, and what of it is not used.

    Raises:
        DataError: it cannot be used as it is, or is too small for its parts.
    """
    dataset = open_dataset(spec, observer)
    observer.message(dataset.description)
    if "validation" not in dataset.split_sizes:
        size_held_out(dataset.split_sizes["train"], validation_split)
    elif not validation_split:
        observer.message("The validation images of the data are not used, as --validation-split is 0.")
    return dataset


def look_at_data(config: RunConfig, observer: Observer) -> None:
    """Tells all of a run's data that the run will, without TensorFlow.

    Raises:
        DataError: the data cannot be used as it is.
    """
    dataset = open_and_describe(config.data_to_open, config.validation_split, observer)
    if MODELS.find(config.model_spec).needs_labels:
        tell_absent_classes(dataset, config, observer)


def tell_absent_classes(dataset: Dataset, config: RunConfig, observer: Observer) -> None:
    """Tells of classes without an image to train on or to test on, where labels are known before images are decoded."""
    labels, tested = (known_labels(dataset, split) for split in ("train", "test"))
    if labels is None or tested is None:
        return
    if "validation" not in dataset.split_sizes:
        labels = labels[hold_out_validation(len(labels), config.validation_split, config.seed)[0]]
    if absent := absent_classes(labels, dataset.class_names):
        observer.message(not_learned(absent))
    if absent := absent_classes(tested, dataset.class_names):
        observer.message(not_in_averages(absent))


def known_labels(dataset: Dataset, split: str) -> np.ndarray | None:
    """The classes of the samples of a split, int64 (N,); None where they are known only when its images are decoded, or
    labels are no classes.

    Raises:
        BrokenPlugin: the data set gives something else than its contract says.
    """
    if getattr(dataset, "task", "classify") != "classify":
        return None
    if is_held(dataset):
        return np.asarray(dataset.arrays(split)[1])
    if not tells_labels(dataset):
        return None
    labels = np.asarray(dataset.known_labels(split))
    size, num_classes = dataset.split_sizes[split], len(dataset.class_names)
    if labels.shape != (size,) or labels.dtype.kind not in "iu" or not np.isin(labels, range(num_classes)).all():
        raise BrokenPlugin(
            f"The labels that are known of the split {split!r} of {dataset.description} are of type {labels.dtype} and "
            f"shape {labels.shape}, or of no class.",
            expected=f"int64 ({size},), each from 0 to {num_classes - 1}",
        )
    return labels.astype(np.int64, copy=False)


def absent_classes(labels: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """The classes that do not occur in labels, (n,)."""
    present = {*np.unique(labels).tolist()}
    return [name for label, name in enumerate(class_names) if label not in present]


def not_learned(absent: Sequence[str]) -> str:
    """What to tell a user of classes without an image to train on."""
    return f"There is no training image of {listed(absent)}: these classes cannot be learned."


def not_in_averages(absent: Sequence[str]) -> str:
    """What to tell a user of classes without an image to test on."""
    return f"There is no test image of {listed(absent)}: averages over classes leave them out."


def listed(class_names: Sequence[str]) -> str:
    return some_of([*map(repr, class_names)], most=_MOST_NAMED)
