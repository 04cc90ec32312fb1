"""The reader of the data set `folder`: the images that formats/folder.py finds, decoded."""

import functools
import hashlib
import os
from pathlib import Path

import numpy as np

from keras_azure.data.formats.folder import find_images
from keras_azure.data.formats.layout import some_of
from keras_azure.data.pictures import hash_file, picture_header, read_picture
from keras_azure.data.sizes import DEFAULT_SIZE, different_sizes, in_words
from keras_azure.data.splits import check_index, described, stratified_split
from keras_azure.data.threads import map_in_threads
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

_THREADS = 16  # more than processors: a folder may lie on a network drive

Header = tuple[int, int, int]  # height, width, channels


class FolderDataset:
    """Pictures in class folders, read from their files each time; ready to use after `prepare`."""

    def __init__(
        self,
        root: Path,
        image_size: tuple[int, int] | None,
        channels: int | None,
        test_split: float,
        skip_unreadable: bool,
        split_names: str,
        labels: bool,
    ) -> None:
        self._root = root
        self._image_size = image_size
        self._channels = channels
        self._test_split = test_split
        self._skip_unreadable = skip_unreadable
        self._find = functools.partial(find_images, root, split_names=split_names, labels=labels)
        self._fingerprints: dict[str, str] = {}

    def prepare(self, observer: Observer) -> None:
        """Lists the pictures and looks at the header of each.

        Raises:
            UnreadableFile: a file is no picture, or is damaged.
            DataError: the folder is not laid out as a data set.
        """
        found = self._find()
        headers = self._look(found.paths, observer)
        kept = found.only(headers)
        self.class_names = tuple(sorted(kept.splits["train"]))
        self._splits, untested = self._divide(kept.splits)
        for note in dict.fromkeys((*found.notes, *kept.notes, *untested)):
            observer.message(note)
        self.split_sizes = {split: len(labels) for split, (_, labels) in self._splits.items()}
        self.image_shape = (*self._common_size(headers, observer), self._channels or _common_channels(headers))
        self.description = described(
            f"image folder {self._root}",
            self.split_sizes,
            self.image_shape,
            len(self.class_names) if kept.is_labelled else 0,
        )
        if kept.origins:
            self.description += f"; {kept.origins}"

    def read(self, split: str, index: int) -> tuple[np.ndarray, int]:
        check_index(split, index, self.split_sizes)
        paths, labels = self._splits[split]
        return read_picture(self._root / paths[index], self.image_shape[:2], self.image_shape[2]), int(labels[index])

    def fingerprint(self, split: str, observer: Observer) -> str:
        if split in self._fingerprints:
            return self._fingerprints[split]
        paths, labels = self._splits[split]
        content = hashlib.blake2b(digest_size=16)
        hashes = map_in_threads(lambda path: hash_file(self._root / path), paths, _THREADS)
        for done, (path, label, file_hash) in enumerate(zip(paths, labels, hashes, strict=True), start=1):
            content.update(os.fsencode(f"{path}\0{label}\0") + file_hash)
            observer.advance(f"Looking for changes in {split} pictures", done, len(paths))
        self._fingerprints[split] = content.hexdigest()
        return self._fingerprints[split]

    def _look(self, paths: list[str], observer: Observer) -> dict[str, Header]:
        """The headers of all pictures that can be read, by path."""
        headers: dict[str, Header] = {}
        left_out: list[str] = []
        found = map_in_threads(self._header, paths, _THREADS)
        for done, (path, header) in enumerate(zip(paths, found, strict=True), start=1):
            if header is None:
                left_out.append(path)
            else:
                headers[path] = header
            observer.advance("Looking at pictures", done, len(paths))
        if left_out:
            named = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
            observer.message(f"Left out {len(left_out)} of {len(paths)} files, which cannot be read: {named}")
        return headers

    def _header(self, path: str) -> Header | None:
        if not self._skip_unreadable:
            return picture_header(self._root / path)
        try:
            header = picture_header(self._root / path)
            read_picture(self._root / path, None, header[2])  # only decoding finds a file that ends too early
        except UnreadableFile:
            return None
        return header

    def _divide(
        self, listing: dict[str, dict[str, list[str]]]
    ) -> tuple[dict[str, tuple[list[str], np.ndarray]], list[str]]:
        """Each split's paths, sorted, and their labels; and a line on classes that give the test no image."""
        number = {name: label for label, name in enumerate(self.class_names)}
        splits = {}
        for split, classes in listing.items():
            samples = sorted((path, number[name]) for name, found in classes.items() for path in found)
            splits[split] = [path for path, _ in samples], np.array([label for _, label in samples])
        if "test" in splits:
            return splits, []
        alone = sorted(name for name, found in listing["train"].items() if len(found) == 1)
        if len(alone) == len(listing["train"]):
            raise DataError(
                f"Each class of {self._root} has just one image, which cannot be both trained and tested on.",
                hint="add images to their folders",
            )
        paths, labels = splits["train"]
        for split, chosen in zip(("train", "test"), stratified_split(labels, self._test_split), strict=True):
            splits[split] = [paths[index] for index in chosen], labels[chosen]
        return splits, [f"There are no test images of {some_of(alone)}, which have one image each."] if alone else []

    def _common_size(self, headers: dict[str, Header], observer: Observer) -> tuple[int, int]:
        if self._image_size is not None:
            return self._image_size
        path, (height, width, _) = next(iter(headers.items()))
        size = height, width
        other = next((other for other, header in headers.items() if header[:2] != size), None)
        if other is None:
            return size
        observer.message(
            different_sizes(f", such as {in_words(size)} ({path}) and {in_words(headers[other][:2])} ({other})")
        )
        return DEFAULT_SIZE


def _common_channels(headers: dict[str, Header]) -> int:
    return max(channels for _, _, channels in headers.values())
