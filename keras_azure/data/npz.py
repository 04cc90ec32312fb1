"""The reader of the data set `npz`: NumPy's arrays in a zip file, none of which is unpickled."""

import contextlib
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_azure.data import TaskChoice
from keras_azure.data.array_like import as_dataset
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.formats.npz import arrays_of_splits
from keras_azure.data.memory import require_memory
from keras_azure.data.sizes import ResizedDataset
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

_MEMBER = ".npy"
_LONGEST_HEADER = 10_000  # characters, as NumPy itself has it


def npz(
    *, path: Path, image_size: tuple[int, int] | None, test_split: float, task: TaskChoice, observer: Observer
) -> ArrayDataset | ResizedDataset:
    """Reads the data set that `formats.npz.Npz` describes."""
    source = f"NumPy file {path}"
    with _open(path) as file:
        members = {info.filename.removesuffix(_MEMBER): info for info in file.infolist()}
        found = arrays_of_splits(members, f"The {source}")
        used = {name for pair in found.values() for name in pair}
        if others := [name for name in members if name not in used]:
            shown = ", ".join(map(repr, others[:5])) + (", ..." if others[5:] else "")
            observer.message(f"Of {path.name} these arrays are neither images nor labels, and not used: {shown}")
        arrays = {
            split: (_read(file, members[images], path), _read(file, members[labels], path))
            for split, (images, labels) in found.items()
        }
    return as_dataset(arrays, source, found, observer, image_size=image_size, test_split=test_split, task=task)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    """
    Raises:
        UnreadableFile: it cannot be opened, or what is read turns out to be damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            yield file
    except DataError:
        raise
    except MemoryError as error:
        raise DataError(f"There is not enough memory for {path}.") from error
    except OSError as error:
        raise _refusal(path, str(error.strerror or error).lower()) from error
    except Exception as error:  # zipfile and NumPy raise nearly anything for damaged files
        raise _refusal(path, f"it is damaged ({next(iter(str(error).splitlines()), type(error).__name__)})") from error


def _read(file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """An array, whose header may claim anything: memory is used for what the file can hold."""
    name = info.filename.removesuffix(_MEMBER)
    with file.open(info) as member:
        version = np.lib.format.read_magic(member)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header:
            raise _refusal(path, f"{name} is of version {'.'.join(map(str, version))} of NumPy's format")
        shape, _, dtype = read_header[version](member, max_header_size=_LONGEST_HEADER)
        if dtype.hasobject:
            raise _refusal(
                path, f"{name} has Python objects, which are not unpickled", "save texts as array.astype(str)"
            )
        claimed = math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or claimed > info.file_size:
            raise _refusal(path, f"the header of {name} announces {claimed} bytes, and there are {info.file_size}")
    require_memory(claimed, f"{name} of {path}")
    with file.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False, max_header_size=_LONGEST_HEADER)


def _refusal(
    path: Path, reason: str, hint: str = "numpy.savez('data.npz', x_train=..., ...) writes one"
) -> UnreadableFile:
    return UnreadableFile(
        f"The NumPy file {path} cannot be read: {reason}.", expected="an .npz file of arrays, complete", hint=hint
    )
