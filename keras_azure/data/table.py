"""The reader of the data set `table`: the images that a table names, with the labels that it has for them."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from keras_azure.data.encoded import EncodedDataset
from keras_azure.data.folder import FilesBelow
from keras_azure.data.formats.layout import UNLABELLED, some_of
from keras_azure.data.formats.options import SPLITS, Reading
from keras_azure.data.formats.split_names import said_of_splits, usual_split
from keras_azure.data.formats.table_columns import Meaning, TableColumns, choose_columns
from keras_azure.data.formats.table_places import Places, left_out, missing_files, name_in
from keras_azure.data.formats.table_rows import Rows, open_table, source_of
from keras_azure.data.formats.texts import Texts
from keras_azure.data.labelled import Key, Labelled
from keras_azure.data.memory import require_memory
from keras_azure.data.table_cells import Cells, plain
from keras_azure.data.table_labels import RowLabels, codes_in, labels_of, numbers_in
from keras_azure.data.threads import map_in_threads
from keras_azure.description.events import Observer
from keras_azure.errors import DataError

_THREADS = 16  # more than processors: data may lie on a network drive
_NOTE_EVERY = 1 << 16  # rows
_ROOM = 64 << 20  # bytes that so many rows may take
_BYTES_OF_ORDER = 250  # a row, while rows are sorted


class TableDataset(EncodedDataset):
    """Images that a table names; ready to use after `prepare`."""

    def __init__(self, table: Path | Rows, folder: Path, meaning: Meaning, reading: Reading) -> None:
        super().__init__(table.source if isinstance(table, Rows) else source_of(table), reading)
        self._table = table
        self._folder = folder.absolute()
        self._meaning = meaning

    def find(self, observer: Observer) -> tuple["FilesOfTable", "FoundInTable"]:
        rows = self._table if isinstance(self._table, Rows) else open_table(self._table)
        source = rows.source
        columns = choose_columns(rows, self._meaning)
        read = _read(rows, columns, observer)
        count = len(read[columns.image].texts)
        labels = _labels(read, columns, self._meaning, count, source)
        observer.message(f"The {source} has {_in_words(columns, labels)}")
        splits = _splits(read[columns.split], source) if columns.split else None
        groups = codes_in(read[columns.group], source)[1] if columns.group else None
        weights = _weights(read[columns.weight], source) if columns.weight else None
        names = read[columns.image].texts
        del read
        places, present, notes = self._places(names, source, observer)
        of_rows = {"labels": labels.values, "splits": splits, "groups": groups, "weights": weights}
        kept = {name: None if values is None else values[present] for name, values in of_rows.items()}
        files, order, again = _once(places, kept, source)
        if again:
            notes += (f"{again} rows say of a file what another row says of it, and count once.",)
        in_order = {name: None if values is None else values[order] for name, values in kept.items()}
        found = FoundInTable(labels, in_order, source, notes, is_labelled=bool(columns.labels))
        return FilesOfTable(self._folder, files), found

    def column(self, split: str, name: str) -> list[str]:
        """What a column has for each image of a split, as texts.

        Raises:
            DataError: there is no such column, or two rows of one file differ in it.
        """
        rows = self._table if isinstance(self._table, Rows) else open_table(self._table)
        if (count := rows.columns.count(name)) != 1:
            raise DataError(
                f"The {rows.source} has {f'{count} columns' if count else 'no column'} {name!r}.",
                expected=f"one of {some_of([*map(repr, rows.columns)], most=6)}",
            )
        image = choose_columns(rows, self._meaning).image
        places, found = Places(self._folder, rows.source), dict[str, str]()
        for row, (file, value) in enumerate(rows.of((image, name)), start=1):
            place = places.find(name_in(plain(file), row, rows.source))
            text = "" if (known := plain(value)) is None else str(known)
            if place is not None and found.setdefault(place, text) != text:
                raise DataError(
                    f"Two rows of the {rows.source} have other values of {name!r} for one file, {place}.",
                    expected="one for each file",
                )
        return [found[self._files.place(key)] for key in self._splits[split][0]]

    def _places(self, names: Texts, source: str, observer: Observer) -> tuple[Texts, np.ndarray, tuple[str, ...]]:
        """The places of the files that are there, the rows that have them, and a line on the others.

        Raises:
            DataError: files are missing.
        """
        places, found, missing, total = Places(self._folder, source), Texts(), 0, len(names)
        present, shown = np.zeros(total, bool), []
        for index, place in enumerate(map_in_threads(places.find, names, _THREADS)):
            if place is not None:
                found.append(place)
                present[index] = True
            else:
                missing += 1
                shown += [names[index]] if missing <= 10 else []
            if index % _NOTE_EVERY == 0:
                require_memory(_ROOM, f"The {source}")
                observer.advance("Looking for files", index, total)
        if missing and not (self._reading.skip_unreadable and len(found)):
            raise missing_files(shown, missing, total, places, source)
        return found, present, (left_out(shown, missing, total),) if missing else ()


class FilesOfTable(FilesBelow):
    """Files below a folder, by their numbers."""

    def __init__(self, root: Path, places: Texts) -> None:
        super().__init__(root)
        self._places = places

    def open(self, key: Any) -> Any:
        return super().open(self._places[key])

    def name(self, key: Any) -> str:
        return super().name(self._places[key])

    def place(self, key: Any) -> str:
        return self._places[key]


class FoundInTable:
    """The images of a table; a key counts the files, which are sorted as those of a folder are.

    Args:
        columns: the values of each file in "labels", "splits", "groups" and "weights"; None for what the table has not.
    """

    def __init__(
        self,
        labels: RowLabels,
        columns: dict[str, Any],
        source: str,
        notes: tuple[str, ...],
        *,
        is_labelled: bool,
    ) -> None:
        self._labels = labels
        self._columns = columns
        self._source = source
        self._is_labelled = is_labelled
        self.keys = np.arange(len(columns["labels"]))
        self.notes = notes

    def without(self, left_out: Set[Key]) -> Labelled:
        kept = ~np.isin(self.keys, [*left_out])
        number = self._columns["splits"]
        of_split = {
            split: self.keys[kept & (number == place)] if number is not None else self.keys[kept]
            for place, split in enumerate(SPLITS)
            if number is not None or split == "train"
        }
        of_split = {split: keys for split, keys in of_split.items() if len(keys)}
        if "train" not in of_split:
            raise DataError(
                f"There are no images to train on in the {self._source}.", expected="a row of the split train"
            )
        names, labels = self._labelled(of_split)
        return Labelled(
            names,
            {split: (keys, labels[split]) for split, keys in of_split.items()},
            self._notes(names, labels),
            "; ".join(said_of_splits(of_split)),
            self._is_labelled,
            self._labels.task,
            self._column("groups", of_split),
            self._column("weights", of_split),
        )

    def _labelled(self, of_split: dict[str, np.ndarray]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
        """The names and the labels; of classes those alone that are trained."""
        names, values = self._labels.names, self._columns["labels"]
        labels = {split: values[keys] for split, keys in of_split.items()}
        if self._labels.task != "classify" or not self._is_labelled:
            return names, labels
        trained = np.unique(labels["train"])
        if len(trained) < 2:
            raise DataError(
                f"There are training images of {len(trained)} class in the {self._source}, {names[trained[0]]!r}.",
                expected="two classes or more",
            )
        for split, found in labels.items():
            unknown = np.setdiff1d(found, trained)
            if len(unknown):
                raise DataError(
                    f"The {split} images of the {self._source} are of the class {names[unknown[0]]!r}, and no training "
                    "image is.",
                    expected="the same classes in all splits",
                )
        found = {split: np.searchsorted(trained, of) for split, of in labels.items()}
        return tuple(names[label] for label in trained), found

    def _notes(self, names: Sequence[str], labels: dict[str, np.ndarray]) -> tuple[str, ...]:
        if self._labels.task == "regress" or not self._is_labelled:
            return ()
        notes = []
        for split, found in labels.items():
            has = np.atleast_1d(found.any(axis=0)) if found.ndim == 2 else np.isin(np.arange(len(names)), found)
            lacking = [name for name, is_there in zip(names, has, strict=True) if not is_there]
            if lacking:
                notes.append(f"There are no {_IN_WORDS[split]} images of {some_of(lacking)}.")
        return tuple(notes)

    def _column(self, name: str, of_split: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        values = self._columns[name]
        return {} if values is None else {split: values[keys] for split, keys in of_split.items()}


_IN_WORDS = {"train": "training", "validation": "validation", "test": "test"}


def _read(rows: Rows, columns: TableColumns, observer: Observer) -> dict[str, Cells]:
    """The columns that are used.

    Raises:
        DataError: there are no rows, a row names no file, or there is no memory for them.
    """
    read = {name: Cells(name) for name in columns.used}
    images, others = read[columns.image], [read[name] for name in columns.used[1:]]
    row = 0
    for row, (image, *values) in enumerate(rows.of(columns.used), start=1):
        images.texts.append(name_in(plain(image), row, rows.source))
        for cells, value in zip(others, values, strict=True):
            cells.append(value)
        if row % _NOTE_EVERY == 0:
            require_memory(_ROOM, f"The {rows.source}, of which {row} rows are read,")
            observer.advance(f"Reading the {rows.source}", row, row)
    if not row:
        raise DataError(f"The {rows.source} has no rows.", expected="one for each image")
    return read


def _labels(read: dict[str, Cells], columns: TableColumns, meaning: Meaning, count: int, source: str) -> RowLabels:
    if not columns.labels:
        return RowLabels("classify", (UNLABELLED,), np.zeros(count, np.int64), "no labels")
    return labels_of([read[name] for name in columns.labels], meaning, source)


def _in_words(columns: TableColumns, labels: RowLabels) -> str:
    said = [f"files in column {columns.image!r}", labels.said]
    others = {"splits": columns.split, "groups": columns.group, "weights": columns.weight}
    said += [f"{what} in {name!r}" for what, name in others.items() if name is not None]
    return ", ".join(said)


def _splits(cells: Cells, source: str) -> np.ndarray:
    """uint8 (rows,), places in SPLITS.

    Raises:
        DataError: a row is of no split.
    """
    names, codes = codes_in(cells, source)
    found = [usual_split(name) for name in names]
    for code, (name, split) in enumerate(zip(names, found, strict=True)):
        if split is None:
            raise DataError(
                f"Row {np.argmax(codes == code) + 1} of the {source} is of the split {name[:40]!r}.",
                expected="train, validation or test, or what they are usually called",
                hint="--split-column none, if the column says something else",
            )
    return np.array([SPLITS.index(split) for split in found if split], np.uint8)[codes]


def _weights(cells: Cells, source: str) -> np.ndarray:
    """float32 (rows,)."""
    weights = numbers_in(cells, source)
    wrong = np.flatnonzero((weights < 0) | (weights > np.finfo(np.float32).max))
    if len(wrong):
        raise DataError(
            f"Row {wrong[0] + 1} of the {source} has the weight {weights[wrong[0]]:g}.",
            expected="a number that is not below 0",
        )
    return weights.astype(np.float32)


def _once(places: Texts, columns: dict[str, np.ndarray | None], source: str) -> tuple[Texts, np.ndarray, int]:
    """Each file once, sorted; the row of each; and how many rows are left out as they say the same.

    Raises:
        DataError: two rows say different things of a file.
    """
    require_memory(len(places) * _BYTES_OF_ORDER, f"The {source}")
    order = sorted(range(len(places)), key=places.encoded)
    files, kept = Texts(), np.empty(len(order), np.int64)
    for row in order:
        place = places[row]
        if len(files) and place == files[len(files) - 1]:
            other = kept[len(files) - 1]
            for what, values in columns.items():
                if values is not None and not np.array_equal(values[row], values[other]):
                    raise DataError(
                        f"Two rows of the {source} have other {what} for one file, {place}.",
                        expected="one row for each file",
                        hint="with several labels an image, one row has them all: cat;dog and --label-separator ';'",
                    )
            continue
        kept[len(files)] = row
        files.append(place)
    return files, kept[: len(files)], len(order) - len(files)
