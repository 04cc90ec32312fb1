"""The data set `parquet`: Parquet files with encoded images and their labels, as Hugging Face has them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_azure.data.formats.images import readable_here, requirements_of
from keras_azure.data.formats.layout import some_of
from keras_azure.data.formats.options import Reading
from keras_azure.data.formats.parts import PARQUET, is_made_of, parts_of
from keras_azure.data.formats.table import names_files
from keras_azure.data.opened_later import OpenedLater
from keras_azure.description.commands import command
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile
from keras_azure.registry.specs import Spec

ENDING = PARQUET
METADATA = b"huggingface"  # the key in a file's schema
_MAGIC = b"PAR1"  # at both ends of a file
_IMAGE_NAMES = ("image", "img", "picture", "photo", "bytes")
_LABEL_NAMES = ("label", "labels", "class", "target", "y")
_EXPECTED = "a column of images, struct<bytes, path> or binary, and one of labels, numbers or texts"


class Parquet(OpenedLater):
    """Parquet files with a column of encoded images and one of labels, as data sets of Hugging Face have them.

    A file with `train`, `validation` or `test` in its name is of that split, any other one of the training split.

    Args:
        path: a file, or a folder of files.
        image: the column of images; by default the only one, or that called "image".
        label: the column of labels; by default the only one with names of classes, or that called "label".
        image_size: height and width that all pictures are stretched to; by default as in a folder of pictures.
        channels: 1 for gray, 3 for colour. By default 3, and 1 if all pictures are gray.
        test_split: the share of each class to test on, where there is no test split.
        skip_unreadable: leaves out what is no picture or is damaged.
        bit_depth: how many bits the levels of pictures of 16 bits a channel use.
    """

    def __init__(
        self,
        *,
        path: str,
        image: str | None = None,
        label: str | None = None,
        image_size: tuple[int, int] | None = None,
        channels: int | None = None,
        test_split: float = 0.2,
        skip_unreadable: bool = False,
        bit_depth: int = 16,
    ) -> None:
        super().__init__(
            "keras_azure.data.parquet:ParquetDataset",
            path=Path(path),
            image=image,
            label=label,
            reading=Reading(image_size, channels, test_split, skip_unreadable, bit_depth),
        )
        self._path = Path(path)

    @staticmethod
    def recognises(path: Path) -> bool:
        return is_made_of(path, ENDING) and not (path.is_file() and names_files(path))

    def files(self, observer: Observer) -> list[Path]:
        files = [path for paths in parts_of(self._path, ENDING).values() for path in paths]
        for path in files:
            _check_ends(path)
        return files

    def requirements(self) -> list[str]:
        return requirements_of(readable_here())


@dataclass(frozen=True)
class Column:
    """A column of a schema, in words that need no library: "binary", "number", "text", "image", or "other".

    An image is a struct with a field `bytes`.
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Columns:
    """Which columns are used.

    Attributes:
        image: the column of images, and `field` the field of it that has the bytes; "" where it has them itself.
        label: the column of labels.
        class_names: which labels are indices into; none where labels are numbers or texts themselves.
    """

    image: str
    field: str
    label: str
    class_names: tuple[str, ...]


def choose_columns(
    columns: Sequence[Column], metadata: bytes | None, source: str, *, image: str | None, label: str | None
) -> Columns:
    """Which columns of a schema are the images and the labels.

    Args:
        metadata: what Hugging Face writes into a schema.
        image, label: the columns that the user names.

    Raises:
        DataError: there are none, or several could be meant.
    """
    features = _features(metadata)
    images = [column.name for column in columns if column.kind in ("image", "binary")]
    of_image_type = [name for name in images if features.get(name, {}).get("_type") == "Image"]
    chosen = _chosen("image", image, images, of_image_type or images, _IMAGE_NAMES, columns, source)
    labels = [column.name for column in columns if column.kind in ("number", "text")]
    with_names = [name for name in labels if features.get(name, {}).get("_type") == "ClassLabel"]
    label = _chosen("label", label, labels, with_names or labels, _LABEL_NAMES, columns, source)
    names = features.get(label, {}).get("names")
    kinds = {column.name: column.kind for column in columns}
    if names is not None and (
        kinds[label] != "number" or not isinstance(names, list) or not all(isinstance(name, str) for name in names)
    ):
        raise DataError(f"The names of the classes of {label!r} in {source} are no list of texts.", expected=_EXPECTED)
    return Columns(chosen, "bytes" if kinds[chosen] == "image" else "", label, tuple(names or ()))


def refusal(path: Path, reason: str) -> UnreadableFile:
    return UnreadableFile(f"The Parquet file {path} cannot be read: {reason}.", hint="fetch or write the file again")


def _chosen(
    what: str,
    named: str | None,
    possible: Sequence[str],
    found: Sequence[str],
    usual: Sequence[str],
    columns: Sequence[Column],
    source: str,
) -> str:
    shown = some_of([f"{column.name} ({column.kind})" for column in columns], most=6) or "none"
    if named is not None:
        if named not in possible:
            raise DataError(
                f"The column {named!r} of {source} cannot be the {what}s; its columns are {shown}.", expected=_EXPECTED
            )
        return named
    likely = [name for name in usual if name in found]
    if len(found) == 1 or likely:
        return found[0] if len(found) == 1 else likely[0]
    if found:
        raise DataError(
            f"Several columns of {source} may be the {what}s: {some_of(list(found), most=6)}.",
            hint=command("--data", Spec("parquet", {"path": "...", what: found[0]})),
        )
    raise DataError(f"No column of {source} can be the {what}s; its columns are {shown}.", expected=_EXPECTED)


def _features(metadata: bytes | None) -> dict[str, dict[str, Any]]:
    """What Hugging Face says of each column; nothing where it says nothing that can be read."""
    try:
        features = json.loads(metadata or b"{}")["info"]["features"]
        return {name: feature for name, feature in features.items() if isinstance(feature, dict)}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _check_ends(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
            end = b""
            if start == _MAGIC:
                file.seek(-len(_MAGIC), 2)
                end = file.read()
    except OSError as error:
        raise refusal(path, str(error.strerror).lower()) from error
    if start != _MAGIC or end != _MAGIC:
        raise refusal(path, "it is cut off" if start == _MAGIC else "it is no Parquet file")
