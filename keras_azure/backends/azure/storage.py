"""The workspace's default storage: files go up and come down in parallel, and none is sent twice."""

import contextlib
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from keras_azure.backends.azure.manifest import File, FileSet, write_pack
from keras_azure.backends.azure.service import Service, azure_errors, quiet
from keras_azure.description.events import Observer
from keras_azure.errors import CloudError, RunFailed

Entry = TypeVar("Entry")

_THREADS = 8
_BLOCK_BYTES = 4 << 20  # is sent at once: progress is shown, and what gets lost is sent again, by the block
_TIMEOUT_SECONDS = 300  # for one block; a slow line gets it through in that time
_TIMEOUTS = {"connection_timeout": _TIMEOUT_SECONDS, "read_timeout": _TIMEOUT_SECONDS}


@dataclass(frozen=True)
class Piece:
    """A blob to be written: its name below the prefix, about how many bytes it has, and what opens its content."""

    name: str
    size: int
    open: Callable[[], BinaryIO]


class Storage:
    """A container of the default datastore.

    Args:
        options: of the SDK's client, such as `retry_total`.
    """

    def __init__(self, service: Service, **options: Any):
        with quiet(), azure_errors("The workspace's storage cannot be looked up"):
            datastore = service.client.datastores.get_default(include_secrets=True)
            self._container = _container(service, datastore, options)
        self.datastore = datastore.name

    def address(self, prefix: str) -> str:
        """How jobs name a folder of it."""
        return f"azureml://datastores/{self.datastore}/paths/{prefix}/"

    def upload(self, files: FileSet, prefix: str, observer: Observer) -> int:
        """Writes files below a prefix, which stands for their content; gives how many bytes were sent.

        What an earlier try has sent is not sent again: a blob is there when all its blocks are, never in part.

        Raises:
            CloudError: it did not get through.
        """
        there = {name for name, _ in self.list(prefix)}
        pieces = [piece for piece in _pieces(files) if piece.name not in there]
        total = sum(piece.size for piece in pieces)
        sent = _Sum(lambda done: observer.advance("Uploading data", done, total))

        def send(piece: Piece) -> None:
            blob = self._container.get_blob_client(f"{prefix}/{piece.name}")
            with piece.open() as content:
                blob.upload_blob(
                    content,
                    overwrite=True,
                    progress_hook=lambda done, _: sent.put(piece.name, min(done, piece.size)),
                    **_TIMEOUTS,
                )
            sent.put(piece.name, piece.size)

        problem = "The upload was cut short; what is there already is not sent again"
        with azure_errors(problem):
            _in_parallel(send, pieces)
        return total

    def list(self, prefix: str) -> list[tuple[str, int]]:
        """Names below a prefix, and their sizes in bytes."""
        with azure_errors("The workspace's storage cannot be listed"):
            found = self._container.list_blobs(name_starts_with=f"{prefix}/")
            return [(blob.name.removeprefix(f"{prefix}/"), blob.size) for blob in found]

    def download(self, prefix: str, names: Iterable[tuple[str, int]], folder: Path, observer: Observer) -> None:
        """Fetches files below a prefix; each is whole under its name, or not there. What is there is not fetched again.

        Raises:
            CloudError: it did not get through, or a name leads out of the folder.
        """
        wanted = [(name, size) for name, size in names if _size(_inside(folder, name)) != size]
        total = sum(size for _, size in wanted)
        got = _Sum(lambda done: observer.advance("Downloading results", done, total))

        def fetch(entry: tuple[str, int]) -> None:
            name, size = entry
            target = _inside(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.part")
            try:
                with beside.open("wb") as file:
                    blob = self._container.get_blob_client(f"{prefix}/{name}")
                    download = blob.download_blob(progress_hook=lambda done, _: got.put(name, done), **_TIMEOUTS)
                    download.readinto(file)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(target)
            except OSError as error:
                raise RunFailed(
                    f"{target} cannot be written: {error.strerror}.", hint="free some disk space"
                ) from error
            finally:
                with contextlib.suppress(OSError):
                    beside.unlink(missing_ok=True)
            got.put(name, size)

        with azure_errors("The download was cut short; what is there already is not fetched again"):
            _in_parallel(fetch, wanted)


class _Sum:
    """Tells how many bytes of all files there are, while several threads say how many there are of one."""

    def __init__(self, tell: Callable[[int], None]):
        self._tell, self._lock = tell, threading.Lock()
        self._bytes: Counter[str] = Counter()

    def put(self, name: str, number: int) -> None:
        with self._lock:
            self._bytes[name] = number
            self._tell(self._bytes.total())


def _pieces(files: FileSet) -> list[Piece]:
    if not files.is_packed:
        return [Piece(file.name, file.size, _opener(file.path)) for file in files.files]
    return [_pack(f"pack-{number:05}.tar", pack) for number, pack in enumerate(files.packs)]


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


def _pack(name: str, files: Sequence[File]) -> Piece:
    """An archive, which is made when its turn comes."""

    def make() -> BinaryIO:
        file = tempfile.TemporaryFile()  # noqa: SIM115  who sends it closes it
        write_pack(files, file)
        file.seek(0)
        return file

    return Piece(name, sum(file.size for file in files), make)


def _in_parallel(do: Callable[[Entry], None], entries: Iterable[Entry]) -> None:
    """Does it for each; after the first failure none is begun, and those under way are waited for."""
    pool = ThreadPoolExecutor(_THREADS)
    try:
        futures: list[Future[None]] = [pool.submit(do, entry) for entry in entries]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _container(service: Service, datastore: Any, options: Mapping[str, Any]) -> Any:
    from azure.storage.blob import ContainerClient

    secret = _secret(datastore.credentials)
    # With a signature or a key as the workspace has one, and else as the user.
    suffix = datastore.endpoint or "core.windows.net"
    return ContainerClient(
        f"https://{datastore.account_name}.blob.{suffix}",
        datastore.container_name,
        credential=secret or service.credential,
        max_single_put_size=_BLOCK_BYTES,
        max_block_size=_BLOCK_BYTES,
        **options,
    )


def _secret(credentials: object) -> str | None:
    """Azure gives a signature where it says that it gives the key."""
    for name in ("sas_token", "account_key"):
        secret: str | None = getattr(credentials, name, None)
        if secret:
            return secret.removeprefix("?") if "sig=" in secret else secret
    return None


def _inside(folder: Path, name: str) -> Path:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()) or target == folder.resolve():
        raise CloudError(f"The job has written a file called {name!r}, which leads out of {folder}.")
    return target


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
