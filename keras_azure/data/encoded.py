"""A data set of encoded images, such as JPEG files: looked through once, and decoded each time they are read."""

import functools
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

import numpy as np

from keras_azure.data.decoding import BIT_DEPTH, Header, largest_level
from keras_azure.data.formats.images import explained
from keras_azure.data.formats.options import Reading
from keras_azure.data.hashes import Hashes, digest, repeated
from keras_azure.data.headers import Headers
from keras_azure.data.images import DECODING, decode_header, decode_image
from keras_azure.data.labelled import Found, Key, Keys, Labelled
from keras_azure.data.originals import Original
from keras_azure.data.splits import check_index, described
from keras_azure.data.threads import map_in_threads
from keras_azure.description.events import Observer
from keras_azure.errors import UnreadableFile

_THREADS = 16  # more than processors: data may lie on a network drive


class Files(Protocol):
    """Where the images are. Threads may ask at the same time.

    Attributes:
        hint: what to do about an image that cannot be read.
    """

    hint: str

    def open(self, key: Key) -> AbstractContextManager[BinaryIO]:
        """
        Raises:
            UnreadableFile: it cannot be opened.
        """
        ...

    def name(self, key: Key) -> str:
        """What errors call an image: "The picture /a/b.png"."""
        ...

    def place(self, key: Key) -> str:
        """Where it is within the data: "cat/b.png"."""
        ...


def part_of(ends: np.ndarray, key: int) -> tuple[int, int]:
    """The part that an image is in, and its place there, where its key counts the images of several parts.

    Args:
        ends: up to which key each part goes, int64 (parts,).
    """
    part = int(np.searchsorted(ends, key, side="right"))
    return part, int(key - (ends[part - 1] if part else 0))


