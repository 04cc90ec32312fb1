"""The reader of the data set `webdataset`: shards, by their indices."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from keras_azure.data.encoded import EncodedDataset, part_of
from keras_azure.data.formats.images import HINT
from keras_azure.data.formats.options import Reading
from keras_azure.data.formats.parts import parts_of
from keras_azure.data.formats.webdataset import ENDING
from keras_azure.data.labelled import FoundWithLabels
from keras_azure.data.labels import class_indices
from keras_azure.data.shard_index import ShardIndex, index_of
from keras_azure.description.events import Observer


class WebDatasetDataset(EncodedDataset):
    """Images in shards, read in place each time; ready to use after `prepare`."""

    def __init__(self, path: Path, reading: Reading) -> None:
        super().__init__(f"WebDataset shards {path}", reading)
        self._path = path

    def find(self, observer: Observer) -> tuple["FilesInShards", FoundWithLabels]:
        parts = parts_of(self._path, ENDING)
        shards: list[ShardIndex] = []
        texts: dict[str, np.ndarray] = {}
        keys: dict[str, np.ndarray] = {}
        total, first = sum(map(len, parts.values())), 0
        for split, paths in parts.items():
            of_split = []
            for path in paths:
                of_split.append(index_of(path))
                observer.advance("Looking through shards", len(shards) + len(of_split), total)
            shards += of_split
            texts[split] = np.concatenate([np.array(shard.texts)[shard.labels] for shard in of_split])
            keys[split] = np.arange(first, first + len(texts[split]))
            first += len(texts[split])
        names = {split: f"the classes in the {split} shards" for split in parts}
        class_names, labels = class_indices(_numbers(texts), names, observer)
        splits = {split: (keys[split], labels[split]) for split in parts}
        return FilesInShards(shards), FoundWithLabels(class_names, splits, self._source)


class FilesInShards:
    """The images of shards; their keys count them through all shards."""

    hint = HINT

    def __init__(self, shards: Sequence[ShardIndex]) -> None:
        self._shards = shards
        self._ends = np.cumsum([len(shard) for shard in shards])

    def open(self, key: int) -> BinaryIO:
        shard, number = self._found(key)
        return shard.archive.image(shard.member(number), self.name(key))

    def name(self, key: int) -> str:
        shard, number = self._found(key)
        return f"The picture {shard.name(number)} in {shard.path}"

    def place(self, key: int) -> str:
        shard, number = self._found(key)
        return f"{shard.path.name}/{shard.name(number)}"

    def _found(self, key: int) -> tuple[ShardIndex, int]:
        part, number = part_of(self._ends, key)
        return self._shards[part], number


def _numbers(texts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The labels as numbers, where all of them are written so."""
    known = np.unique(np.concatenate([*texts.values()])).tolist()
    if not all(re.fullmatch(r"0|[1-9]\d{0,14}", text, re.ASCII) for text in known):  # of 007 the zeros count
        return texts
    return {split: each.astype(np.int64) for split, each in texts.items()}
