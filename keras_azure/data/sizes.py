"""The size of pictures: what the option `image_size` asks for, and what is done where pictures have different sizes."""

import numpy as np

from keras_azure.data.arrays import ArrayDataset, fingerprint_of
from keras_azure.data.label_forms import Label
from keras_azure.data.resizing import Size, resize
from keras_azure.description.events import Observer

DEFAULT_SIZE: Size = (224, 224)  # what most networks that were trained on ImageNet expect
LARGEST_KEPT = 512  # pixels a side: photographs as cameras store them make networks that fit in no memory


def in_words(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def different_sizes(examples: str) -> str:
    """What to tell a user whose pictures have different sizes; `examples` says where: "20x30 (a.png) and ..."."""
    return _brought(f"The pictures differ in size, such as {examples}")


def too_large(size: Size) -> str:
    """What to tell a user whose pictures have one size, and a large one."""
    return _brought(f"The pictures are {in_words(size)}")


def _brought(why: str) -> str:
    return f"{why}: all are brought to {in_words(DEFAULT_SIZE)}. Pass --image-size HEIGHT WIDTH for another size."


def resized(
    dataset: ArrayDataset, image_size: Size | None, observer: Observer | None = None
) -> "ArrayDataset | ResizedDataset":
    """The data set with pictures of `image_size`; None leaves them as they are, if they are not large.

    Args:
        observer: hears of large ones.
    """
    size = dataset.image_shape[:2]
    if image_size is None and max(size) > LARGEST_KEPT:
        (observer or Observer()).message(too_large(size))
        image_size = DEFAULT_SIZE
    if image_size is None or image_size == dataset.image_shape[:2]:
        return dataset
    return ResizedDataset(dataset, image_size)


class ResizedDataset:
    """A data set whose pictures are resized when they are read: all at once, they might not fit in memory."""

    def __init__(self, dataset: ArrayDataset, image_size: Size):
        self._dataset = dataset
        self.task = dataset.task
        self.class_names = dataset.class_names
        self.split_sizes = dataset.split_sizes
        self.image_shape = (*image_size, dataset.image_shape[-1])
        self.description = f"{dataset.description}, resized to {in_words(image_size)}"

    def read(self, split: str, index: int) -> tuple[np.ndarray, Label]:
        picture, label = self._dataset.read(split, index)
        return resize(picture, self.image_shape[:2]), label

    def known_labels(self, split: str) -> np.ndarray:
        return self._dataset.arrays(split)[1]

    def fingerprint(self, split: str, observer: Observer) -> str:
        return fingerprint_of(*self._dataset.arrays(split))
