"""The reader of the data set `folder`: the images that formats/folder.py finds, decoded."""

import functools
import os
from pathlib import Path
from typing import BinaryIO

from keras_azure.data.encoded import EncodedDataset
from keras_azure.data.formats.folder import find_images
from keras_azure.data.formats.images import HINT, open_image
from keras_azure.data.formats.options import Reading
from keras_azure.data.labelled import FoundInFolders
from keras_azure.description.events import Observer


class FolderDataset(EncodedDataset):
    """Images in class folders, read from their files each time; ready to use after `prepare`."""

    def __init__(self, root: Path, split_names: str, labels: bool, reading: Reading) -> None:
        super().__init__(f"image folder {root}", reading)
        self._root = root
        self._find = functools.partial(find_images, root, split_names=split_names, labels=labels)

    def find(self, observer: Observer) -> tuple["FilesBelow", FoundInFolders]:
        return FilesBelow(self._root), FoundInFolders(self._find())


class FilesBelow:
    """Files below a folder; their keys are their paths within it."""

    hint = HINT

    def __init__(self, root: Path) -> None:
        self._root = root
        self._prefix = os.path.join(root, "")  # noqa: PTH118 - a Path for each file takes longer than to open it

    def open(self, key: str) -> BinaryIO:
        return open_image(self._prefix + key)

    def name(self, key: str) -> str:
        return f"The picture {self._root / key}"

    def place(self, key: str) -> str:
        return key
