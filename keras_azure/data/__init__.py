"""Data sets: each knows its class names and its splits, and gives samples by index.

A data set plugin is `f(*, options) -> Dataset`, an entry point of the group `keras_azure.datasets`. The shortest one
returns a `keras_azure.ArrayDataset`. One of files is best a class, which is light to import and to build: it says
which files are its own, and loads what reads them in `prepare`.

    class Tiles:
        '''A file of tiles: a line of JSON that names the classes, and the pixels.'''

        def __init__(self, *, path: str):
            self.path = Path(path)

        @staticmethod
        def recognises(path: Path) -> bool:
            return path.suffix == ".tiles" and path.is_file()

        def files(self, observer):
            return [self.path]

        def prepare(self, observer):
            import numpy as np  # not needed where the file is only uploaded

            ...  # sets class_names, split_sizes, image_shape, description

        def read(self, split, index):
            return self._pixels[split][index], self._labels[split][index]

        def fingerprint(self, split, observer):
            return hashlib.blake2b(self.path.read_bytes() + split.encode()).hexdigest()

With that, `--data my.tiles` trains here and on a cluster.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeGuard

from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin
from keras_azure.lazy import lazy
from keras_azure.registry.registry import DATASETS, as_spec
from keras_azure.registry.specs import Spec

if TYPE_CHECKING:
    import numpy as np

    from keras_azure.data.label_forms import Label


TaskName = Literal["classify", "multilabel", "regress"]
TaskChoice = Literal["auto", "classify", "multilabel", "regress"]
TASKS: tuple[TaskName, ...] = ("classify", "multilabel", "regress")


class Named(Protocol):
    """What has names of classes, labels or numbers."""

    @property
    def class_names(self) -> Sequence[str]: ...


class Dataset(Protocol):
    """What a data set plugin builds.

    Labels are classes, unless it has one attribute more: `task`, "classify", "multilabel" or "regress". With
    "multilabel", `class_names` are those of one label or more, and the label of an image is a uint8 vector (labels,)
    of 0 and 1. With "regress" they are the names of one number or more, and the label is a float32 vector (numbers,).
    A plugin with an option `task` is given that of the run, where it is not "auto".

    More methods are optional. For reading:

    - `prepare(observer)` does what takes long: fetching, looking through files. `open_dataset` calls it once, before
      anything else is asked of the data set; the attributes below need not be there earlier.
    - `arrays(split) -> (pictures, labels)`, for a data set that is in memory anyway: uint8
      (N, height, width, channels) and int64 (N,), the samples in the order of their indices; labels of the other
      tasks are uint8 (N, labels) and float32 (N, numbers).
    - `known_labels(split)`, the same labels, where they are known without decoding an image.
    - `groups(split) -> int64 (N,)`: images of one group, such as a patient's, stay together where a validation part is
      drawn.
    - `weights(split) -> float32 (N,)`: how much each image counts in the loss, in training.
    - `column(split, name) -> texts (N,)`, what a column of a table has for each image; DataError if there is none.
    - `decoding`, a text that says how pictures are decoded: with another text they may have other pixels.
    - `fingerprint(split, observer) -> str`, for a data set whose decoded pictures may be stored on the disk: equal only
      if the pictures, before they are brought to `image_shape`, and the labels are equal and in the same order. It
      costs about as much as reading the files, and raises DataError where they cannot be read.

    For where the files are. None of these may need `prepare`, or load libraries that take long: they are asked before
    Keras's engine is chosen, and where a run is only submitted.

    - `files(observer) -> iterable of paths`: the files of this machine's disk that the data set reads, and no other;
      none where a package brings all that it needs. A run on a cluster uploads these; links are followed. A data set
      with this method is looked at before a run is submitted. Without it, all files below its paths are uploaded, but
      hidden ones, and links are refused; a data set without paths goes by name, and each machine fetches it.
    - `requirements() -> iterable of str`, asked after `files`: what pip is to install where these files are read,
      beside what the plugin's package requires: "keras-azure[heic]", "openslide-python>=1.3".
    - An option `path`, or one whose name ends in `_path` or `_folder`, is a path: it is absolute in run.json, and on a
      cluster's node it is the place that its files have there. Each of `files` is, or lies below, what such an option
      names; where a file is all that they name, it may also lie below the folder of that.
    - `asset`, the address of data that a cloud has already: a job there is given it, and finds out what it is.

    The plugin itself, a class or a function, may have two more, which are called without a data set:

    - `recognises(path: Path) -> bool`: whether `--data PATH` means this data set, with the path as its option `path`.
      Those of this package are asked first.
    - `from_text(text: str) -> options`: what `--data NAME:TEXT` means, of which it is given all; NAME is its own.

    Attributes:
        class_names: a label is an index into them; two or more. Of labels or numbers: see above.
        split_sizes: the number of samples in "train", in "test", and in "validation" if there is such a split.
        image_shape: height, width and channels (1 or 3) of every picture.
        description: one phrase: "IDX folder /a/b: 60000 training and 10000 test pictures of 28x28x1 in 10 classes".
    """

    class_names: tuple[str, ...]
    split_sizes: Mapping[str, int]
    image_shape: tuple[int, int, int]
    description: str

    def read(self, split: str, index: int) -> "tuple[np.ndarray, Label]":
        """One sample: its picture, uint8 (height, width, channels) with values 0..255, and its label.

        The same index always gives the same sample; threads may call this at the same time.

        Raises:
            IndexError: `index` is not in 0 .. split_sizes[split] - 1.
            DataError: the picture cannot be read.
        """
        ...


class HeldDataset(Dataset, Protocol):
    """A data set that is in memory anyway."""

    def arrays(self, split: str) -> "tuple[np.ndarray, np.ndarray]": ...


class LabelledDataset(Dataset, Protocol):
    """A data set that knows its labels before its pictures are decoded."""

    def known_labels(self, split: str) -> "np.ndarray": ...


class FingerprintedDataset(Dataset, Protocol):
    """A data set whose decoded pictures may be stored on the disk."""

    def fingerprint(self, split: str, observer: Observer) -> str: ...


class DatasetOfFiles(Dataset, Protocol):
    """A data set that says which files are its own."""

    def files(self, observer: Observer) -> Iterable[str | Path]: ...


class GroupedDataset(Dataset, Protocol):
    """A data set whose images are in groups that stay together."""

    def groups(self, split: str) -> "np.ndarray": ...


class WeightedDataset(Dataset, Protocol):
    """A data set whose images count differently in the loss."""

    def weights(self, split: str) -> "np.ndarray": ...


def task_of_data(dataset: object) -> TaskName:
    """What the labels of a data set are for."""
    named: TaskName = getattr(dataset, "task", "classify")
    return named


class DatasetWithRequirements(Dataset, Protocol):
    """A data set whose files take more to be read than its plugin's package requires."""

    def requirements(self) -> Iterable[str]: ...


