"""The workspace's blob storage: Azurite behind TLS, and the signatures that give access to it."""

import contextlib
import datetime
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from kaz_azure_emulator.azurite import blob_service_command
from kaz_azure_emulator.certificates import Certificates
from kaz_azure_emulator.processes import Server
from kaz_azure_emulator.settings import Settings

BLOB_STORE = "workspaceblobstore"
ARTIFACT_STORE = "workspaceartifactstore"

_BOOT_TIMEOUT = 240.0
_CLOCK_SKEW = datetime.timedelta(minutes=15)


def containers(settings: Settings) -> dict[str, str]:
    """The container of each datastore that every workspace has."""
    return {BLOB_STORE: f"azureml-blobstore-{settings.workspace_id}", ARTIFACT_STORE: "azureml"}


class Storage:
    """The storage account. Clients reach it through the proxy, under its own name in `blob.core.windows.net`."""

    def __init__(self, settings: Settings, certificates: Certificates, folder: Path):
        self.settings = settings
        self._certificates = certificates
        self._folder = folder
        self._server = Server("Azurite", folder / "azurite.log")

    def start(self) -> None:
        """Starts Azurite. `wait` says when it answers."""
        command = [*blob_service_command(), "--blobHost", "127.0.0.1", "--blobPort", "0"]
        command += ["--location", str(self._folder)]
        command += ["--cert", str(self._certificates.certificate), "--key", str(self._certificates.key)]
        # Newer clients ask for API versions that this Azurite has never heard of and serves all the same.
        command += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        account = f"{self.settings.account_name}:{self.settings.account_key}"
        self._server.start(command, {"PATH": "", "AZURITE_ACCOUNTS": account})

    def wait(self) -> None:
        """Returns when Azurite listens, and `port` is known.

        Raises:
            RuntimeError: it ended, or does not listen in time.
        """
        self._server.wait(r"successfully listen\w* \w+ https://127\.0\.0\.1:(\d+)", _BOOT_TIMEOUT)

    def stop(self) -> None:
        self._server.stop()

    @property
    def port(self) -> int:
        return self._server.port

    # Signatures. Their times are the machine's, which is what Azurite compares them with.

    def account_signature(self, hours: float) -> str:
        """What listSecrets gives: `?sv=...`, good for every blob of the account."""
        from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

        permission = AccountSasPermissions(read=True, create=True, update=True, write=True, delete=True, list=True)
        signature = generate_account_sas(
            self.settings.account_name,
            self.settings.account_key,
            ResourceTypes(container=True, object=True),
            permission,
            **_validity(hours),
        )
        return f"?{signature}"

    def container_url(self, container: str, permissions: str = "racwl", hours: float = 24.0) -> str:
        """The address of a container, with a signature."""
        from azure.storage.blob import generate_container_sas

        signature = generate_container_sas(
            self.settings.account_name,
            container,
            self.settings.account_key,
            permission=permissions,
            **_validity(hours),
        )
        return f"{self.address(container)}?{signature}"

    def blob_url(self, container: str, path: str, permissions: str = "r", hours: float = 24.0) -> str:
        """The address of a blob, with a signature."""
        from azure.storage.blob import generate_blob_sas

        signature = generate_blob_sas(
            self.settings.account_name,
            container,
            path,
            account_key=self.settings.account_key,
            permission=permissions,
            **_validity(hours),
        )
        return f"{self.address(container, path)}?{signature}"

    def folder_url(self, container: str, path: str, hours: float = 24.0) -> str:
        """The address of a folder, with its container's signature."""
        url, _, signature = self.container_url(container, "racwdl", hours).partition("?")
        return f"{url}/{path.strip('/')}?{signature}" if path.strip("/") else f"{url}?{signature}"

    def address(self, container: str, path: str = "") -> str:
        address = f"https://{self.settings.blob_host}/{container}"
        return f"{address}/{quote(path)}" if path else address

    # What the service itself asks of it

    def create_container(self, container: str) -> None:
        """Creates a container, unless it is there."""
        from azure.core.exceptions import ResourceExistsError

        with contextlib.suppress(ResourceExistsError):
            self._client.create_container(container)

    def empty(self, kept: Iterable[str]) -> None:
        """Deletes every blob, and every container that is not to be kept."""
        client, kept = self._client, set(kept)
        for container in client.list_containers():
            if container.name not in kept:
                client.delete_container(container.name)
                continue
            blobs = client.get_container_client(container.name)
            for name in list(blobs.list_blob_names()):
                blobs.delete_blob(name)

    def append(self, container: str, path: str, text: str) -> None:
        """Adds to the end of a blob, which is made if it is not there."""
        blob = self._client.get_blob_client(container, path)
        if not blob.exists():
            blob.create_append_blob()
        blob.append_block(text.encode())

    def blobs(self, container: str, prefix: str) -> list[str]:
        """The paths that start with `prefix`."""
        return list(self._client.get_container_client(container).list_blob_names(name_starts_with=prefix))

    def blob_sizes(self, container: str, prefix: str) -> dict[str, int]:
        """The paths that start with `prefix`, and how many bytes each has."""
        found = self._client.get_container_client(container).list_blobs(name_starts_with=prefix)
        return {blob.name: blob.size for blob in found}

    @cached_property
    def _client(self):
        from azure.storage.blob import BlobServiceClient

        return BlobServiceClient(f"https://{self.settings.blob_host}", credential=self.settings.account_key)


def _validity(hours: float) -> dict[str, datetime.datetime]:
    now = datetime.datetime.now(datetime.UTC)
    return {"start": now - _CLOCK_SKEW, "expiry": now + datetime.timedelta(hours=hours)}
