"""Which column of a table is what: by its name, or as the user says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from keras_azure.data.formats.layout import some_of
from keras_azure.data.formats.table_rows import Rows
from keras_azure.description.commands import command
from keras_azure.errors import DataError

NONE = "none"  # of the option: there is no such column, though one is called so
IMAGE_NAMES = ("file", "filename", "filepath", "path", "image", "imagefile", "imagepath", "imagename", "img", "id")
LABEL_NAMES = ("label", "class", "target", "labels")
_SPLIT_NAMES = ("split",)


@dataclass(frozen=True)
class Meaning:
    """What the user says of a table.

    Attributes:
        needs_labels: False takes no column of labels.
    """

    task: Literal["auto", "classify", "multilabel", "regress"] = "auto"
    image_column: str | None = None
    label_column: tuple[str, ...] = ()
    split_column: str | None = None
    label_separator: str = ""
    group_column: str | None = None
    weight_column: str | None = None
    needs_labels: bool = True


@dataclass(frozen=True)
class TableColumns:
    """Which columns are used."""

    image: str
    labels: tuple[str, ...]
    split: str | None
    group: str | None
    weight: str | None

    @property
    def used(self) -> tuple[str, ...]:
        named = (self.image, *self.labels, self.split, self.group, self.weight)
        return tuple(name for name in named if name is not None)


def choose_columns(rows: Rows, meaning: Meaning) -> TableColumns:
    """
    Raises:
        DataError: a column is not there, or is not there once, or would be two things.
    """
    columns, source = rows.columns, rows.source
    image = meaning.image_column or usual_column(columns, IMAGE_NAMES)
    if image is None:
        raise _missing("files of the images", IMAGE_NAMES, "--image-column", columns, source)
    split = meaning.split_column or usual_column(columns, _SPLIT_NAMES)
    if split == NONE and NONE not in columns:
        split = None
    labels = _label_columns(columns, meaning.label_column) if meaning.needs_labels else ()
    others = {image, split, meaning.group_column, meaning.weight_column}
    if not labels and meaning.needs_labels:
        rest = [name for name in columns if name not in others]
        raise _missing("labels", LABEL_NAMES, "--label-column", rest if rest else columns, source)
    chosen = TableColumns(image, labels, split, meaning.group_column, meaning.weight_column)
    for name in chosen.used:
        if columns.count(name) != 1:
            how_many = "has no column" if name not in columns else f"has {columns.count(name)} columns"
            raise DataError(f"The {source} {how_many} {name!r}.", expected=f"one; its columns are {_shown(columns)}")
        if chosen.used.count(name) > 1:
            raise DataError(
                f"The column {name!r} of the {source} would be two things at once.",
                expected="a column each for files, labels, splits, groups and weights",
                hint=f"its columns are {_shown(columns)}",
            )
    return chosen


def usual_column(columns: Sequence[str], usual: Sequence[str]) -> str | None:
    """The column that is called so, in any case and with any separators; of several names the first one."""
    by_name = {name.casefold(): name for name in reversed(columns)}
    for name in columns:
        by_name.setdefault(re.sub(r"[\W_]+", "", name).casefold(), name)
    return next((by_name[name] for name in usual if name in by_name), None)


def _label_columns(columns: Sequence[str], named: tuple[str, ...]) -> tuple[str, ...]:
    if not named:
        found = usual_column(columns, LABEL_NAMES)
        return () if found is None else (found,)
    if len(named) == 1 and named[0] not in columns:  # as one text: "cat,dog"
        return tuple(part.strip() for part in named[0].split(","))
    return named


def _missing(what: str, usual: Sequence[str], option: str, columns: Sequence[str], source: str) -> DataError:
    example = columns[0] if option == "--image-column" or len(columns) == 1 else ",".join(columns[:20])
    return DataError(
        f"No column of the {source} is called as the {what} are: its columns are {_shown(columns)}.",
        expected=f"one called {', '.join(usual)}, in a first line that names the columns",
        hint=command(option, example) + ("" if option == "--image-column" else ", with those that are meant"),
    )


def _shown(columns: Sequence[str]) -> str:
    return some_of([repr(name[:40]) for name in columns], most=6)
