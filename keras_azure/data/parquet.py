"""The reader of the data set `parquet`: encoded images in row groups."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow
import pyarrow.compute

from keras_azure.data.encoded import EncodedDataset, part_of
from keras_azure.data.formats.class_names import problem_with
from keras_azure.data.formats.images import HINT, ImageError, explained
from keras_azure.data.formats.options import Reading
from keras_azure.data.formats.parquet import ENDING, METADATA, Column, Columns, choose_columns
from keras_azure.data.formats.parts import parts_of
from keras_azure.data.labelled import FoundWithLabels
from keras_azure.data.labels import class_indices
from keras_azure.data.row_groups import ParquetPart, RowGroups, damaged
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

_UNKNOWN = -1  # the label of images whose class a data set keeps to itself


class ParquetDataset(EncodedDataset):
    """Images in Parquet files; ready to use after `prepare`."""

    def __init__(self, path: Path, image: str | None, label: str | None, reading: Reading) -> None:
        super().__init__(f"Parquet {'files' if path.is_dir() else 'file'} {path}", reading)
        self._path = path
        self._named = {"image": image, "label": label}

    def find(self, observer: Observer) -> tuple["FilesInRows", FoundWithLabels]:
        splits = {split: [ParquetPart(path) for path in paths] for split, paths in parts_of(self._path, ENDING).items()}
        parts = [part for of_split in splits.values() for part in of_split]
        columns = self._columns(parts)
        values, keys, notes, first = {}, {}, [], 0
        for split, of_split in splits.items():
            found = np.concatenate([_labels(part, columns.label) for part in of_split])
            if split != "train" and len(found) and found.dtype.kind == "i" and np.all(found == _UNKNOWN):
                notes.append(f"The {split} images have no labels ({_UNKNOWN}), and are left out.")
            elif len(found):
                values[split], keys[split] = found, np.arange(first, first + len(found))
            first += len(found)
        if "train" not in values:
            raise DataError(f"There are no images to train on in {self._source}.")
        class_names, labels = self._classes(values, columns, observer)
        labelled = {split: (keys[split], labels[split]) for split in values}
        return FilesInRows(parts, columns), FoundWithLabels(class_names, labelled, self._source, tuple(notes))

    def _columns(self, parts: Sequence[ParquetPart]) -> Columns:
        """The columns of the first file, which all others must have, too."""
        chosen = [
            choose_columns(_kinds(part), (part.schema.metadata or {}).get(METADATA), str(part.path), **self._named)
            for part in parts
        ]
        for part, columns in zip(parts, chosen, strict=True):
            if columns != chosen[0]:
                raise DataError(
                    f"{part.path} has other columns or classes than {parts[0].path}.",
                    expected=f"images in {chosen[0].image}, labels in {chosen[0].label}, and the same classes",
                )
        return chosen[0]

    def _classes(
        self, values: dict[str, np.ndarray], columns: Columns, observer: Observer
    ) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
        """The names of the classes, sorted as those of class folders are, and the labels as indices into them."""
        if not columns.class_names:
            return class_indices(values, {split: f"the {split} labels" for split in values}, observer)
        names = columns.class_names
        for split, found in values.items():
            wrong = found[(found < 0) | (found >= len(names))]
            if len(wrong):
                raise DataError(
                    f"A label of the {split} images in {self._source} is {wrong[0]}, of {len(names)} classes.",
                    expected=f"0 to {len(names) - 1}",
                )
        for name in names:
            if (problem := problem_with(name)) or names.count(name) > 1:
                raise DataError(
                    f"A class of {self._source}, {name!r}, has a name that {problem or 'another class has, too'}."
                )
        order = sorted(range(len(names)), key=names.__getitem__)
        if order != [*range(len(names))]:
            observer.message(f"The classes are sorted by name: the first is {names[order[0]]}, not {names[0]}")
        place = np.argsort(order)
        return tuple(names[number] for number in order), {split: place[found] for split, found in values.items()}


class FilesInRows:
    """The images in rows of Parquet files; their keys count them through all files."""

    hint = HINT

    def __init__(self, parts: list[ParquetPart], columns: Columns) -> None:
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        self._groups = RowGroups(parts, columns.image, columns.field)

    def open(self, key: int) -> BinaryIO:
        number, row = part_of(self._ends, key)
        with damaged(self._parts[number].path):
            image = self._groups.image(number, row)
        with explained(self.name(key), self.hint):
            if image is None:
                raise ImageError("its bytes are not in the file")
        return io.BytesIO(image)

    def name(self, key: int) -> str:
        number, row = part_of(self._ends, key)
        return f"The picture in row {row} of {self._parts[number].path}"

    def place(self, key: int) -> str:
        number, row = part_of(self._ends, key)
        return f"{self._parts[number].path.name} row {row}"


def _kinds(part: ParquetPart) -> list[Column]:
    return [Column(field.name, kind_of(field.type)) for field in part.schema]


def kind_of(data_type: pyarrow.DataType) -> str:
    types = pyarrow.types
    if types.is_struct(data_type):
        place = data_type.get_field_index("bytes")
        return "image" if place >= 0 and kind_of(data_type.field(place).type) == "binary" else "other"
    if types.is_binary(data_type) or types.is_large_binary(data_type):
        return "binary"
    if types.is_integer(data_type) or types.is_boolean(data_type):
        return "number"
    if types.is_dictionary(data_type):
        return "text" if kind_of(data_type.value_type) == "text" else "other"
    return "text" if types.is_string(data_type) or types.is_large_string(data_type) else "other"


def _labels(part: ParquetPart, column: str) -> np.ndarray:
    """int64 or texts (N,)."""
    values = part.column(column)
    if values.null_count:
        raise DataError(f"{values.null_count} labels in {part.path} are missing.", expected="a label for each image")
    with damaged(part.path):
        if kind_of(values.type) == "number":
            return pyarrow.compute.cast(values, pyarrow.int64()).to_numpy()
        return np.array(values.to_pylist(), str)
