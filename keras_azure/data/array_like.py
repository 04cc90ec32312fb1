"""Images and labels in arrays as people have them, made a data set: nothing is rounded, cut off or guessed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_azure.data import TaskChoice, TaskName
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.formats.split_names import said_of_splits
from keras_azure.data.labels import class_indices, label_vectors, task_of_labels
from keras_azure.data.sizes import ResizedDataset, resized
from keras_azure.data.splits import described, hold_out_test
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

_BATCH = 256  # images that are converted at once
_LEVELS = 255
_EXPECTED = "uint8 (N, height, width) or (N, height, width, channels), with 1 or 3 channels"


def as_dataset(
    splits: Mapping[str, tuple[Any, Any]],
    source: str,
    names: Mapping[str, tuple[str, str]],
    observer: Observer,
    *,
    image_size: tuple[int, int] | None,
    test_split: float,
    task: TaskChoice = "auto",
) -> ArrayDataset | ResizedDataset:
    """Makes arrays a data set.

    Args:
        splits: "train" and, if there are some, "validation" and "test". Images are (N, height, width) or (N, height,
            width, channels): uint8, or other numbers that are whole levels 0..255, or floating-point numbers 0..1 that
            are such levels divided by 255. Labels are numbers or texts (N,), or one-hot (N, classes).
        source: what has them, for messages: "NumPy file /a/b.npz".
        names: of the images and of the labels of each split, for messages.
        observer: hears what was done to them.
        image_size: height and width that the images are resized to.
        test_split: the share of each class to test on, where there is no "test".
        task: what labels are for; "auto" is what they are.

    Raises:
        DataError: images or labels are none of these.
    """
    images = {split: _array(pair[0], names[split][0]) for split, pair in splits.items()}
    labels = {split: _array(pair[1], names[split][1]) for split, pair in splits.items()}
    label_names = {split: name for split, (_, name) in names.items()}
    for split in splits:
        if len(images[split]) != len(labels[split]):
            raise DataError(
                f"There are {len(images[split])} of {names[split][0]}, and {len(labels[split])} of {names[split][1]}.",
                expected="a label for each image",
            )
    taken: TaskName = task_of_labels(labels) if task == "auto" else task
    if taken == "classify":
        class_names, indices = class_indices(labels, label_names, observer)
    else:
        class_names, indices = label_vectors(labels, label_names, taken)
    levels = _as_levels(images, {split: name for split, (name, _) in names.items()}, observer)
    made = {split: (levels[split], indices[split]) for split in splits}
    said = said_of_splits(made)
    if "test" not in made:
        pixels, classes = made["train"]
        train, test, notes = hold_out_test(classes, class_names, test_split, source)
        for note in notes:
            observer.message(note)
        made |= {"train": (pixels[train], classes[train]), "test": (pixels[test], classes[test])}
    sizes = {split: len(classes) for split, (_, classes) in made.items()}
    description = described(source, sizes, made["train"][0].shape[1:], len(class_names), taken)
    description = "; ".join([description, *said])
    return resized(ArrayDataset(class_names, made, description, taken), image_size, observer)


def _array(value: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever somebody's array raises, and lists of different lengths
        raise DataError(f"{_capital(name)} make no NumPy array: {next(iter(str(error).splitlines()), '')}") from error
    if array.ndim == 0 or array.size == 0:
        raise DataError(f"{_capital(name)} are empty: their shape is {array.shape}.")
    return array


def _as_levels(images: Mapping[str, np.ndarray], names: Mapping[str, str], observer: Observer) -> dict[str, np.ndarray]:
    """The same as uint8 (N, height, width, channels)."""
    for split, array in images.items():
        fits = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] in (1, 3))
        if not fits or array.dtype.kind not in "buif":
            raise DataError(
                f"{_capital(names[split])} are of type {array.dtype} and shape {array.shape}.", expected=_EXPECTED
            )
    ranges = {split: (array.min(), array.max()) for split, array in images.items()}
    # Whole numbers stay what they are, also where none is above 1.
    parts = all(array.dtype.kind in "fb" and ranges[split][1] <= 1 for split, array in images.items())
    if parts:
        observer.message("The images have values from 0 to 1: they are taken for levels divided by 255")
    made = {}
    for split, array in images.items():
        if array.dtype != np.uint8:
            _check_range(ranges[split], array.dtype, names[split])
            array = _converted(array, _LEVELS if parts else 1, names[split])
        made[split] = array if array.ndim == 4 else array[..., np.newaxis]
    return made


def _check_range(found: tuple[Any, Any], dtype: np.dtype, name: str) -> None:
    low, high = found
    if not (low >= 0 and high <= _LEVELS):  # nor are comparisons with NaN true
        raise DataError(
            f"{_capital(name)} are {dtype} with values from {low} to {high}, which are no levels 0..255.",
            expected="uint8, or what is uint8 without rounding",
            hint="images before they are standardised; --standardize does that",
        )


def _converted(array: np.ndarray, factor: int, name: str) -> np.ndarray:
    """The array times `factor` as uint8."""
    made = np.empty(array.shape, np.uint8)
    # What dividing by 255 and multiplying again may lose; of half precision no more than tells two levels apart.
    loss = min(2 * factor * float(np.finfo(array.dtype).eps), 0.13) if array.dtype.kind == "f" and factor > 1 else 0.0
    for start in range(0, len(array), _BATCH):
        exact = array[start : start + _BATCH].astype(np.float64) * factor
        levels = np.rint(exact)
        wrong = np.abs(levels - exact) > loss
        if wrong.any():
            value = exact[wrong][0] / factor
            raise DataError(
                f"{_capital(name)} are {array.dtype} with values such as {value:g}, which is no level of 255.",
                expected="uint8, or what is uint8 without rounding: 0..255 in whole numbers, or these divided by 255",
                hint="numpy.rint(...).astype('uint8') rounds them",
            )
        made[start : start + _BATCH] = levels
    return made


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
