"""The data set `table`: a table with the names of files of images in one column, and their labels in others."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from keras_azure.data.formats.images import Format, check_image, requirements_of
from keras_azure.data.formats.options import Reading
from keras_azure.data.formats.table_columns import IMAGE_NAMES, Meaning, choose_columns, usual_column
from keras_azure.data.formats.table_places import Places, left_out, missing_files, name_in
from keras_azure.data.formats.table_rows import DELIMITED, LINES_OF_JSON, PARQUET, Rows, first_lines, open_table
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile
from keras_azure.lazy import lazy


class Table(OpenedLater):
    """A table of images and their labels: a .csv, .tsv, .jsonl or .parquet file, whose first column line names them.

    Files are named by paths within the table's folder, or within `image_folder`, with or without their endings. A file
    is one image: rows that say the same of one count once, and rows that do not are refused.

    Args:
        path: the table.
        task: what the labels are; auto: a class where they are texts or whole numbers, labels where they are lists, or
            0 and 1 in several columns, and numbers where they are not whole.
        image_column: the column of files. By default that called file, filename, path, image or id.
        label_column: the column of labels, or several. By default that called label, class, target or labels.
        split_column: the column of splits. By default that called split; "none" for none.
        image_folder: the folder that paths are within. By default the folder of the table.
        label_separator: what stands between labels in a text, such as ";". By default a text is one label.
        group_column: a column of whatever images have in common that must not be in two splits: a patient, a camera.
        weight_column: a column of what images count in the loss.
        image_size: height and width that all pictures are stretched to; by default as in a folder of pictures.
        channels: 1 for gray, 3 for colour. By default 3, and 1 if all pictures are gray.
        test_split: the share to test on, where there is no test split.
        skip_unreadable: leaves out rows whose file is missing, is no picture or is damaged.
        bit_depth: how many bits the levels of pictures of 16 bits a channel use.
        labels: False takes the images alone, for what is trained without labels.
    """

    def __init__(
        self,
        *,
        path: str,
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
        self._table = Path(path)
        self._folder = Path(image_folder) if image_folder else self._table.parent
        self._meaning = Meaning(
            task,
            image_column,
            label_column,
            split_column,
            label_separator,
            group_column,
            weight_column,
            needs_labels=labels,
        )
        self._skip_unreadable = skip_unreadable
        self._formats: set[Format] = set()
        super().__init__(
            "keras_azure.data.table:TableDataset",
            table=self._table,
            folder=self._folder,
            meaning=self._meaning,
            reading=Reading(image_size, channels, test_split, skip_unreadable, bit_depth),
        )

    @staticmethod
    def recognises(path: Path) -> bool:
        if not path.is_file():
            return False
        match path.suffix.casefold():
            case ending if ending in DELIMITED:
                return not _has_numbers_alone(path)
            case ending:
                return ending == LINES_OF_JSON or (ending == PARQUET and names_files(path))

    def files(self, observer: Observer) -> list[Path]:
        rows = open_table(self._table)
        places = Places(self._folder.absolute(), rows.source)
        found: dict[str, None] = {}
        missing: list[str] = []
        total = 0
        for name in _names(rows, self._meaning):
            total += 1
            place = places.find(name)
            if place is None:
                missing.append(name)
            elif Path(name).is_absolute():
                raise DataError(
                    f"The {rows.source} has absolute paths, such as {name}, which are nowhere on another machine.",
                    expected="paths within the folder of the table, or within --image-folder",
                )
            else:
                found[place] = None
        if missing and not (self._skip_unreadable and found):
            raise missing_files(missing, len(missing), total, places, rows.source)
        if missing:
            observer.message(left_out(missing, len(missing), total))
        images = []
        for done, place in enumerate(found, start=1):
            try:
                self._formats.add(check_image(self._folder / place))
                images.append(self._folder / place)
            except UnreadableFile as error:
                if not self._skip_unreadable:
                    raise
                observer.message(f"Not uploaded: {error}")
            observer.advance("Looking at pictures", done, len(found))
        return [self._table, *images]

    def requirements(self) -> list[str]:
        return requirements_of(self._formats)


def names_files(path: Path) -> bool:
    """Whether a Parquet file has names of files and no images: one that has both, or is damaged, is no table."""
    try:
        kinds: dict[str, str] = lazy("keras_azure.data.parquet_table:kinds_of")(path)
    except DataError:
        return False
    named = usual_column([name for name, kind in kinds.items() if kind in ("text", "number")], IMAGE_NAMES)
    return named is not None and not {"image", "binary"} & {*kinds.values()}


def _has_numbers_alone(path: Path) -> bool:
    """Whether a table has numbers in its first row, and no column that is called as those of files are: such a one is
    of pixels or measurements, which other packages may read. What cannot be read is refused by who reads tables."""
    try:
        columns, first = first_lines(path)
    except DataError:
        return False
    return usual_column(columns, IMAGE_NAMES) is None and bool(first) and all(map(_is_number, " ".join(first).split()))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _names(rows: Rows, meaning: Meaning) -> Iterator[str]:
    column = choose_columns(rows, meaning).image
    for row, (value,) in enumerate(rows.of([column]), start=1):
        yield name_in(value, row, rows.source)
