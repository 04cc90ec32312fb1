"""The reader of the data set `folder`: the images that formats/folder.py finds, decoded."""

import functools
import hashlib
import os
from pathlib import Path

import numpy as np

from keras_azure.data.decoding import BIT_DEPTH, Header
from keras_azure.data.formats.folder import find_images
from keras_azure.data.formats.layout import some_of
from keras_azure.data.headers import Headers
from keras_azure.data.images import hash_file, image_header, largest_level_in, read_image
from keras_azure.data.splits import check_index, described, stratified_split
from keras_azure.data.threads import map_in_threads
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

_THREADS = 16  # more than processors: a folder may lie on a network drive


class FolderDataset:
    """Pictures in class folders, read from their files each time; ready to use after `prepare`."""

    def __init__(
        self,
        root: Path,
        image_size: tuple[int, int] | None,
        channels: int | None,
        test_split: float,
        skip_unreadable: bool,
        bit_depth: int,
        split_names: str,
        labels: bool,
    ) -> None:
        self._root = root
        self._image_size = image_size
        self._channels = channels
        self._test_split = test_split
        self._skip_unreadable = skip_unreadable
        self._bit_depth = bit_depth
        self._find = functools.partial(find_images, root, split_names=split_names, labels=labels)
        self._fingerprints: dict[str, str] = {}

    def prepare(self, observer: Observer) -> None:
        """Lists the pictures and looks at the header of each.

        Raises:
            UnreadableFile: a file is no picture, or is damaged.
            DataError: the folder is not laid out as a data set.
        """
        found = self._find()
        headers, left_out = self._look(found.paths, observer)
        kept = found.only(set(found.paths) - left_out) if left_out else found
        self.class_names = tuple(sorted(kept.splits["train"]))
        self._splits, untested = self._divide(kept.splits)
        for note in dict.fromkeys((*found.notes, *kept.notes, *untested)):
            observer.message(note)
        self.split_sizes = {split: len(labels) for split, (_, labels) in self._splits.items()}
        self.image_shape = headers.image_shape(self._image_size, self._channels, observer)
        headers.check_levels(lambda path: largest_level_in(self._root / path), self._bit_depth, observer)
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
        height, width, channels = self.image_shape
        pixels = read_image(self._root / paths[index], (height, width), channels, bit_depth=self._bit_depth)
        return pixels, int(labels[index])

    def fingerprint(self, split: str, observer: Observer) -> str:
        if split in self._fingerprints:
            return self._fingerprints[split]
        paths, labels = self._splits[split]
        content = hashlib.blake2b(digest_size=16)
        if self._bit_depth != BIT_DEPTH:
            content.update(f"bit depth {self._bit_depth}".encode())
        hashes = map_in_threads(lambda path: hash_file(self._root / path), paths, _THREADS)
        for done, (path, label, file_hash) in enumerate(zip(paths, labels, hashes, strict=True), start=1):
            content.update(os.fsencode(f"{path}\0{label}\0") + file_hash)
            observer.advance(f"Looking for changes in {split} pictures", done, len(paths))
        self._fingerprints[split] = content.hexdigest()
        return self._fingerprints[split]

    def _look(self, paths: list[str], observer: Observer) -> tuple[Headers, set[str]]:
        """What the headers of all pictures say that can be read, and the paths of the others."""
        headers, left_out = Headers(), set()
        found = map_in_threads(self._header, paths, _THREADS)
        for done, (path, header) in enumerate(zip(paths, found, strict=True), start=1):
            if header is None:
                left_out.add(path)
            else:
                headers.add(path, header)
            observer.advance("Looking at pictures", done, len(paths))
        if left_out:
            named = ", ".join(sorted(left_out)[:3]) + (", ..." if len(left_out) > 3 else "")
            observer.message(f"Left out {len(left_out)} of {len(paths)} files, which cannot be read: {named}")
        return headers, left_out

    def _header(self, path: str) -> Header | None:
        if not self._skip_unreadable:
            return image_header(self._root / path)
        try:
            header = image_header(self._root / path)
            read_image(self._root / path, None, header.channels)  # only decoding finds a file that ends too early
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
