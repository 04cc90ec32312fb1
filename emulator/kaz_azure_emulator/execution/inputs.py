"""A job's inputs and outputs as files and folders, and their places in its command."""

import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaz_azure_emulator.execution.description import FOLDER_TYPES
from kaz_azure_emulator.execution.errors import JobFailed
from kaz_azure_emulator.execution.storage import FolderUpload, Location, download_file, download_folder

_PLACE = re.compile(r"\$\{\{\s*(inputs|outputs|search_space)\.([A-Za-z0-9_]+)\s*\}\}")
_OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)


@dataclass(frozen=True)
class OutputFolder:
    """Where a job writes an output.

    Args:
        value: what the command and AZURE_ML_OUTPUT_... say.
        upload: brings it to storage; None where the job writes there itself.
        is_mounted: it is brought there while the job runs and however it ends, not only when it completed.
    """

    value: str
    upload: FolderUpload | None
    is_mounted: bool


def fetch_inputs(inputs: Mapping[str, Mapping[str, Any]], folder: Path, canceled: threading.Event) -> dict[str, str]:
    """Brings inputs to `folder`, one folder for each; returns what stands for them in the command.

    Raises:
        JobFailed: there is nothing at the address of one, or storage does not answer.
        JobCanceled: the event was set.
    """
    return {name: _fetch(name, entry, folder / name, canceled) for name, entry in inputs.items()}


def make_outputs(
    outputs: Mapping[str, Mapping[str, Any]], folder: Path, canceled: threading.Event
) -> dict[str, OutputFolder]:
    """Makes a folder for each output. A mounted one shows what storage has there, as for a job that goes on.

    Raises as `fetch_inputs` does.
    """
    made = {}
    for name, entry in outputs.items():
        location, here = Location(entry["url"]), folder / name
        if entry.get("mode") == "Direct":
            made[name] = OutputFolder(entry["url"], None, is_mounted=False)
            continue
        here.mkdir(parents=True)
        is_mounted = entry.get("mode") != "Upload"
        if entry["type"] == "uri_file":
            file = here / location.prefix.rpartition("/")[2]
            made[name] = OutputFolder(str(file), FolderUpload(here, location.parent), is_mounted)
            continue
        upload = FolderUpload(here, location, deletes=is_mounted)
        if is_mounted:
            download_folder(location, here, canceled)
            upload.start_from_here()
        made[name] = OutputFolder(str(here), upload, is_mounted)
    return made


def fill_command(command: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> str:
    """The command with values in its places. As on Azure they are put in as they are: bash reads them as it likes.

    `$[[--flag ${{inputs.x}}]]` is left out where `x` is not given.

    Raises:
        JobFailed: it names an input or output that the job does not have.
    """
    known = {"inputs": inputs, "search_space": inputs, "outputs": outputs}

    def value(place: re.Match[str]) -> str:
        kind, name = place.groups()
        if name not in known[kind]:
            raise JobFailed("UserError", f"The command names {kind}.{name}, which the job does not have.")
        return known[kind][name]

    def optional(part: re.Match[str]) -> str:
        return part[1] if all(name in known[kind] for kind, name in _PLACE.findall(part[1])) else ""

    return _PLACE.sub(value, _OPTIONAL.sub(optional, command))


def _fetch(name: str, entry: Mapping[str, Any], folder: Path, canceled: threading.Event) -> str:
    if entry["type"] == "literal":
        value = entry["value"]
        return str(value).lower() if isinstance(value, bool) else str(value)
    if entry.get("mode") == "Direct":
        return entry["url"]

    location = Location(entry["url"])
    found = None
    if entry["type"] != "uri_file" and download_folder(location, folder, canceled):
        found = folder
    elif entry["type"] not in FOLDER_TYPES and location.prefix:
        # As on Azure, a file keeps its name in a folder of its own.
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / location.prefix.rpartition("/")[2]
        found = file if download_file(location, file, canceled) else None
    if found is None:
        raise JobFailed("UserError", f"Input {name!r}: there is nothing at {location.prefix!r} in its container.")
    if entry.get("mode") != "Download":
        _make_read_only(folder)
    return str(found)


def _make_read_only(folder: Path) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            Path(parent, name).chmod(0o444)
        Path(parent).chmod(0o555)
