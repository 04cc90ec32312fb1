"""What the columns of labels of a table say: a class, several labels, or numbers, for each row."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from keras_azure.data.formats.class_names import problem_with
from keras_azure.data.formats.table_columns import Meaning
from keras_azure.data.memory import require_memory
from keras_azure.data.table_cells import LISTS, MISSING, NUMBER, NUMBERS, OTHER, TEXT, TEXTS, WHOLE, WHOLES, Cells
from keras_azure.errors import DataError

_USUAL_SEPARATORS = ";|,"
_BITS = {"0", "1", "0.0", "1.0"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)


@dataclass(frozen=True)
class RowLabels:
    """The labels of all rows.

    Attributes:
        task: what they are for.
        names: of the classes, the labels or the numbers.
        values: int64 (rows,), uint8 (rows, labels) or float32 (rows, numbers).
        said: how they were understood, as the end of "files in column 'file', ...".
    """

    task: Literal["classify", "multilabel", "regress"]
    names: tuple[str, ...]
    values: np.ndarray
    said: str


def labels_of(columns: Sequence[Cells], meaning: Meaning, source: str) -> RowLabels:
    """
    Raises:
        DataError: a row has no label, or the labels are of several kinds, or not for the task that was asked for.
    """
    for cells in columns:
        if OTHER in cells.first:
            raise DataError(
                f"Row {cells.first[OTHER]} of the {source} has no label that can be read in column {cells.name!r}.",
                expected="a text, a number, or a list of texts or of numbers",
            )
    if len(columns) > 1:
        return _of_columns(columns, meaning, source)
    (cells,) = columns
    if set(LISTS) & cells.first.keys():
        return _of_lists(cells, meaning, source)
    if meaning.label_separator:
        return _of_separated(cells, meaning.label_separator, meaning, source)
    return _of_column(cells, meaning, source)


def numbers_in(cells: Cells, source: str) -> np.ndarray:
    """float64 (rows,), all finite.

    Raises:
        DataError: a cell is no number.
    """
    _require_all(cells, source)
    require_memory(len(cells.texts) * 8, f"The column {cells.name!r} of the {source}")
    found = np.empty(len(cells.texts), np.float64)
    for index, text in enumerate(cells.texts):
        if not _is_number(text):
            hint = "write 0.5, not 0,5" if _DECIMAL_COMMA.fullmatch(text) else ""
            raise DataError(
                f"Row {index + 1} of the {source} has {text[:40]!r} in column {cells.name!r}.",
                expected="a finite number",
                hint=hint,
            )
        found[index] = float(text)
    return found


def codes_in(cells: Cells, source: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The values of a column, sorted, and for each row its place among them, int64 (rows,). What all look like whole
    numbers are sorted by number.

    Raises:
        DataError: a cell is empty.
    """
    _require_all(cells, source)
    require_memory(len(cells.texts) * 16, f"The column {cells.name!r} of the {source}")
    number: dict[str, int] = {}
    codes = np.empty(len(cells.texts), np.int64)
    for index, text in enumerate(cells.texts):
        codes[index] = number.setdefault(text, len(number))
    return _sorted(number, codes)


