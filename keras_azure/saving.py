"""Models that are saved repeatably, and loaded without running code from their files.

Keras's safe mode runs no code of a file. What is here comes before: a file may also name what is no part of a model,
unpack to far more than it is, or make its reader open other files; and Keras passes over a wrong checksum.
"""

import contextlib
import io
import json
import math
import re
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import h5py
import keras

from keras_azure.errors import RunFailed
from keras_azure.files import write_atomically
from keras_azure.printable import printable

_SHARED_OBJECT = re.compile(rb'("shared_object_id": )(\d+)')
_EARLIEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 22  # bytes
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
# What of Keras a model is made of; keras.src.layers and keras.layers.x are parts of layers, too.
_PARTS = {
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics", "models", "ops"),
    *("optimizers", "quantizers", "random", "regularizers"),
}
_NAMES = {"DTypePolicy", "FloatDTypePolicy", "Functional", "InputSpec", "Model", "Sequential"}  # of keras itself
_RUN_FILES = {"Lambda", "__lambda__", "FlaxLayer", "JaxLayer", "TFSMLayer", "TorchModuleWrapper"}
_DEEPEST = 100  # groups within groups
_HDF5, _HEAP, _HEAP_HEADER = b"\x89HDF\r\n\x1a\n\0", b"GCOL\x01", 16  # how files and heaps begin, and a heap's entries
_NUMBERS = "biufV"  # kinds of NumPy's types; V is how HDF5 knows bfloat16
_MOST_EXPANSION = 100  # times the size of a file; numbers that were learned hardly get smaller by compression
_ALWAYS_ALLOWED = 1 << 26  # bytes: too few to do harm
_BYTES_OF_A_NUMBER = 4


def save_model(model: keras.Model, path: Path) -> None:
    """Saves as `.keras`; equal models give equal files.

    For that the dates and the memory addresses that Keras writes are taken out.
    """

    def write(beside: Path) -> None:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".saved-", suffix=path.suffix) as saved:
            model.save(saved.name)
            with zipfile.ZipFile(saved.name) as source, zipfile.ZipFile(beside, "w") as target:
                for name in sorted(source.namelist()):
                    _copy_repeatably(name, source, target)

    write_atomically(path, write)


def load_model(path: Path) -> keras.Model:
    """Loads a `.keras` file in safe mode: one that would run code of its own is refused.

    Raises:
        RunFailed: the file is damaged, unsafe, or of a plugin that is not installed.
    """
    try:
        return read_model(path)
    except Exception as error:  # Keras raises what the damaged part happened to cause
        raise RunFailed(f"The model file {printable(path)} cannot be loaded: {reason(error)}.") from error


def read_model(path: Path, *, compile: bool = True) -> keras.Model:
    """Loads a `.keras` file that was looked through before.

    Raises:
        ValueError: it does or holds what a model has no need of.
        Exception: whatever damage happens to cause.
    """
    with zipfile.ZipFile(path) as archive:
        check_archive(archive, path.stat().st_size)
        config = json.loads(archive.read(_CONFIG))
        _check_config(config)
        check_weights(archive.read(_WEIGHTS))
    _check_size(config, path.stat().st_size)
    return keras.saving.load_model(path, compile=compile, safe_mode=True)


def check_archive(archive: zipfile.ZipFile, size: int) -> None:
    """Looks through a zip archive of `size` bytes before anything is unpacked.

    Raises:
        ValueError: a checksum is wrong, an entry would be written elsewhere, or it is not stored as it is. Keras and we
            compress nothing, so that an archive unpacks to no more than it has.
    """
    entries = archive.infolist()
    for entry in entries:
        place = PurePosixPath(entry.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise ValueError(f"its entry {entry.filename!r} would be written elsewhere")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"its entry {entry.filename!r} is compressed, as no model is saved")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("it has two entries of one name")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its entries hold more than the file")
    if (damaged := archive.testzip()) is not None:
        raise ValueError(f"the checksum of its entry {damaged!r} is wrong")


def check_weights(content: bytes) -> None:
    """Looks through an HDF5 file, which can do more than hold numbers.

    Raises:
        ValueError: it leads to other files, holds no numbers, or would unpack to far more than it is.
        OSError: it is damaged.
    """
    _check_heaps(content)
    with h5py.File(io.BytesIO(content), "r") as file:
        announced = sum(_sizes(file))
    if announced > max(_MOST_EXPANSION * len(content), _ALWAYS_ALLOWED):
        raise ValueError(f"its {len(content)} bytes announce {announced} bytes of numbers")