class EncodedDataset(ABC):
    """Encoded images, wherever they are; ready to use after `prepare`."""

    decoding = DECODING

    def __init__(self, source: str, reading: Reading) -> None:
        """
        Args:
            source: what the data is called: "image folder /a/b".
        """
        self._source = source
        self._reading = reading

    @abstractmethod
    def find(self, observer: Observer) -> tuple[Files, Found]:
        """Which images there may be, before any of them is opened.

        Raises:
            DataError: there is no data set.
        """

    def prepare(self, observer: Observer) -> None:
        """Lists the images and looks at the header of each.

        Raises:
            UnreadableFile: one is no image, or is damaged.
            DataError: there is no data set.
        """
        reading = self._reading
        self._files, found = self.find(observer)
        headers, left_out = self._look(found.keys, observer)
        kept = found.without(left_out)
        divided = kept.with_test(reading.test_split, self._source)
        for note in dict.fromkeys((*found.notes, *divided.notes)):
            observer.message(note)
        self.class_names, self._splits = divided.class_names, divided.splits
        self.split_sizes = {split: len(labels) for split, (_, labels) in self._splits.items()}
        self._hashes = {split: Hashes(size) for split, size in self.split_sizes.items()}
        self.image_shape = headers.image_shape(reading.image_size, reading.channels, observer)
        headers.check_levels(self._largest_level, reading.bit_depth, observer)
        self.task = divided.task
        if divided.groups:  # methods that are there if there are groups and weights
            self.groups: Callable[[str], np.ndarray] = divided.groups.__getitem__
        if divided.weights:
            self.weights: Callable[[str], np.ndarray] = divided.weights.__getitem__
        names = len(self.class_names) if divided.is_labelled else 0
        description = described(self._source, self.split_sizes, self.image_shape, names, divided.task)
        self.description = "; ".join(filter(None, [description, divided.origins]))

    def read(self, split: str, index: int) -> tuple[np.ndarray, int | np.ndarray]:
        check_index(split, index, self.split_sizes)
        keys, labels = self._splits[split]
        key, hashes, shape = keys[index], self._hashes[split], self.image_shape
        name, hint, depth = functools.partial(self._files.name, key), self._files.hint, self._reading.bit_depth
        with self._files.open(key) as file:
            if not hashes.has(index):
                with explained(name, hint):
                    file = hashes.of_file(index, file)
            image = decode_image(file, name, shape[:2], shape[2], hint=hint, bit_depth=depth)
        return image, int(labels[index]) if labels.ndim == 1 else labels[index]

    def known_labels(self, split: str) -> np.ndarray:
        return self._splits[split][1]

    def copies(self) -> str:
        return repeated(self._hashes)

    def originals(self, observer: Observer) -> "EncodedOriginals":
        """In place of `prepare`: the images as they are stored, whether or not they can be read.

        Raises:
            DataError: there is no data set.
        """
        files, found = self.find(observer)
        divided = found.without(set()).with_test(self._reading.test_split, self._source)
        for note in dict.fromkeys((*found.notes, *divided.notes)):
            observer.message(note)
        return EncodedOriginals(self._source, files, divided, self._reading.bit_depth)

    def fingerprint(self, split: str, observer: Observer) -> str:
        keys, labels = self._splits[split]
        content = hashlib.blake2b(digest_size=16)
        if self._reading.bit_depth != BIT_DEPTH:
            content.update(f"bit depth {self._reading.bit_depth}".encode())
        hashes = map_in_threads(functools.partial(self._hash, split), range(len(keys)), _THREADS)
        for done, (key, label, file_hash) in enumerate(zip(keys, labels, hashes, strict=True), start=1):
            shown = label if labels.ndim == 1 else label.tobytes().hex()
            content.update(os.fsencode(f"{self._files.place(key)}\0{shown}\0") + file_hash)
            observer.advance(f"Looking for changes in {split} pictures", done, len(keys))
        for column in ("groups", "weights"):  # which decide what is trained on, too
            if hasattr(self, column):
                content.update(column.encode() + getattr(self, column)(split).tobytes())
        return content.hexdigest()

    def _look(self, keys: Keys, observer: Observer) -> tuple[Headers, set[Key]]:
        """What the headers of all images say that can be read, and the keys of the others."""
        headers, left_out, total = Headers(self._files.place), set(), len(keys)
        found = map_in_threads(self._header, keys, _THREADS)
        for done, (key, header) in enumerate(zip(keys, found, strict=True), start=1):
            if header is None:
                left_out.add(key)
            else:
                headers.add(key, header)
            observer.advance("Looking at pictures", done, total)
        if left_out:
            places = sorted(map(self._files.place, left_out))
            named = ", ".join(places[:3]) + (", ..." if places[3:] else "")
            observer.message(f"Left out {len(left_out)} of {total} files, which cannot be read: {named}")
        return headers, left_out

    def _header(self, key: Key) -> Header | None:
        name = functools.partial(self._files.name, key)
        try:
            with self._files.open(key) as file:
                header = decode_header(file, name, hint=self._files.hint)
            if self._reading.skip_unreadable:
                with self._files.open(key) as file:  # only decoding finds all damage
                    decode_image(file, name, None, header.channels, hint=self._files.hint)
        except UnreadableFile:
            if self._reading.skip_unreadable:
                return None
            raise
        return header

    def _largest_level(self, key: Key) -> int:
        name = functools.partial(self._files.name, key)
        with self._files.open(key) as file, explained(name, self._files.hint):
            return largest_level(file)

    def _hash(self, split: str, index: int) -> bytes:
        key, hashes = self._splits[split][0][index], self._hashes[split]
        if not hashes.has(index):
            name = functools.partial(self._files.name, key)
            with self._files.open(key) as file, explained(name, self._files.hint):
                hashes.keep(index, digest(file))
        return hashes.get(index)


class EncodedOriginals:
    """The images of files as they are stored: see `originals.Originals`."""

    def __init__(self, source: str, files: Files, divided: Labelled, bit_depth: int) -> None:
        self.class_names, self.is_labelled, self.task = divided.class_names, divided.is_labelled, divided.task
        self.split_sizes = {split: len(labels) for split, (_, labels) in divided.splits.items()}
        self.description = "; ".join(filter(None, [source, divided.origins]))
        self._files, self._splits, self._bit_depth = files, divided.splits, bit_depth

    def labels(self, split: str) -> np.ndarray:
        return self._splits[split][1]

    def place(self, split: str, index: int) -> str:
        return self._files.place(self._splits[split][0][index])

    def read(self, split: str, index: int) -> Original:
        check_index(split, index, self.split_sizes)
        keys, labels = self._splits[split]
        name, hint = functools.partial(self._files.name, keys[index]), self._files.hint
        with self._files.open(keys[index]) as file:
            header = decode_header(file, name, hint=hint)
            file.seek(0)
            pixels = decode_image(file, name, None, header.channels, hint=hint, bit_depth=self._bit_depth)
        mode = ["gray" if header.channels == 1 else "colour"]
        mode += ["transparent"] * header.transparent + ["16 bits"] * header.deep + ["several frames"] * header.animated
        return Original(pixels, labels[index], ", ".join(mode))
