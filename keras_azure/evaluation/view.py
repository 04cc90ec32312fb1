"""Some images of a data set as a model takes them: in its size, with its channels, labelled by its own classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from keras_azure.data import Dataset, TaskName, task_of_data
from keras_azure.data.formats.layout import some_of
from keras_azure.data.label_forms import Label, LabelForm
from keras_azure.data.overview import known_labels
from keras_azure.data.resizing import resize
from keras_azure.data.sizes import in_words
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UsageError

_LUMA = np.array([[0.299], [0.587], [0.114]])  # of red, green and blue: ITU-R BT.601, as Pillow's "L" has it


class View:
    """A data set with one split, "test", of images of another: those whose classes the model knows.

    Attributes:
        samples: the index of each image in its split, int64 (n,).
        left_out: how many images have classes that the model does not know.
    """

    task: TaskName

    def __init__(
        self,
        dataset: Dataset,
        places: Sequence[tuple[str, np.ndarray]],
        names: Sequence[str],
        image_shape: tuple[int, int, int],
    ) -> None:
        """
        Args:
            places: splits, and which of their images, (n,).
            names: of the model's classes, labels or numbers.
            image_shape: that the model takes.

        Raises:
            UsageError: nothing that the model tells apart is in the data, or a label or number of it is not.
        """
        self._dataset = dataset
        self.task = task_of_data(dataset)
        self.class_names = tuple(names)
        self.image_shape = image_shape
        self.description = dataset.description
        self._to_model = _matched(self.task, dataset.class_names, names)
        splits = np.concatenate([np.full(len(indices), number) for number, (_, indices) in enumerate(places)])
        self.samples = np.concatenate([indices for _, indices in places]).astype(np.int64)
        self._splits = [split for split, _ in places]
        self._split_numbers = splits
        self.left_out = 0
        if self.task == "classify" and (self._to_model < 0).any():
            labels = np.concatenate([_labels(dataset, split, indices) for split, indices in places])
            kept = self._to_model[labels] >= 0
            self.left_out = int((~kept).sum())
            self.samples, self._split_numbers = self.samples[kept], splits[kept]
        if not len(self.samples):
            raise DataError(f"There is no image to test on in {dataset.description}.", expected="one or more")
        self.split_sizes: Mapping[str, int] = {"test": len(self.samples)}

    def read(self, split: str, index: int) -> tuple[np.ndarray, Label]:
        pixels, label = self._dataset.read(self._splits[self._split_numbers[index]], int(self.samples[index]))
        return fitted(np.asarray(pixels), self.image_shape), self._label(label)

    def column(self, name: str) -> list[str]:
        """What a column of a table has for each image.

        Raises:
            UsageError: the data set has no columns.
            DataError: it has no such one.
        """
        of_split = [column_of(self._dataset, split, name) for split in self._splits]
        return [of_split[number][sample] for number, sample in zip(self._split_numbers, self.samples, strict=True)]

    def tell(self, observer: Observer) -> None:
        """Says what is not as the data set has it."""
        if self._dataset.image_shape != self.image_shape:
            what = f"{in_words(self.image_shape[:2])}, {'gray' if self.image_shape[-1] == 1 else 'colour'}"
            observer.message(f"Images are brought to {what}, which the model takes.")
        unknown = [name for name, place in zip(self._dataset.class_names, self._to_model, strict=True) if place < 0]
        if unknown and self.task == "classify":
            observer.message(
                f"{self.left_out} images are left out: the model does not know {some_of([*map(repr, unknown)])}."
            )
        elif unknown:
            observer.message(f"Left out, as the model does not know them: {some_of([*map(repr, unknown)])}.")

    def _label(self, label: Label) -> Label:
        if self.task == "classify":
            return int(self._to_model[int(label)])
        values = np.asarray(label)
        found = np.zeros(len(self.class_names), values.dtype)
        known = self._to_model >= 0
        found[self._to_model[known]] = values[known]
        return found


def fitted(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """An image, uint8 (height, width, channels), stretched to another shape; colours become gray as Pillow makes them,
    and gray ones three equal channels."""
    pixels = resize(pixels, shape[:2])
    if pixels.shape[-1] == shape[-1]:
        return pixels
    if shape[-1] == 3:
        return np.repeat(pixels, 3, axis=-1)
    return np.rint(pixels @ _LUMA).astype(np.uint8)


def column_of(dataset: Dataset, split: str, name: str) -> Sequence[str]:
    """What a column has for each image of a split.

    Raises:
        UsageError: the data set has no columns.
        DataError: it has no such one.
    """
    if not hasattr(dataset, "column"):
        raise UsageError(f"There are no columns in {dataset.description}.", expected="a table, for --by")
    found: Sequence[str] = dataset.column(split, name)
    return found


def _matched(task: TaskName, of_data: Sequence[str], of_model: Sequence[str]) -> np.ndarray:
    """The place in the model of each class, label or number of the data, int64 (n,); -1 for those it does not know."""
    place = {name: number for number, name in enumerate(of_model)}
    found = np.array([place.get(name, -1) for name in of_data], np.int64)
    missing = [*of_model] if not (found >= 0).any() else [name for name in of_model if name not in {*of_data}]
    if (found < 0).all() or (missing and task != "classify"):
        called = {"classify": "classes", "multilabel": "labels", "regress": "numbers"}[task]
        raise UsageError(
            f"The {called} of the model are not those of the data, which has {some_of([*map(repr, of_data)])}.",
            expected=some_of([*map(repr, missing)]),
            hint="--classes FILE, if the model's are called otherwise" if task == "classify" else "",
        )
    return found


def _labels(dataset: Dataset, split: str, indices: np.ndarray) -> np.ndarray:
    known = known_labels(dataset, split)
    if known is not None:
        return known[indices]
    form = LabelForm.of(dataset)
    return form.checked([dataset.read(split, int(index))[1] for index in indices], len(indices))