def reason(error: Exception) -> str:
    """What an error of a library says first, without the full stop."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return printable(first.rstrip("."))


def undated(name: str) -> zipfile.ZipInfo:
    """An entry of a zip archive that does not tell when it was written."""
    return zipfile.ZipInfo(name, _EARLIEST_ZIP_DATE)


def renumbering() -> Callable[[bytes], bytes]:
    """Gives each different number, as digits, the next one of 1, 2, 3 ...: the same for the same number.

    Memory addresses mark what is one and the same object; any numbers that are theirs alone will do.
    """
    numbers: dict[bytes, bytes] = {}
    return lambda number: numbers.setdefault(number, str(len(numbers) + 1).encode())


def copy_entry(source: BinaryIO, size: int, name: str, target: zipfile.ZipFile) -> None:
    """Copies `size` bytes, which may be gigabytes, into an undated entry."""
    entry = undated(name)
    entry.file_size = size
    with target.open(entry, "w") as writing:
        shutil.copyfileobj(source, writing, _CHUNK)


def _check_config(config: Any) -> None:
    """Refuses a model's description that names what is neither a part of Keras's models nor registered by a plugin."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
            if "class_name" in value and "config" in value and not _is_part_of_models(value):
                name = value["config"] if value["class_name"] == "function" else value["class_name"]
                raise ValueError(
                    f"it is unsafe or of a plugin that is not installed: it names {value.get('module')}.{name}"
                )
        elif isinstance(value, list):
            waiting.extend(value)


def _is_part_of_models(described: dict[str, Any]) -> bool:
    name, module = str(described["class_name"]), described.get("module") or "builtins"
    registered = keras.saving.get_custom_objects()
    if any(
        isinstance(key, str) and key in registered for key in (described.get("registered_name"), described["config"])
    ):
        return True
    if name in _RUN_FILES:
        return False
    package, *parts = str(module).removeprefix("keras.src.").removeprefix("keras.").split(".")
    if package == "builtins":  # Keras looks for such a name among its own functions alone
        return not parts
    if package == "keras":
        return not parts and name in _NAMES
    # Some networks have layers of their own; the functions beside them fetch weights.
    of_a_network = package == "applications" and name != "function"
    return str(module).startswith("keras.") and (package in _PARTS or of_a_network)


def _check_size(config: dict[str, Any], size: int) -> None:
    """Refuses a model whose variables would need far more memory than a file of `size` bytes can have numbers for."""
    needed = 0
    # A plugin's layer may need values to be built; of what is wrong Keras tells when it loads.
    with contextlib.suppress(Exception):
        # Within the scope variables have a shape and no values.
        with keras.StatelessScope(initialize_variables=False):
            variables = keras.saving.deserialize_keras_object({**config, "compile_config": None}).variables
        needed = sum(_BYTES_OF_A_NUMBER * math.prod(variable.shape) for variable in variables)
    if needed > max(_MOST_EXPANSION * size, _ALWAYS_ALLOWED):
        raise ValueError(f"its {size} bytes announce a model of {needed} bytes")


def _check_heaps(content: bytes) -> None:
    """Refuses an HDF5 file whose heaps of text have an entry without an end: its library would follow it for ever."""
    # The version of the format that Keras writes, with addresses and sizes of 8 bytes; newer ones crash their library
    # where they are damaged.
    if content[:9] != _HDF5 or content[13:15] != b"\x08\x08":
        raise OSError("it does not begin as an HDF5 file of Keras does")
    start = content.find(_HEAP)
    while start >= 0:
        end = start + int.from_bytes(content[start + 8 : start + 16], "little")
        place = start + _HEAP_HEADER
        while place + _HEAP_HEADER <= end:
            index, size = struct.unpack_from("<H6xQ", content, place)
            place += size if index == 0 else _HEAP_HEADER + -(-size // 8) * 8  # 0 is what is free, with its header
            if size < _HEAP_HEADER * (index == 0) or place > min(end, len(content)):
                raise OSError("a heap of text in it is damaged")
        start = content.find(_HEAP, start + 1)


def _sizes(file: h5py.File) -> Iterator[int]:
    """The bytes of all arrays of a file and of what is attached to them and to groups, each once."""
    waiting: list[tuple[h5py.Group, int]] = [(file, 0)]
    seen = set()
    yield from _sizes_attached(file)
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            where = f"{group.name.rstrip('/')}/{name}"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{where} is a link to another file or place")
            entry = group[name]
            address = h5py.h5o.get_info(entry.id).addr
            if address in seen:
                continue
            seen.add(address)
            yield from _sizes_attached(entry)
            if isinstance(entry, h5py.Group) and depth < _DEEPEST:
                waiting.append((entry, depth + 1))
            elif not isinstance(entry, h5py.Dataset) or entry.dtype.kind not in _NUMBERS:
                raise ValueError(f"{where} is no array of numbers")
            elif entry.external or entry.is_virtual:
                raise ValueError(f"{where} reads from another file")
            else:
                yield entry.nbytes


def _sizes_attached(entry: h5py.Group | h5py.Dataset) -> Iterator[int]:
    for name in entry.attrs:
        attached = entry.attrs.get_id(name)
        yield math.prod(attached.shape or ()) * attached.dtype.itemsize


def _copy_repeatably(name: str, source: zipfile.ZipFile, target: zipfile.ZipFile) -> None:
    """Copies an entry of a `.keras` archive without what differs between two saves of one model."""
    if name == "metadata.json":
        metadata = json.loads(source.read(name))
        metadata.pop("date_saved", None)
        target.writestr(undated(name), json.dumps(metadata))
    elif name == "config.json":
        # Keras marks objects that layers share by their address in memory.
        number = renumbering()
        config = _SHARED_OBJECT.sub(lambda match: match[1] + number(match[2]), source.read(name))
        target.writestr(undated(name), config)
    else:  # the weights
        with source.open(name) as reading:
            copy_entry(reading, source.getinfo(name).file_size, name, target)
