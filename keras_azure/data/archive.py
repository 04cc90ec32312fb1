"""The reader of the data set `archive`: the images that formats/archive.py finds, decoded."""

import functools
from pathlib import Path
from typing import BinaryIO

from keras_azure.data.encoded import EncodedDataset
from keras_azure.data.formats.archive import find_in_archive, image_name, look_through
from keras_azure.data.formats.images import HINT
from keras_azure.data.formats.members import Archive
from keras_azure.data.formats.options import Reading
from keras_azure.data.labelled import FoundInFolders
from keras_azure.description.events import Observer


class ArchiveDataset(EncodedDataset):
    """Images in the class folders of an archive, read in place each time; ready to use after `prepare`."""

    def __init__(self, path: Path, split_names: str, labels: bool, reading: Reading) -> None:
        super().__init__(f"archive of class folders {path}", reading)
        self._path = path
        self._find = functools.partial(find_in_archive, split_names=split_names, labels=labels)

    def find(self, observer: Observer) -> tuple["FilesInArchive", FoundInFolders]:
        archive = look_through(self._path)
        found, within = self._find(archive)
        return FilesInArchive(archive, within), FoundInFolders(found)


class FilesInArchive:
    """Members of an archive; their keys are their paths below its folder `within`, which has a slash behind it."""

    hint = HINT

    def __init__(self, archive: Archive, within: str) -> None:
        self._archive = archive
        self._within = within

    def open(self, key: str) -> BinaryIO:
        return self._archive.image(self._archive.members[self._within + key], self.name(key))

    def name(self, key: str) -> str:
        return image_name(self._archive, self._within + key)

    def place(self, key: str) -> str:
        return key
