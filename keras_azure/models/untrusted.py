"""What is looked at in a model's file before Keras reads it.

Keras's safe mode runs no code of a file. What is here comes before: a file may also name what is no part of a model,
unpack to far more than it is, or make its reader open other files; and Keras passes over a wrong checksum.
"""

import contextlib
import inspect
import io
import math
import struct
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import h5py
import keras

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
            raise ValueError(f"the entry {entry.filename!r} in it is compressed, and we compress nothing")
    if len({entry.filename for entry in entries}) < len(entries):
        raise ValueError("it has two entries of one name")
    if sum(entry.file_size for entry in entries) > size:
        raise ValueError("its entries hold more than the file")
    if (damaged := archive.testzip()) is not None:
        raise ValueError(f"the checksum of its entry {damaged!r} is wrong")


def check_config(config: Any, own: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Looks through a model's description, from which Keras would build whatever it names.

    Args:
        own: classes that it may name besides, by the names that files have for them.

    Raises:
        ValueError: it names what is neither a part of Keras's models nor registered by a plugin.
    """
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
            if "class_name" in value and "config" in value and not (_is_part_of_models(value) or _is_own(value, own)):
                name = value["config"] if value["class_name"] == "function" else value["class_name"]
                raise ValueError(
                    f"it is unsafe or of a plugin that is not installed: it names {value.get('module')}.{name}"
                )
        elif isinstance(value, list):
            waiting.extend(value)


def check_size(config: dict[str, Any], size: int) -> None:
    """Computes what the variables of a model would need, from its description that was looked through.

    Raises:
        ValueError: far more memory than a file of `size` bytes can have numbers for.
    """
    # In a thread of its own: Keras keeps what it has yet to initialise by thread, and would do it at the next occasion.
    with ThreadPoolExecutor(1) as pool:
        needed = pool.submit(_bytes_of_variables, config).result()
    if needed > max(_MOST_EXPANSION * size, _ALWAYS_ALLOWED):
        raise ValueError(f"its {size} bytes announce a model of {needed} bytes")


def _bytes_of_variables(config: dict[str, Any]) -> int:
    # A plugin's layer may need values to be built; of what is wrong Keras tells when it loads.
    with contextlib.suppress(Exception):
        # Within the scope variables have a shape and no values.
        with keras.StatelessScope(initialize_variables=False):
            variables = keras.saving.deserialize_keras_object({**config, "compile_config": None}).variables
        return sum(_BYTES_OF_A_NUMBER * math.prod(variable.shape) for variable in variables)
    return 0


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


def _is_own(described: dict[str, Any], own: Mapping[str, Any]) -> bool:
    allowed = own.get(str(described.get("registered_name")))
    if not inspect.isclass(allowed):
        return False
    return (described.get("module"), described["class_name"]) == (allowed.__module__, allowed.__name__)


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