def _sorted(number: dict[str, int], codes: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    are_whole = all(map(_WHOLE.fullmatch, number))
    names = tuple(sorted(number, key=int)) if are_whole else tuple(sorted(number))
    place = np.empty(len(names), np.int64)
    for index, name in enumerate(names):
        place[number[name]] = index
    return names, place[codes]


def _of_column(cells: Cells, meaning: Meaning, source: str) -> RowLabels:
    task = meaning.task
    if task == "multilabel":
        values = {*_distinct(cells)}
        if values - {""} <= _BITS:
            return RowLabels(
                "multilabel", (cells.name,), _zeros_and_ones([cells], source), f"a label in {cells.name!r}"
            )
        separator = next((each for each in _USUAL_SEPARATORS if any(each in value for value in values)), "")
        return _of_separated(cells, separator, meaning, source)
    if task == "auto":
        task = _task_of(cells, source)
    if task == "regress":
        return _numbers_of([cells], f"a number in {cells.name!r}", source)
    names, codes = codes_in(_of_whole_floats(cells), source)
    _check_names(names, source)
    return RowLabels("classify", names, codes, f"a class in {cells.name!r}")


def _task_of(cells: Cells, source: str) -> Literal["classify", "regress"]:
    """What the cells of a column say: numbers that are not whole are numbers, all else are classes."""
    kinds = cells.first
    if TEXT in kinds and (WHOLE in kinds or NUMBER in kinds):
        other = WHOLE if WHOLE in kinds else NUMBER
        raise _mixed(cells, (TEXT, kinds[TEXT]), (other, kinds[other]), source)
    fraction = text_row = 0
    for row, text in enumerate(cells.texts, start=1):
        if not text:
            continue
        if not _is_number(text):
            if _DECIMAL_COMMA.fullmatch(text):
                raise DataError(
                    f"Row {row} of the {source} has {text!r} in column {cells.name!r}, a number with a comma, or a "
                    "class.",
                    expected="numbers such as 0.5",
                    hint="--task classify, if these are classes",
                )
            text_row = text_row or row
        elif not fraction and not float(text).is_integer():
            fraction = row
        if fraction and text_row:
            raise _mixed(cells, (TEXT, text_row), (NUMBER, fraction), source)
    return "regress" if fraction else "classify"


def _mixed(cells: Cells, one: tuple[str, int], other: tuple[str, int], source: str) -> DataError:
    return DataError(
        f"The column {cells.name!r} of the {source} has {one[0]} in row {one[1]}, and {other[0]} in row {other[1]}.",
        expected="labels of one kind",
        hint="--task classify, if all are classes",
    )


def _of_separated(cells: Cells, separator: str, meaning: Meaning, source: str) -> RowLabels:
    if meaning.task not in ("auto", "multilabel"):
        raise DataError(
            f"The labels in column {cells.name!r} of the {source} have a separator, {separator!r}, and are for "
            f"several labels an image, not for {meaning.task}.",
            hint="--task multilabel, or no --label-separator",
        )
    said = f"labels in {cells.name!r}" + (f", separated by {separator!r}" if separator else "")

    def parts(index: int) -> list[str]:
        text = cells.texts[index]
        found = text.split(separator) if separator else [text]
        return [part.strip() for part in found if part.strip()]

    return _indicators(parts, len(cells.texts), said, source)


def _of_lists(cells: Cells, meaning: Meaning, source: str) -> RowLabels:
    kinds = cells.first
    scalars = [kind for kind in (TEXT, WHOLE, NUMBER) if kind in kinds]
    lists = [kind for kind in LISTS if kind in kinds]
    if scalars:
        raise _mixed(cells, (scalars[0], kinds[scalars[0]]), (lists[0], kinds[lists[0]]), source)
    if TEXTS in kinds and (WHOLES in kinds or NUMBERS in kinds):
        other = WHOLES if WHOLES in kinds else NUMBERS
        raise _mixed(cells, (TEXTS, kinds[TEXTS]), (other, kinds[other]), source)
    task = meaning.task if meaning.task != "auto" else "regress" if NUMBERS in kinds else "multilabel"
    if task == "classify" or (task == "regress" and TEXTS in kinds) or (task == "multilabel" and NUMBERS in kinds):
        raise DataError(
            f"The column {cells.name!r} of the {source} has {lists[0]}, which are not for {task}.",
            expected="a text or a whole number for classify, lists of texts for multilabel, of numbers for regress",
        )
    count = len(cells.texts)
    lengths = Counter(len(cells.parts(index)) for index in range(count))
    if task == "regress":
        _require_all(cells, source)
        if len(lengths) > 1 or 0 in lengths:
            raise DataError(
                f"The lists in column {cells.name!r} of the {source} have {min(lengths)} to {max(lengths)} numbers.",
                expected="the same number in each row",
            )
        numbers = _vectors(cells, max(lengths), np.float32, source)
        names = _numbered(cells.name, numbers.shape[1])
        return RowLabels("regress", names, _finite(numbers, source), f"{numbers.shape[1]} numbers in {cells.name!r}")
    if TEXTS not in kinds and _are_vectors(cells, lengths):
        vectors = _vectors(cells, max(lengths), np.uint8, source)
        said = f"0 or 1 for each label in {cells.name!r}"
        return RowLabels("multilabel", _numbered(cells.name, vectors.shape[1]), vectors, said)
    return _indicators(cells.parts, count, f"labels in {cells.name!r}", source)


def _are_vectors(cells: Cells, lengths: Counter[int]) -> bool:
    """Whether lists of 0 and 1 are not the names of labels, of which each would be there once."""
    if len(lengths) > 1:
        return False
    twice = False
    for index in range(len(cells.texts)):
        parts = cells.parts(index)
        if not {*parts} <= {"0", "1"}:
            return False
        twice = twice or len({*parts}) < len(parts)
    return twice


def _vectors(cells: Cells, length: int, kind: type[np.generic], source: str) -> np.ndarray:
    """Lists of numbers, all of one length, as an array (rows, length)."""
    count = len(cells.texts)
    require_memory(count * length * np.dtype(kind).itemsize, f"The labels of the {source}")
    found = np.empty((count, length), kind)
    with np.errstate(over="ignore"):  # what is too large is told of then
        for index in range(count):
            found[index] = [float(part) for part in cells.parts(index)]
    return found


def _of_columns(columns: Sequence[Cells], meaning: Meaning, source: str) -> RowLabels:
    names = tuple(cells.name for cells in columns)
    shown = ", ".join(map(repr, names[:6])) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    if meaning.label_separator or any(set(LISTS) & cells.first.keys() for cells in columns):
        raise DataError(
            f"The labels of the {source} are in several columns, {shown}, which cannot have several each.",
            expected="one column of lists, or several of numbers",
        )
    for cells in columns:
        _require_all(cells, source)
    are_bits = all(text in _BITS for cells in columns for text in cells.texts)
    if meaning.task == "regress" or (meaning.task == "auto" and not are_bits):
        return _numbers_of(columns, f"numbers in {shown}", source)
    vectors = _zeros_and_ones(columns, source)
    if meaning.task != "classify":
        return RowLabels("multilabel", names, vectors, f"0 or 1 for each label in {shown}")
    wrong = np.flatnonzero(vectors.sum(axis=1) != 1)
    if len(wrong):
        raise DataError(
            f"Row {wrong[0] + 1} of the {source} has {vectors[wrong[0]].sum()} classes, in the columns {shown}.",
            expected="one 1 in each row, and else 0",
            hint="--task multilabel",
        )
    return RowLabels("classify", names, vectors.argmax(axis=1), f"1 for the class of {shown}")


def _numbers_of(columns: Sequence[Cells], said: str, source: str) -> RowLabels:
    count = len(columns[0].texts)
    require_memory(4 * len(columns) * count, f"The labels of the {source}")
    values = np.empty((count, len(columns)), np.float32)
    with np.errstate(over="ignore"):  # what is too large is told of then
        for place, cells in enumerate(columns):
            values[:, place] = numbers_in(cells, source)
    return RowLabels("regress", tuple(cells.name for cells in columns), _finite(values, source), said)


def _zeros_and_ones(columns: Sequence[Cells], source: str) -> np.ndarray:
    """uint8 (rows, columns)."""
    rows = len(columns[0].texts)
    require_memory(rows * len(columns), f"The labels of the {source}")
    found = np.empty((rows, len(columns)), np.uint8)
    for place, cells in enumerate(columns):
        _require_all(cells, source)
        for index, text in enumerate(cells.texts):
            if text not in _BITS:
                raise DataError(
                    f"Row {index + 1} of the {source} has {text[:40]!r} in column {cells.name!r}.",
                    expected="0 or 1 for each label",
                )
            found[index, place] = text[0] == "1"
    return found


def _indicators(parts: Callable[[int], list[str]], count: int, said: str, source: str) -> RowLabels:
    """0 or 1 for each row and label.

    Args:
        parts: the labels of a row.
    """
    found = {part for index in range(count) for part in parts(index)}
    names, _ = _sorted({name: number for number, name in enumerate(found)}, np.zeros(0, np.int64))
    if not names:
        raise DataError(f"No row of the {source} has a label.")
    _check_names(names, source)
    require_memory(count * len(names), f"The labels of the {source}, {len(names)} of them,")
    place = {name: number for number, name in enumerate(names)}
    values = np.zeros((count, len(names)), np.uint8)
    without = 0
    for index in range(count):
        row = parts(index)
        if len({*row}) < len(row):
            raise DataError(f"Row {index + 1} of the {source} has a label twice: {', '.join(row)[:100]}.")
        values[index, [place[part] for part in row]] = 1
        without += not row
    return RowLabels("multilabel", names, values, said + (f" ({without} rows have none)" if without else ""))


def _of_whole_floats(cells: Cells) -> Cells:
    """The same, where 1.0 is the class 1: programs make such numbers of columns in which a value is missing."""
    if NUMBER not in cells.first and not any(text.endswith(".0") for text in _distinct(cells)):
        return cells
    if not all(_is_number(text) and float(text).is_integer() for text in _distinct(cells)):
        return cells
    whole = Cells(cells.name)
    whole.first = cells.first
    for text in cells.texts:
        whole.texts.append(str(int(float(text))))
    return whole


def _distinct(cells: Cells) -> list[str]:
    return [*dict.fromkeys(cells.texts)]


def _require_all(cells: Cells, source: str) -> None:
    if MISSING in cells.first:
        raise DataError(
            f"Row {cells.first[MISSING]} of the {source} has no value in column {cells.name!r}.",
            expected="one in each row",
            hint="leave out such rows, or write what they are",
        )


def _check_names(names: Sequence[str], source: str) -> None:
    for name in names:
        if problem := problem_with(name):
            raise DataError(f"A label in the {source}, {name[:100]!r}, has a name that {problem}.")


def _numbered(name: str, count: int) -> tuple[str, ...]:
    return (name,) if count == 1 else tuple(f"{name}_{number}" for number in range(count))


def _finite(numbers: np.ndarray, source: str) -> np.ndarray:
    wrong = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(wrong):
        raise DataError(
            f"Row {wrong[0] + 1} of the {source} has a number that is too large, or infinite.",
            expected="finite numbers below 3e38",
        )
    return numbers


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
