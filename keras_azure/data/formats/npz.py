"""The data set `npz`: which arrays of an .npz file are images and labels, and of which split."""

import re
from collections.abc import Iterable
from pathlib import Path

from keras_azure.data import TaskChoice
from keras_azure.data.formats.options import check_image_size, check_test_split
from keras_azure.data.opened_later import ReadAtOnce
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

ENDING = ".npz"
_IMAGES = {"x", "image", "images"}
_LABELS = {"y", "label", "labels"}
_SPLITS = {
    "": "train",
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
_EXPECTED = "x_train, y_train, x_test and y_test, as Keras's data sets have them; x and y, or images and labels, alone"


class Npz(ReadAtOnce):
    """An .npz file of NumPy: x_train, y_train, x_test and y_test, or x and y, or images and labels.

    x_val and y_val are the validation split. Images are uint8, or whole numbers 0..255 or such numbers divided by 255;
    labels are numbers, one-hot, or texts; 0 and 1 (N, labels) where an image has several; numbers that are not whole
    are predicted as numbers.

    Args:
        path: the file.
        image_size: height and width that the images are resized to.
        test_split: the share of each class to test on, where there are no x_test and y_test.
        task: what labels are for: classify, multilabel or regress; auto is what they are.
    """

    def __init__(
        self,
        *,
        path: str,
        image_size: tuple[int, int] | None = None,
        test_split: float = 0.2,
        task: TaskChoice = "auto",
    ) -> None:
        check_image_size(image_size)
        check_test_split(test_split)
        super().__init__(
            "keras_azure.data.npz:npz", path=Path(path), image_size=image_size, test_split=test_split, task=task
        )
        self._path = Path(path)

    @staticmethod
    def recognises(path: Path) -> bool:
        return path.suffix.casefold() == ENDING and path.is_file()

    def files(self, observer: Observer) -> list[Path]:
        return [self._path]


def arrays_of_splits(names: Iterable[str], source: str) -> dict[str, tuple[str, str]]:
    """The names of the images and of the labels of each split, among the names of a file's arrays.

    Raises:
        DataError: there are none to train on, images without labels, or two that could be the same.
    """
    names = list(names)
    found: dict[tuple[str, bool], str] = {}
    for name in names:
        if (role := _role(name)) is None:
            continue
        if role in found:
            raise DataError(f"{source} has {found[role]!r} and {name!r}, which could be the same.", expected=_EXPECTED)
        found[role] = name
    splits = dict.fromkeys(split for split, _ in found)
    for split in splits:
        if not {(split, True), (split, False)} <= found.keys():
            alone = found.get((split, True)) or found[split, False]
            missing = "labels" if (split, True) in found else "images"
            raise DataError(f"{source} has {alone!r} and no {missing} with it.", expected=_EXPECTED)
    if "train" not in splits:
        shown = ", ".join(map(repr, names[:5])) + (", ..." if names[5:] else "")
        raise DataError(f"{source} has no images to train on: its arrays are {shown or 'none'}.", expected=_EXPECTED)
    return {split: (found[split, True], found[split, False]) for split in splits}


def _role(name: str) -> tuple[str, bool] | None:
    """The split of an array, and whether it has images or labels; None where it is neither. "x_train" or "train_x"."""
    words = [word for word in re.split(r"[_\W]+", name.casefold()) if word]
    contents = [word for word in words if word in _IMAGES | _LABELS]
    others = [word for word in words if word not in contents]
    if len(contents) != 1 or len(others) > 1 or (split := _SPLITS.get("".join(others))) is None:
        return None
    return split, contents[0] in _IMAGES
