"""The reader of the data set `digits`: 1,797 real handwritten digits that come with scikit-learn, without a network."""

import numpy as np

from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.resizing import Size, resize_all
from keras_azure.data.sizes import ResizedDataset, resized
from keras_azure.data.splits import described, stratified_split

NATIVE_SIZE: Size = (28, 28)  # that of MNIST, so that what is tried here goes on there
_BRIGHTEST = 16  # of scikit-learn's copy, which has 8x8 pixels
_TEST_PICTURES = 360


def digits(*, image_size: tuple[int, int] | None = None) -> ArrayDataset | ResizedDataset:
    """Makes the data set that `named.Digits` describes."""
    from sklearn.datasets import load_digits  # scikit-learn takes a second to import

    source = load_digits()
    small = np.round(source.images * (255 / _BRIGHTEST)).astype(np.uint8)[..., np.newaxis]  # (1797, 8, 8, 1)
    pictures = resize_all(small, NATIVE_SIZE)  # (1797, 28, 28, 1)
    chosen = zip(("train", "test"), stratified_split(source.target, _TEST_PICTURES / len(small)), strict=True)
    splits = {split: (pictures[indices], source.target[indices]) for split, indices in chosen}
    class_names = [str(name) for name in source.target_names]
    sizes = {split: len(labels) for split, (_, labels) in splits.items()}
    description = described("digits", sizes, (*NATIVE_SIZE, 1), len(class_names))
    return resized(ArrayDataset(class_names, splits, description), image_size)
