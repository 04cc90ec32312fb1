"""The data set `idx`: which four files of a folder it is made of."""

import contextlib
from pathlib import Path

from keras_azure.data.formats.options import check_image_size
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.observers import Observer
from keras_azure.errors import DataError

_STEMS = {"train": "train", "test": "t10k"}
_TELLING = "idx3-ubyte"  # in the name of every IDX file of images: train-images-idx3-ubyte.gz


class Idx(OpenedLater):
    """A folder of the four MNIST-style files, compressed with gzip or not.

    Args:
        path: the folder that holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
            t10k-labels-idx1-ubyte; names such as train-images.idx3-ubyte.gz will do, too.
        image_size: height and width that the pictures are stretched to.
    """

    def __init__(self, *, path: str, image_size: tuple[int, int] | None = None) -> None:
        check_image_size(image_size)
        super().__init__("keras_azure.data.idx:idx", path=path, image_size=image_size)
        self._folder = Path(path)

    @staticmethod
    def recognises(path: Path) -> bool:
        return path.is_dir() and any(_TELLING in child.name for child in path.iterdir())

    def files(self, observer: Observer) -> list[Path]:
        return [file for pair in idx_files(self._folder).values() for file in pair]


def idx_files(folder: Path) -> dict[str, tuple[Path, Path]]:
    """The file of images and the file of labels of each split; links are followed.

    Raises:
        DataError: one of them is not there.
    """
    return {
        split: (_find(folder, stem, "images", 3), _find(folder, stem, "labels", 1)) for split, stem in _STEMS.items()
    }


def _find(folder: Path, stem: str, content: str, dimensions: int) -> Path:
    usual = f"{stem}-{content}-idx{dimensions}-ubyte"
    names = [usual, f"{usual}.gz", usual.replace("-idx", ".idx"), f"{usual.replace('-idx', '.idx')}.gz"]
    with contextlib.suppress(OSError):  # such as a path that is too long
        for name in names:
            if (folder / name).is_file():
                return folder / name
    raise DataError(f"The IDX folder {folder} has no file {usual}.", expected=" or ".join(names))
