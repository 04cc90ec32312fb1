"""Tables in Parquet files: see formats/table_rows.py."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow

from keras_azure.data.formats.table_rows import Rows, source_of
from keras_azure.data.parquet import kind_of
from keras_azure.data.row_groups import ParquetPart


def rows_of(path: Path) -> Rows:
    part = ParquetPart(path)

    def values_of(chosen: Sequence[str]) -> Iterator[Sequence[Any]]:
        for batch in part.batches(chosen):
            yield from zip(*(_values(column) for column in batch.columns), strict=True)

    return Rows(source_of(path), tuple(field.name for field in part.schema), True, values_of)


def kinds_of(path: Path) -> dict[str, str]:
    """What each column has, in the words of `formats.parquet.Column`."""
    return {field.name: kind_of(field.type) for field in ParquetPart(path).schema}


def _values(column: pyarrow.Array) -> list[Any]:
    try:
        return column.to_pylist()
    except (ValueError, ArithmeticError, UnicodeDecodeError):  # dates that Python has not, texts that are none
        return [object()] * len(column)
