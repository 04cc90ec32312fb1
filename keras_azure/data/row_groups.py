"""Row groups of Parquet files, in which images are found by their numbers; few are in memory at a time."""

import bisect
import contextlib
import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from keras_azure.data.formats.members import state_of
from keras_azure.data.formats.parquet import refusal
from keras_azure.data.memory import require_memory
from keras_azure.errors import DataError

_MOST_BYTES = 256 << 20  # of row groups that are kept, beyond the newest two
_ROWS_AT_ONCE = 1 << 13
_TEXT_LIMIT, _CONTAINER_LIMIT = 100 << 20, 1 << 20  # of what a file's own description may make a reader hold


class ParquetPart:
    """One file, opened to be read by row groups."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with damaged(path):
            with path.open("rb") as file:
                self._state = state_of(file)
            self._metadata = self._open().metadata
            self.schema = self._open().schema_arrow
        counts = [self._metadata.row_group(number).num_rows for number in range(self._metadata.num_row_groups)]
        self._starts = [0, *itertools.accumulate(counts)]

    def __len__(self) -> int:
        return int(self._starts[-1])

    def column(self, name: str) -> pyarrow.ChunkedArray:
        """A whole column of small values."""
        with damaged(self.path):
            self._require_memory(name, range(self._metadata.num_row_groups))
            return self._open().read(columns=[name]).column(name)

    def batches(self, names: Sequence[str]) -> Iterator[pyarrow.RecordBatch]:
        """Some columns of small values, of some thousand rows at a time, each in the order of `names`."""
        with damaged(self.path):
            for number in range(self._metadata.num_row_groups):
                for name in names:
                    self._require_memory(name, [number])
            for batch in self._open().iter_batches(batch_size=_ROWS_AT_ONCE, columns=[*names]):
                yield batch.select([*names])

    def group_of(self, row: int) -> tuple[int, int]:
        """The row group that a row is in, and the row's place there."""
        group = bisect.bisect_right(self._starts, row) - 1
        return group, row - self._starts[group]

    def read_group(self, group: int, column: str, field: str) -> pyarrow.Array:
        """The bytes in a column, or in a field of it, of a row group; in one piece."""
        path = f"{column}.{field}" if field else column
        with damaged(self.path):
            with self.path.open("rb") as file:
                if state_of(file) != self._state:
                    raise refusal(self.path, "it has changed since the run began")
            self._require_memory(path, [group])
            values = _in_one(self._open().read_row_group(group, columns=[path]).column(column))
            if field:
                values = _field_of(values, field)
            if not (pyarrow.types.is_binary(values.type) or pyarrow.types.is_large_binary(values.type)):
                raise refusal(self.path, f"its column {path} has no bytes")
        if len(values) != self._starts[group + 1] - self._starts[group]:
            raise refusal(self.path, f"its row group {group} has {len(values)} rows of {column}")
        return values

    def _open(self) -> Any:
        """Anew each time: what reads a file is not made for several threads."""
        return pyarrow.parquet.ParquetFile(
            self.path,
            metadata=getattr(self, "_metadata", None),
            thrift_string_size_limit=_TEXT_LIMIT,
            thrift_container_size_limit=_CONTAINER_LIMIT,
        )

    def _require_memory(self, column: str, groups: Any) -> None:
        """A file may say that it unpacks to anything."""
        needed = 0
        for number in groups:
            group = self._metadata.row_group(number)
            chunks = (group.column(place) for place in range(group.num_columns))
            needed += sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == column)
        if needed < 0:
            raise refusal(self.path, "its sizes are less than nothing")
        require_memory(needed, f"A row group of {self.path}")


class RowGroups:
    """The images of some files, by file and row; threads may ask at the same time."""

    def __init__(self, parts: list[ParquetPart], column: str, field: str) -> None:
        self._parts = parts
        self._column, self._field = column, field
        self._kept: OrderedDict[tuple[int, int], pyarrow.Array] = OrderedDict()
        self._lock = threading.Lock()
        self._reading: dict[tuple[int, int], threading.Lock] = {}

    def image(self, part: int, row: int) -> bytes | None:
        """The bytes of an image; None where the file has none.

        Raises:
            DataError: the file is damaged.
        """
        group, place = self._parts[part].group_of(row)
        value = self._group(part, group)[place]
        return None if not value.is_valid else value.as_py()

    def _group(self, part: int, group: int) -> pyarrow.Array:
        key = (part, group)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            reading = self._reading.setdefault(key, threading.Lock())
        with reading:  # several threads need a group at once, and one reads it
            with self._lock:
                if key in self._kept:
                    return self._kept[key]
            values = self._parts[part].read_group(group, self._column, self._field)
            with self._lock:
                self._kept[key] = values
                self._reading.pop(key, None)
                while len(self._kept) > 2 and sum(each.nbytes for each in self._kept.values()) > _MOST_BYTES:
                    self._kept.popitem(last=False)
        return values


def _in_one(column: pyarrow.ChunkedArray) -> pyarrow.Array:
    return column.chunk(0) if column.num_chunks == 1 else pyarrow.concat_arrays(column.chunks)


def _field_of(values: pyarrow.Array, field: str) -> pyarrow.Array:
    """A field of structs: it may have values where there is no struct."""
    inner = values.field(field)
    return pyarrow.compute.if_else(values.is_valid(), inner, None) if values.null_count else inner


@contextlib.contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Turns whatever goes wrong with a file within into one error that names it.

    Raises:
        UnreadableFile: something went wrong.
    """
    try:
        yield
    except DataError:
        raise
    except MemoryError as error:
        raise refusal(path, "there is not enough memory for it") from error
    except Exception as error:  # pyarrow raises errors of many kinds, of the file system's too
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise refusal(path, reason[:200].rstrip(".")) from error