def is_held(dataset: Dataset) -> TypeGuard[HeldDataset]:
    return hasattr(dataset, "arrays")


def has_groups(dataset: Dataset) -> TypeGuard[GroupedDataset]:
    return callable(getattr(dataset, "groups", None))


def has_weights(dataset: Dataset) -> TypeGuard[WeightedDataset]:
    return callable(getattr(dataset, "weights", None))


def tells_labels(dataset: Dataset) -> TypeGuard[LabelledDataset]:
    return callable(getattr(dataset, "known_labels", None))


def has_fingerprint(dataset: Dataset) -> TypeGuard[FingerprintedDataset]:
    return hasattr(dataset, "fingerprint")


def tells_files(dataset: Dataset) -> TypeGuard[DatasetOfFiles]:
    return hasattr(dataset, "files")


def has_requirements(dataset: Dataset) -> TypeGuard[DatasetWithRequirements]:
    return hasattr(dataset, "requirements")


def open_dataset(spec: str | Spec, observer: Observer) -> Dataset:
    """Builds the data set that a spec names and makes it ready to be read.

    Args:
        spec: a registered name with its options: "digits", "idx(path='/a/b')".
        observer: hears how long work goes on, and what the user should know of the data.

    Raises:
        UsageError: there is no such data set, or it does not take these options.
        DataError: the data cannot be used as it is.
        BrokenPlugin: what the plugin gives is no data set.
    """
    dataset = DATASETS.build(spec)
    if note := lazy("keras_azure.data.locate:shadowed")(as_spec(spec)):
        observer.message(note)
    if hasattr(dataset, "prepare"):
        dataset.prepare(observer)
    if not hasattr(dataset, "class_names"):
        raise BrokenPlugin(
            f"The data set {spec} gives a {type(dataset).__name__}, which has no class_names.",
            expected="a data set, such as a keras_azure.ArrayDataset",
        )
    if task_of_data(dataset) not in TASKS:
        raise BrokenPlugin(
            f"The data set {spec} has the task {task_of_data(dataset)!r}.", expected=f"one of {', '.join(TASKS)}"
        )
    return dataset
