"""Labels as people have them, made indices of classes: numbers, texts, or one-hot; and several labels, or numbers."""

from collections.abc import Mapping

import numpy as np

from keras_azure.data import TaskName
from keras_azure.data.arrays import is_one_hot
from keras_azure.data.formats.class_names import problem_with
from keras_azure.data.label_forms import LabelForm
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

_LARGEST = 2.0**53  # up to which floating-point numbers have all whole numbers
_EXPECTED = "whole numbers or texts (N,), or one-hot (N, classes)"
_CALLED = {"multilabel": "label", "regress": "number"}


def task_of_labels(labels: Mapping[str, np.ndarray]) -> TaskName:
    """What labels are for: several for an image are 0 and 1, (N, labels), of which not all rows are one-hot; numbers
    are those that are not whole; all else are classes."""
    if any(array.dtype.kind == "f" and np.any(array != np.floor(array)) for array in labels.values()):
        return "regress"
    vectors = [array for array in labels.values() if array.ndim == 2 and array.shape[1] > 1]
    if vectors and all(array.dtype.kind in "buif" and np.isin(array, (0, 1)).all() for array in vectors):
        return "classify" if all(map(is_one_hot, vectors)) else "multilabel"
    return "classify"


def label_vectors(
    labels: Mapping[str, np.ndarray], names: Mapping[str, str], task: TaskName
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The names of labels or numbers, which are counted from 0, and for each split the vectors, (N, count).

    Raises:
        DataError: they are none.
    """
    columns = {split: array[:, np.newaxis] if array.ndim == 1 else array for split, array in labels.items()}
    form = LabelForm(task, columns["train"].shape[1] if columns["train"].ndim == 2 else 1)
    found = {}
    for split, array in columns.items():
        try:
            found[split] = form.vectors(array, len(array))
        except ValueError as error:
            raise DataError(
                f"{names[split][:1].upper()}{names[split][1:]} are {error}.", expected=f"for each image {form.in_words}"
            ) from error
    numbered = tuple(map(str, range(form.count)))
    return numbered if form.count > 1 else (_CALLED[task],), found


def class_indices(
    labels: Mapping[str, np.ndarray], names: Mapping[str, str], observer: Observer
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The names of the classes, and for each split the index of each sample's class, int64 (N,).

    The classes of texts are sorted, as those of class folders are, and those of numbers go by number. One-hot labels
    have as many classes as places.

    Args:
        labels: for each split.
        names: what the labels of each split are called in messages.
        observer: hears where the index of a class is not the number that its label was.

    Raises:
        DataError: they are no labels, or there are some that "train" has not.
    """
    plain = {split: _plain(array, names[split]) for split, array in labels.items()}
    places = {split: array.shape[1] for split, array in labels.items() if _is_one_hot(array)}
    if len({array.dtype.kind for array in plain.values()}) > 1 or len(set(places.values())) > 1:
        found = " and ".join(f"{labels[split].dtype} {labels[split].shape}" for split in labels)
        raise DataError(f"The labels of the splits are of different kinds: {found}.", expected="one kind in all splits")
    classes = np.arange(places["train"]) if "train" in places else np.unique(plain["train"])
    if classes.dtype.kind == "i" and not np.array_equal(classes, np.arange(len(classes))):
        shown = ", ".join(map(str, classes[:3])) + (f", ..., {classes[-1]}" if len(classes) > 3 else "")
        observer.message(f"The labels are {shown}: the classes are called so, and counted from 0 in this order")
    class_names = tuple(map(str, classes))
    for name in class_names:
        if problem := problem_with(name):
            raise DataError(f"A class of {names['train']}, {name!r}, has a name that {problem}.")
    return class_names, {
        split: _indices(array, classes, names[split], names["train"]) for split, array in plain.items()
    }


def _indices(values: np.ndarray, classes: np.ndarray, name: str, train: str) -> np.ndarray:
    places = np.searchsorted(classes, values)
    unknown = classes[np.minimum(places, len(classes) - 1)] != values
    if unknown.any():
        raise DataError(
            f"A class of {name}, {values[unknown][0].item()!r}, is none of {train}.",
            expected="the same classes in all splits",
        )
    return places.astype(np.int64)


def _is_one_hot(array: np.ndarray) -> bool:
    """Whether it is meant to be."""
    return array.ndim == 2 and array.shape[1] > 1


def _plain(array: np.ndarray, name: str) -> np.ndarray:
    """int64 or text (N,)."""
    if _is_one_hot(array):
        if array.dtype.kind not in "buif" or not np.all((array == 0) | (array == 1)) or np.any(array.sum(axis=1) != 1):
            raise _wrong(array, name, ", and their rows are not one 1 and else 0")
        return array.argmax(axis=1)
    if array.ndim == 2:  # (N, 1)
        array = array[:, 0]
    if array.ndim != 1:
        raise _wrong(array, name)
    if array.dtype.kind in "OS":
        array = np.array([_text(value, array, name) for value in array])
    if array.dtype.kind == "U":
        return array
    if array.dtype.kind not in "buif" or not np.all(np.abs(array.astype(np.float64)) < _LARGEST):  # nor is NaN
        raise _wrong(array, name)
    numbers = array.astype(np.int64)
    if np.any(numbers != array):
        raise _wrong(array, name)
    return numbers


def _text(value: object, array: np.ndarray, name: str) -> str:
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        text = None
    if not isinstance(text, str):
        raise _wrong(array, name)
    return text


def _wrong(array: np.ndarray, name: str, more: str = "") -> DataError:
    return DataError(
        f"{name[:1].upper()}{name[1:]} are of type {array.dtype} and shape {array.shape}{more}.", expected=_EXPECTED
    )
