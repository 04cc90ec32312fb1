"""What a user should hear of a run's data before anything is computed with it: the same wherever it is looked at."""

from collections.abc import Callable, Sequence

import numpy as np

from keras_azure.data import Dataset, TaskName, has_groups, is_held, open_dataset, task_of_data, tells_labels
from keras_azure.data.formats.layout import some_of
from keras_azure.data.label_forms import LabelForm
from keras_azure.data.splits import hold_out_validation, size_held_out
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, UsageError
from keras_azure.registry.registry import MODELS
from keras_azure.registry.specs import Spec

_MOST_NAMED = 10


_WHY: dict[TaskName, str] = {
    "classify": "as each picture has one class",
    "multilabel": "as a picture may have several labels",
    "regress": "as labels are numbers",
}


def open_and_describe(config: RunConfig, observer: Observer, spec: Spec | None = None) -> Dataset:
    """The data set of a run, ready to be read; the observer hears what it is, which task it is for, and what of it is
    not used.

    Args:
        spec: the data, where it is not the one that the config has.

    Raises:
        DataError: it cannot be used as it is, or is too small for its parts.
        UsageError: the run cannot learn from its labels.
    """
    dataset = open_dataset(spec or config.data_to_open, observer)
    labels = task_of_data(dataset)
    check_task(config, labels)
    observer.message(dataset.description)
    if MODELS.find(config.model_spec).needs_labels:
        observer.message(f"Task: {labels}, {_WHY[labels] if config.task == 'auto' else 'as --task says'}")
    if "validation" not in dataset.split_sizes:
        size_held_out(dataset.split_sizes["train"], config.validation_split)
    elif not config.validation_split:
        observer.message("The validation images of the data are not used, as --validation-split is 0.")
    return dataset


def look_at_data(config: RunConfig, observer: Observer) -> None:
    """Tells all of a run's data that the run will, without TensorFlow.

    Raises:
        DataError: the data cannot be used as it is.
    """
    dataset = open_and_describe(config, observer)
    if MODELS.find(config.model_spec).needs_labels:
        tell_absent_classes(dataset, config, observer)


def tell_absent_classes(dataset: Dataset, config: RunConfig, observer: Observer) -> None:
    """Tells of classes without an image to train on or to test on, where labels are known before images are decoded."""
    labels, tested = (known_labels(dataset, split) for split in ("train", "test"))
    if labels is None or tested is None:
        return
    if "validation" not in dataset.split_sizes:
        known = labels
        labels = labels[divided(dataset, config, lambda: known)[0]]
    if absent := absent_classes(labels, dataset.class_names):
        observer.message(not_learned(absent))
    if absent := absent_classes(tested, dataset.class_names):
        observer.message(not_in_averages(absent))


def divided(dataset: Dataset, config: RunConfig, labels: Callable[[], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The samples of the training split that a run trains on, and those that it validates on, where the data set has no
    validation split: classes as they come, whole groups, and of labels and numbers such that each gives its share.

    Args:
        labels: gives those of the training split, if need be.

    Raises:
        DataError: one of the two would be empty, or all images are of one group.
    """
    size, groups = dataset.split_sizes["train"], None
    if has_groups(dataset):
        groups = np.asarray(dataset.groups("train"))
        if groups.shape != (size,):
            raise BrokenPlugin(
                f"The groups of {dataset.description} are of shape {groups.shape}.", expected=f"({size},) numbers"
            )
    needed = config.validation_split and (groups is not None or task_of_data(dataset) != "classify")
    return hold_out_validation(
        *(size, config.validation_split, config.seed, labels() if needed else None, groups, dataset.description)
    )


def known_labels(dataset: Dataset, split: str) -> np.ndarray | None:
    """The labels of the samples of a split, as `arrays` has them; None where they are known only when its images are
    decoded.

    Raises:
        BrokenPlugin: the data set gives something else than its contract says.
    """
    if is_held(dataset):
        return np.asarray(dataset.arrays(split)[1])
    if not tells_labels(dataset):
        return None
    size, form, labels = dataset.split_sizes[split], LabelForm.of(dataset), np.asarray(dataset.known_labels(split))
    try:
        return form.checked(labels, size)
    except ValueError as error:
        raise BrokenPlugin(
            f"The labels that are known of the split {split!r} of {dataset.description} are {error}.",
            expected=f"{size} of them, each {form.in_words}",
        ) from None


def absent_classes(labels: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """The classes that do not occur in (n,), or the labels that do not in vectors (n, labels) of 0 and 1."""
    if labels.dtype.kind == "f":
        return []
    if labels.ndim > 1:
        return [name for name, occurs in zip(class_names, np.any(labels, axis=0).tolist(), strict=True) if not occurs]
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


def check_task(config: RunConfig, labels: TaskName) -> None:
    """Refuses what a run cannot do with labels of a kind.

    Args:
        labels: what those of the data are for.

    Raises:
        UsageError: the model does not learn from such labels, or a setting means nothing for them.
    """
    spec = config.model_spec
    if not MODELS.find(spec).needs_labels:
        if config.task != "auto":
            raise UsageError(
                f"The model {spec.name!r} learns without labels: it has no task {config.task!r}.", hint="no --task"
            )
        return
    if "task" in spec.options and MODELS.takes(spec, "task"):
        raise UsageError(f"The task is a setting of the run, and no option of {spec.name!r}.", hint="--task")
    if config.task not in ("auto", labels):
        raise UsageError(
            f"The task is {config.task!r}, and the labels of the data are for {labels!r}.", hint=f"--task {labels}"
        )
    if labels == "classify":
        return
    if not MODELS.takes(spec, "task"):
        raise UsageError(
            f"The model {spec.name!r} serves to classify only, and the task is {labels!r}.",
            expected="a model that takes `task`",
            hint="kaz list models",
        )
    if config.class_weights != "none":
        raise UsageError(
            f"Class weights are of classes, and the task is {labels!r}.",
            hint="no --class-weights"
            + ("; --loss 'binary_focal_crossentropy(apply_class_balancing=True)'" if labels == "multilabel" else ""),
        )
    if labels == "regress" and config.label_smoothing:
        raise UsageError("Label smoothing is of classes and labels, and the task is 'regress'.", hint="no smoothing")
