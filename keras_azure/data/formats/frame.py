"""The data set `table` of a DataFrame that is given in Python: of pandas, polars, or what looks like one of them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from keras_azure.data.formats.options import Reading
from keras_azure.data.formats.table_columns import Meaning
from keras_azure.data.formats.table_rows import Rows
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer


class Frame(Protocol):
    """A DataFrame: its columns have names, and are gone through by them."""

    @property
    def columns(self) -> Iterable[Any]: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    def __getitem__(self, name: Any) -> Iterable[Any]: ...


def is_frame(value: Any) -> bool:
    """Whether a value is a DataFrame; arrays have no columns, and models no shape."""
    return all(hasattr(value, name) for name in ("columns", "shape", "dtypes", "__getitem__"))


class FrameTable(OpenedLater):
    """A table of images and their labels in a DataFrame. The options are those of the data set `table`.

    Args:
        image_folder: the folder that paths are within. By default the current one.
    """

    frame: Frame

    def __init__(
        self,
        *,
        task: Literal["auto", "classify", "multilabel", "regress"] = "auto",
        image_column: str | None = None,
        label_column: tuple[str, ...] = (),
        split_column: str | None = None,
        image_folder: str | None = None,
        label_separator: str = "",
        group_column: str | None = None,
        weight_column: str | None = None,
        image_size: tuple[int, int] | None = None,
        channels: int | None = None,
        test_split: float = 0.2,
        skip_unreadable: bool = False,
        bit_depth: int = 16,
        labels: bool = True,
    ) -> None:
        super().__init__(
            "keras_azure.data.table:TableDataset",
            table=_rows_of(self.frame),
            folder=Path(image_folder or "").expanduser(),
            meaning=Meaning(
                task,
                image_column,
                label_column,
                split_column,
                label_separator,
                group_column,
                weight_column,
                needs_labels=labels,
            ),
            reading=Reading(image_size, channels, test_split, skip_unreadable, bit_depth),
        )

    def files(self, observer: Observer) -> list[Path]:
        return []


def table_of(frame: Frame) -> type[FrameTable]:
    """The data set of a DataFrame, as something that takes its options."""
    return type("FrameTable", (FrameTable,), {"frame": frame, "__doc__": FrameTable.__doc__})


def _rows_of(frame: Frame) -> Rows:
    names = {str(name): name for name in frame.columns}

    def values_of(chosen: Sequence[str]) -> Iterator[Sequence[Any]]:
        return zip(*(frame[names[name]] for name in chosen), strict=True)

    return Rows("DataFrame", tuple(map(str, frame.columns)), True, values_of)
