"""Blobs as files: folders are fetched and kept up to date in parallel, logs are appended to while they grow."""

import contextlib
import ipaddress
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, ContainerClient

from kaz_azure_emulator.execution.errors import JobCanceled, JobFailed

_NUM_TRANSFERS = 8  # at once
_SETTLED_SECONDS = 1.0
_BLOCK_BYTES = 4 << 20  # what Azure Storage takes in one append
# The package's own waits, 15 seconds and more, are for a service on the other side of the world.
_RETRIES = {"retry_total": 3, "initial_backoff": 0.5, "increment_base": 2, "random_jitter_range": 0.5}  # seconds
_UNAVAILABLE = (AzureError, OSError, ValueError)  # ValueError: a file that shrank while it was read


@dataclass(frozen=True)
class Location:
    """A prefix in a container, or one blob: what a SAS URL points to."""

    url: str

    @cached_property
    def container(self) -> ContainerClient:
        parts = urlsplit(self.url)
        account, container, _ = _split_path(self.url)
        path = "/".join(filter(None, (account, container)))
        url = urlunsplit((parts.scheme, parts.netloc, f"/{path}", parts.query, ""))
        # A proxy that is set for the world outside has no business between two programs on this machine.
        uses_proxies = not _is_this_machine(parts.hostname)
        return ContainerClient.from_container_url(url, use_env_settings=uses_proxies, **_RETRIES)

    @cached_property
    def prefix(self) -> str:
        """The blobs' common beginning, without a slash at its end; "" for the whole container."""
        return _split_path(self.url)[2]

    def blob(self, relative: str = "") -> BlobClient:
        return self.container.get_blob_client("/".join(filter(None, (self.prefix, relative))))

    def below(self, relative: str) -> "Location":
        return Location(_with_path(self.url, f"{urlsplit(self.url).path.rstrip('/')}/{quote(relative)}"))

    @property
    def parent(self) -> "Location":
        return Location(_with_path(self.url, urlsplit(self.url).path.rstrip("/").rpartition("/")[0]))


def download_folder(location: Location, folder: Path, canceled: threading.Event) -> int:
    """Fetches every blob below a prefix into `folder`; returns how many there were.

    Raises:
        JobFailed: a name leads out of the folder, in which case nothing is fetched; or storage does not answer.
        JobCanceled: the event was set.
    """
    start = f"{location.prefix}/" if location.prefix else ""
    with _storage_errors():
        blobs = [
            blob
            for blob in location.container.list_blobs(name_starts_with=start, include=["metadata"])
            # Accounts with folders of their own list these as empty blobs.
            if (blob.metadata or {}).get("hdi_isfolder") != "true" and blob.name != start
        ]
        targets = {blob.name: _path_inside(folder, blob.name.removeprefix(start)) for blob in blobs}
        folder.mkdir(parents=True, exist_ok=True)
        _in_parallel(lambda item: _download(location.container.get_blob_client(item[0]), item[1], canceled), targets)
    return len(blobs)


def download_file(location: Location, target: Path, canceled: threading.Event) -> bool:
    """Fetches one blob; False if there is none of that name. Raises as `download_folder` does."""
    with _storage_errors():
        try:
            _download(location.blob(), target, canceled)
        except ResourceNotFoundError:
            target.unlink(missing_ok=True)
            return False
    return True


class FolderUpload:
    """Keeps the blobs below a prefix as the files in a folder are.

    Args:
        folder: looked through by each `update`; it need not exist yet.
        location: the prefix.
        deletes: files that are gone are deleted there too, as in a mounted folder.
    """

    def __init__(self, folder: Path, location: Location, *, deletes: bool = False):
        self._folder = folder
        self._location = location
        self._deletes = deletes
        self._uploaded: dict[str, tuple[int, int]] = {}  # by relative name: time of change in ns, bytes

    def start_from_here(self) -> None:
        """What is in the folder now is what storage holds."""
        self._uploaded = dict(self._files())

    def update(self, *, final: bool = True) -> None:
        """Uploads what changed since the last time.

        Args:
            final: False leaves out what changed a moment ago, which may be half written: a mounted folder brings files
                to storage when they are closed.

        Raises:
            JobFailed: storage does not answer; the next update goes on where this one stopped.
        """
        files = dict(self._files())
        newest = float("inf") if final else (time.time() - _SETTLED_SECONDS) * 1e9
        changed = {
            name: state for name, state in files.items() if self._uploaded.get(name) != state and state[0] <= newest
        }
        gone = self._uploaded.keys() - files.keys() if self._deletes else ()
        with _storage_errors():
            _in_parallel(self._upload, changed)
            for name in list(gone):
                with contextlib.suppress(ResourceNotFoundError):
                    self._location.blob(name).delete_blob()
                del self._uploaded[name]

    def _upload(self, item: tuple[str, tuple[int, int]]) -> None:
        name, state = item
        with contextlib.suppress(FileNotFoundError), (self._folder / name).open("rb") as file:
            self._location.blob(name).upload_blob(file, overwrite=True)
            self._uploaded[name] = state  # of before it was read: a change in between is seen by the next update

    def _files(self) -> Iterator[tuple[str, tuple[int, int]]]:
        # Links are not followed: they may lead anywhere on this machine, which a node of Azure would not hold.
        for parent, _, names in os.walk(self._folder):
            for name in names:
                path = Path(parent, name)
                with contextlib.suppress(OSError, UnicodeEncodeError):  # gone again, or a name that is no text
                    relative = path.relative_to(self._folder).as_posix()
                    relative.encode()
                    status = path.lstat()
                    if path.is_file() and not path.is_symlink():
                        yield relative, (status.st_mtime_ns, status.st_size)


