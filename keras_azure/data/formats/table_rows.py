"""The rows of a table, one after the other: of CSV and its relatives, of lines of JSON, of Parquet.

Nothing is held but the row at hand: a table may have millions. Messages count rows from 1, below the names of columns.
"""

import codecs
import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from keras_azure.errors import DataError, UnreadableFile
from keras_azure.lazy import lazy

DELIMITED = (".csv", ".tsv")
LINES_OF_JSON = ".jsonl"
PARQUET = ".parquet"
_DELIMITERS = ",;\t|"
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_LINE_OF_EXCEL = re.compile(r"sep=([,;\t|])\s*", re.IGNORECASE)
_LONGEST_LINE = 1 << 22  # characters


@dataclass(frozen=True)
class Rows:
    """A table.

    Attributes:
        source: what messages call it: "table /a/labels.csv".
        columns: their names.
        is_typed: whether values are numbers, lists and texts; else all are texts, whatever they mean.
        of: the values of some columns, row by row.
    """

    source: str
    columns: tuple[str, ...]
    is_typed: bool
    of: Callable[[Sequence[str]], Iterator[Sequence[Any]]]


def open_table(path: Path) -> Rows:
    """
    Raises:
        DataError: there is no table in the file. Whoever goes through the rows may meet it, too.
    """
    if path.suffix.casefold() == PARQUET:
        rows: Rows = lazy("keras_azure.data.parquet_table:rows_of")(path)
        return rows
    return _rows_of_json(path) if path.suffix.casefold() == LINES_OF_JSON else _delimited_rows(path)


def source_of(path: Path) -> str:
    return f"table {path}"


def first_lines(path: Path) -> tuple[tuple[str, ...], list[str]]:
    """The names of columns of delimited text and the values of its first row, which need not be as many.

    Raises:
        DataError: it cannot be read.
    """
    fields = _Delimited(path).fields()
    return tuple(next(fields, [])), next(fields, [])


class _Delimited:
    """Delimited text: the delimiter is what its first line has most of, or what a line of Excel's says."""

    def __init__(self, path: Path) -> None:
        self.source = source_of(path)
        self._path = path
        with _opened(path, self.source) as file:
            lines = _lines(file, self.source)
            first = next(lines, "")
            named = _LINE_OF_EXCEL.fullmatch(first)
            bare = _QUOTED.sub("", first)
        self._begins_with_delimiter = named is not None
        self.delimiter = named[1] if named else max(_DELIMITERS, key=bare.count)

    def fields(self) -> Iterator[list[str]]:
        """The values in each line, the names of columns first."""
        with _opened(self._path, self.source) as file:
            lines = _lines(file, self.source)
            if self._begins_with_delimiter:
                next(lines)
            try:
                yield from csv.reader(
                    lines, delimiter=self.delimiter, skipinitialspace=self.delimiter != "\t", strict=True
                )
            except csv.Error as error:
                raise DataError(
                    f"The {self.source} cannot be read: {error}.",
                    expected='values with quotes in them in quotes, and those twice: "a ""quoted"" word"',
                ) from error


def _delimited_rows(path: Path) -> Rows:
    text = _Delimited(path)
    columns = tuple(name.strip() for name in next(text.fields(), []))
    if not any(columns):
        raise DataError(f"The {text.source} is empty.", expected="a first line with the names of the columns")

    def values_of(chosen: Sequence[str]) -> Iterator[list[str]]:
        places = [columns.index(name) for name in chosen]
        found = text.fields()
        next(found, None)
        row = 0
        for fields in found:
            if any(map(str.strip, fields)):  # else a line without anything in it
                row += 1
                _check_row(row, fields, columns, text)
                yield [fields[place] for place in places]

    return Rows(text.source, columns, False, values_of)


def _check_row(row: int, fields: Sequence[str], columns: Sequence[str], text: _Delimited) -> None:
    """Refuses a row that has not one value for each column."""
    if len(fields) != len(columns):
        shown = "tab" if text.delimiter == "\t" else text.delimiter
        raise DataError(
            f"Row {row} of the {text.source} has {len(fields)} values, and there are {len(columns)} columns.",
            expected="the same number in each row",
            hint=f'a value with the delimiter ({shown}) in it stands in quotes: "a{shown}b"',
        )


def _rows_of_json(path: Path) -> Rows:
    source = source_of(path)

    def rows() -> Iterator[dict[str, Any]]:
        with _opened(path, source) as file:
            for row, line in enumerate(filter(str.strip, _lines(file, source)), start=1):
                try:
                    values = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"Row {row} of the {source} is not JSON: {error}.") from None
                if not isinstance(values, dict):
                    raise DataError(
                        f"Row {row} of the {source} is no JSON object.",
                        expected='one in each line, such as {"file": "1.png", "label": "cat"}',
                    )
                yield values

    def values_of(chosen: Sequence[str]) -> Iterator[list[Any]]:
        return ([values.get(name) for name in chosen] for values in rows())

    columns = tuple(next(rows(), {}))
    if not columns:
        raise DataError(f"The {source} is empty.", expected='lines such as {"file": "1.png", "label": "cat"}')
    return Rows(source, columns, True, values_of)


def _opened(path: Path, source: str) -> TextIO:
    try:
        if not path.is_file():
            raise DataError(f"The {source} is no ordinary file.")
        with path.open("rb") as file:
            start = file.read(4)
        encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")
        return path.open(encoding=encoding, newline="")
    except OSError as error:
        raise UnreadableFile(f"The {source} cannot be read: {str(error.strerror).lower()}.") from error


def _lines(file: TextIO, source: str) -> Iterator[str]:
    try:
        while line := file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                raise DataError(f"The {source} has a line of more than {_LONGEST_LINE} characters.")
            yield line
    except UnicodeError as error:
        raise DataError(
            f"The {source} is not UTF-8 text.", expected="UTF-8, or UTF-16 with a mark at its beginning"
        ) from error
    except OSError as error:
        raise UnreadableFile(f"The {source} cannot be read: {str(error.strerror).lower()}.") from error
