"""The reader of the data set `idx`: a folder of four files in the format that MNIST came in."""

import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.formats.idx import form_of, idx_files, open_idx, read_header, refusal
from keras_azure.data.labels import class_indices
from keras_azure.data.memory import require_memory
from keras_azure.data.sizes import ResizedDataset, resized
from keras_azure.data.splits import described
from keras_azure.description.commands import command
from keras_azure.description.events import Observer
from keras_azure.errors import DataError
from keras_azure.registry.specs import Spec

_CHUNK = 1 << 20  # bytes
_LYING = "emnist"
_DTYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype(np.uint8), 0x0C: np.dtype(">i4")}


def idx(
    *,
    path: str,
    image_size: tuple[int, int] | None = None,
    prefix: str | None = None,
    transposed: bool = False,
    observer: Observer | None = None,
) -> ArrayDataset | ResizedDataset:
    """Reads the data set that `formats.idx.Idx` describes. What no image is labelled with is no class."""
    folder, observer = Path(path), observer or Observer()
    files = idx_files(folder, prefix)
    splits = {split: _read_split(*pair, transposed) for split, pair in files.items()}
    _check_agreement(files, splits)
    class_names, indices = class_indices(
        {split: labels for split, (_, labels) in splits.items()},
        {split: f"the labels in {pair[1]}" for split, pair in files.items()},
        observer,
    )
    if not transposed and (name := files["train"][0].name).startswith(_LYING):
        named = {} if prefix is None else {"prefix": prefix}
        meant = command("--data", Spec("idx", {"path": str(folder), **named, "transposed": True}))
        observer.message(
            f"{name} is called as EMNIST's files are, whose pictures have rows and columns exchanged: they are taken "
            f"as they are, and upright ones of the same letters are unlike them. {meant} sets them upright."
        )
    made = {split: (pictures, indices[split]) for split, (pictures, _) in splits.items()}
    sizes = {split: len(labels) for split, (_, labels) in made.items()}
    description = described(f"IDX folder {folder}", sizes, made["train"][0].shape[1:], len(class_names))
    return resized(ArrayDataset(class_names, made, description), image_size, observer)


def read_idx(path: Path, dimensions: int, type_code: int = 0x08) -> np.ndarray:
    """Reads an IDX file, compressed with gzip or not.

    Args:
        path: the file.
        dimensions: how many the file must have: 3 for pictures, 1 for labels.
        type_code: of its values: 0x08 for bytes, 0x0C for int32.

    Returns:
        uint8, or int32 with the highest byte first, in the shape that the file says.

    Raises:
        UnreadableFile: the file cannot be opened, or is not exactly such a file.
        DataError: its content does not fit in memory.
    """
    with open_idx(path) as (file, most_bytes):
        return _parse(file, most_bytes, dimensions, type_code, path)


def _parse(file: BinaryIO, most_bytes: int, dimensions: int, type_code: int, path: Path) -> np.ndarray:
    """Reads the content of an IDX file that has no more than `most_bytes`."""
    shape = read_header(file, dimensions, type_code, path)
    claimed = math.prod(shape) * _DTYPES[type_code].itemsize
    # The header may claim anything; memory is used only for what the file can hold, and then as it comes.
    if claimed > most_bytes:
        raise refusal(path, f"its header announces {claimed} bytes, more than it can hold")
    require_memory(claimed, f"The IDX file {path}")
    content = bytearray()
    while len(content) <= claimed and (chunk := file.read(_CHUNK)):
        content += chunk
    if len(content) != claimed:
        found = "more" if len(content) > claimed else f"only {len(content)}"
        raise refusal(path, f"its header announces {claimed} bytes, and there are {found}")
    return np.frombuffer(content, _DTYPES[type_code]).reshape(shape)


def _read_split(pictures_path: Path, labels_path: Path, transposed: bool) -> tuple[np.ndarray, np.ndarray]:
    pictures = read_idx(pictures_path, 3)
    pictures = pictures.swapaxes(1, 2) if transposed else pictures
    labels = read_idx(labels_path, *form_of(labels_path))
    labels = labels[:, 0] if labels.ndim == 2 else labels  # of a row of QMNIST the first number is the class
    if len(pictures) != len(labels):
        raise DataError(
            f"{pictures_path} has {len(pictures)} pictures, and {labels_path} has {len(labels)} labels.",
            expected="a label for each picture",
        )
    return pictures[..., np.newaxis], labels  # (N, height, width, 1), (N,)


def _check_agreement(files: dict[str, tuple[Path, Path]], splits: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    train_shape, test_shape = (splits[split][0].shape[1:3] for split in ("train", "test"))
    if train_shape != test_shape:
        raise DataError(
            f"{files['test'][0]} has pictures of {test_shape[0]}x{test_shape[1]} pixels, and {files['train'][0]} of "
            f"{train_shape[0]}x{train_shape[1]}.",
            expected="training and test pictures of one size",
        )
    train_labels = splits["train"][1]
    if train_labels.min() == train_labels.max():
        raise DataError(
            f"{files['train'][1]} has only one class: every label is {train_labels[0]}.",
            expected="two classes or more",
        )