class LogUpload:
    """Appends to a blob what a file grew by. An append blob of that name is started anew."""

    def __init__(self, file: Path, location: Location):
        self._file = file
        self._blob = location.blob()
        self._created = False
        self._num_bytes = 0  # that the blob holds
        self._num_blocks = 0
        self._last = 0.0  # monotonic seconds
        self._lock = threading.Lock()  # the last update may come while a repeated one is at work

    def update(self, *, final: bool = True) -> None:
        """Appends what is new.

        Args:
            final: False lets it wait: a blob takes 50,000 appends, so they get rarer as the log gets longer.

        Raises:
            JobFailed: storage does not answer; the next update goes on where this one stopped.
        """
        with self._lock, _storage_errors():
            if not final and time.monotonic() < self._last + self._num_blocks / 1000:
                return
            self._last = time.monotonic()
            if not self._created:
                self._blob.create_append_blob()
                self._created = True
            with self._file.open("rb") as file:
                file.seek(self._num_bytes)
                while block := file.read(_BLOCK_BYTES):
                    self._append(block)
                    file.seek(self._num_bytes)

    def _append(self, block: bytes) -> None:
        try:
            self._blob.append_block(block, appendpos_condition=self._num_bytes)
            self._num_bytes += len(block)
            self._num_blocks += 1
        except HttpResponseError as error:
            if error.status_code != 412:
                raise
            # An append whose answer was lost did arrive: go on behind it.
            self._num_bytes = self._blob.get_blob_properties().size


@contextlib.contextmanager
def repeated(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Calls `action` every few seconds on a thread of its own while the block runs.

    An action that takes long is called more rarely. Failures are let pass: the next call, or the caller's own last one,
    catches up.
    """
    ended = threading.Event()

    def work() -> None:
        pause = seconds
        while not ended.wait(pause):
            start = time.monotonic()
            with contextlib.suppress(JobFailed):
                action()
            pause = max(seconds, 5 * (time.monotonic() - start))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _split_path(url: str) -> tuple[str, str, str]:
    """Account, container and prefix. The account is in the path where the host is bare, as Azurite's is; else ""."""
    parts = urlsplit(url)
    names = unquote(parts.path).strip("/").split("/")
    if _is_this_machine(parts.hostname):
        account, *names = names
    else:
        account = ""
    container, prefix = (names[0], "/".join(names[1:])) if names else ("", "")
    if not container:
        raise JobFailed("UserError", "The address of some data names no container.")
    return account, container, prefix


def _with_path(url: str, path: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=path))


def _is_this_machine(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _path_inside(folder: Path, name: str) -> Path:
    """The file for a blob's name.

    Raises:
        JobFailed: it is no name of a file below the folder.
    """
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or any(letter in name for letter in "\\\0"):
        raise JobFailed("UserError", f"A blob is called {name!r}, which is no file in a folder. Nothing was fetched.")
    return folder.joinpath(*parts)


def _download(blob: BlobClient, target: Path, canceled: threading.Event) -> None:
    if canceled.is_set():
        raise JobCanceled
    target.parent.mkdir(parents=True, exist_ok=True)
    stream = blob.download_blob()
    with target.open("wb") as file:
        for chunk in stream.chunks():
            if canceled.is_set():
                raise JobCanceled
            file.write(chunk)


def _in_parallel(action: Callable[[tuple[str, Any]], None], items: Mapping[str, Any]) -> None:
    if not items:
        return
    with ThreadPoolExecutor(min(_NUM_TRANSFERS, len(items))) as pool:
        try:
            for _ in pool.map(action, items.items()):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextlib.contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except _UNAVAILABLE as error:
        # The first line: what follows repeats the request, whose address holds the signature.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise JobFailed("DataAccessError", f"Files and storage could not be brought together: {reason}") from error
