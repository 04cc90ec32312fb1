"""Addresses of data: in a datastore, in blob storage, or of a registered asset; and where in storage that is."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from kaz_azure_emulator.settings import Settings
from kaz_azure_emulator.state import State
from kaz_azure_emulator.storage import ARTIFACT_STORE, BLOB_STORE, containers

# azureml://datastores/<store>/paths/<path>, with or without subscription, group and workspace before it; the service
# itself writes some without "paths".
_DATASTORE = re.compile(
    r"azureml://(?:subscriptions/[^/]+/resourcegroups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+/)?"
    r"datastores/(?P<store>[^/]+)(?:/(?:paths/)?(?P<path>.*))?",
    re.IGNORECASE,
)
_VERSION = r"(?P<kind>[a-z]+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)"
_ASSET = re.compile(rf"(?:azureml:)?/subscriptions/.*/workspaces/[^/]+/{_VERSION}", re.IGNORECASE)
_ASSET_BY_NAME = re.compile(r"azureml:(?P<name>[^:/]+):(?P<version>[^:/]+)")
_DATA_ASSET = re.compile(rf"azureml://locations/[^/]+/workspaces/[^/]+/{_VERSION}", re.IGNORECASE)
_URI_FIELDS = {"data": "dataUri", "models": "modelUri", "codes": "codeUri"}


@dataclass(frozen=True)
class Location:
    """A place in the workspace's storage account."""

    container: str
    path: str


def location_of(settings: Settings, state: State, uri: str) -> Location | None:
    """Where in storage a URI leads; None for one that leads elsewhere, or to an asset that is not there."""
    if found := _DATASTORE.fullmatch(uri):
        container = container_of(settings, state, found["store"])
        return Location(container, found["path"] or "") if container else None
    if asset := asset_key(uri):
        kind, key = asset
        document = state.get(kind, key)
        inner = document["properties"].get(_URI_FIELDS.get(kind, "")) if document else None
        return location_of(settings, state, inner) if inner else None
    parts = urlsplit(uri)
    if parts.hostname == settings.blob_host:
        container, _, path = unquote(parts.path).lstrip("/").partition("/")
        return Location(container, path)
    return None


def asset_key(uri: str) -> tuple[str, str] | None:
    """The kind and key under which the state has an asset that is named by its id."""
    if found := _ASSET.fullmatch(uri) or _DATA_ASSET.fullmatch(uri):
        return found["kind"].lower(), f"{found['name']}/{found['version']}"
    if found := _ASSET_BY_NAME.fullmatch(uri):
        return "data", f"{found['name']}/{found['version']}"
    return None


def container_of(settings: Settings, state: State, store: str) -> str | None:
    """A datastore's container; None for a datastore that is not there or is no container of this account."""
    if own := containers(settings).get(store):
        return own
    added = state.get("datastores", store)
    return added["properties"].get("containerName") if added else None


def long_form(settings: Settings, uri: str, *, is_folder: bool) -> str:
    """A datastore's URI as the service writes it: with the workspace's full name, and a slash after a folder."""
    found = _DATASTORE.fullmatch(uri)
    if not found:
        return uri
    path = found["path"] or ""
    return (
        f"azureml://subscriptions/{settings.subscription_id}/resourcegroups/{settings.resource_group}"
        f"/workspaces/{settings.workspace_name}/datastores/{found['store']}/paths/{path}"
        f"{'/' if is_folder and not path.endswith('/') else ''}"
    )


def run_folder(run: str) -> str:
    """Where in its container the artifacts and logs of a run are."""
    return f"ExperimentRun/dcid.{run}"


def default_output(run: str) -> str:
    """The URI of a job's default output, as the service writes it: without "paths"."""
    return f"azureml://datastores/{ARTIFACT_STORE}/{run_folder(run)}"


def named_output(run: str, output: str) -> str:
    """Where an output goes for which the job says no place."""
    return f"azureml://datastores/{BLOB_STORE}/paths/azureml/{run}/{output}/"
