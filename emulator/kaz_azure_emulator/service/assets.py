"""Registered assets and their versions: data, code, environments, models and components."""

import hashlib
import uuid
from typing import Any

from kaz_azure_emulator.locations import long_form
from kaz_azure_emulator.service.errors import AzureError, invalid_request, no_such_version
from kaz_azure_emulator.service.operations import WORKSPACE, Call, Family
from kaz_azure_emulator.service.wire import Answer, system_data
from kaz_azure_emulator.settings import PROVIDER

# The models of requests: of a container, and of a version
_REQUESTS = {
    "data": ("DataContainer", "DataVersionBase"),
    "codes": ("CodeContainer", "CodeVersion"),
    "environments": ("EnvironmentContainer", "EnvironmentVersion"),
    "models": ("ModelContainer", "ModelVersion"),
    "components": ("ComponentContainer", "ComponentVersion"),
}
# What a version must have beyond its model, and what of it can never be changed
_REQUIRED = {"codes": "codeUri", "models": "modelUri", "components": "componentSpec"}
_FIXED = {
    "data": ("dataUri", "dataType"),
    "codes": ("codeUri",),
    "environments": ("image", "condaFile", "build"),
    "models": ("modelUri", "modelType"),
    "components": ("componentSpec",),
}
# The path's kind, and how the SDK calls the operations
_NAMES = {
    "data": "data",
    "codes": "code",
    "environments": "environments",
    "models": "models",
    "components": "components",
}
_FOLDER_TYPES = ("uri_folder", "mltable")


def _family(kind: str) -> Family:
    """The operations of a kind of asset."""
    family = Family(_NAMES[kind], f"{WORKSPACE}/{kind}")
    container, version = _REQUESTS[kind]

    @family.operation("list", "GET", pages=True)
    def list_containers(call: Call):
        names = dict.fromkeys(key.partition("/")[0] for key, _ in call.cloud.state.list(kind))
        wanted = _is_wanted(call)
        found = (_container(call, kind, name) for name in names)
        return {"value": [container for container in found if wanted(container["properties"])]}

    @family.operation("get_container", "GET", "/{name}")
    def get_container(call: Call):
        if not _versions(call, kind, call["name"]):
            raise AzureError(404, "UserError", f"Not found: {kind} container {call['name']} was not found.")
        return _container(call, kind, call["name"])

    @family.operation("update_container", "PUT", "/{name}", request=container)
    def update_container(call: Call):
        call.cloud.state.put(f"{kind} containers", call["name"], call.properties)
        return _container(call, kind, call["name"])

    @family.operation("list_versions", "GET", "/{name}/versions", pages=True)
    def list_versions(call: Call):
        return {"value": [_resource(call, kind, key, document) for key, document in _selected(call, kind)]}

    @family.operation("get", "GET", "/{name}/versions/{version}")
    def get(call: Call):
        return _resource(call, kind, _key(call), _document(call, kind))

    @family.operation("create_or_update", "PUT", "/{name}/versions/{version}", request=version)
    def create_or_update(call: Call):
        return _put(call, kind)

    @family.operation("delete", "DELETE", "/{name}/versions/{version}")
    def delete(call: Call):
        return Answer(200 if call.cloud.state.delete(kind, _key(call)) else 204)

    pending = "/{name}/versions/{version}/startPendingUpload"

    @family.operation("start_pending_upload", "POST", pending, request="PendingUploadRequestDto")
    def start_pending_upload(call: Call):
        return _pending_upload(call)

    return family


FAMILIES = tuple(_family(kind) for kind in _NAMES)


def _put(call: Call, kind: str) -> Answer:
    cloud, key = call.cloud, _key(call)
    properties = dict(call.properties)
    required = _REQUIRED.get(kind)
    if required and not properties.get(required):
        raise invalid_request((f"properties.{required}", f"The {required} field is required."))
    if kind == "environments" and not any(properties.get(field) for field in ("image", "build")):
        raise invalid_request(("properties", "An environment has an image, or a build context."))
    if kind == "data":
        is_folder = properties["dataType"] in _FOLDER_TYPES
        properties["dataUri"] = long_form(cloud.settings, properties["dataUri"], is_folder=is_folder)
    there = cloud.state.get(kind, key)
    if there and any(there["properties"].get(field) != properties.get(field) for field in _FIXED[kind]):
        name, version = call["name"], call["version"]
        raise AzureError(
            409,
            "UserError",
            f"A {_NAMES[kind]} version with this name ({name}) and version ({version}) already exists. "
            "If you are trying to create a new one, use a different name or version.",
        )
    now = cloud.clock.now()
    document = {"created": there["created"] if there else now, "modified": now, "properties": properties}
    cloud.state.put(kind, key, document)
    return Answer(200 if there else 201, _resource(call, kind, key, document))


def _pending_upload(call: Call) -> dict[str, Any]:
    """A container of its own for what the client uploads next."""
    cloud = call.cloud
    upload = call.body.get("pendingUploadId") or str(uuid.uuid4())
    # The same upload goes on in the same container; a container's name has 63 characters at most.
    name = f"{cloud.settings.workspace_id[:8]}-{hashlib.sha256(f'{_key(call)}{upload}'.encode()).hexdigest()[:40]}"
    cloud.storage.create_container(name)
    settings = cloud.settings
    account = f"{settings.group_path}/providers/Microsoft.Storage/storageAccounts/{settings.account_name}"
    return {
        "blobReferenceForConsumption": {
            "blobUri": cloud.storage.address(name),
            "storageAccountArmId": account,
            "credential": {"credentialType": "SAS", "sasUri": cloud.storage.container_url(name)},
        },
        "pendingUploadId": upload,
        "pendingUploadType": "TemporaryBlobReference",
    }


def _key(call: Call) -> str:
    return f"{call['name']}/{call['version']}"


def _document(call: Call, kind: str) -> dict[str, Any]:
    document = call.cloud.state.get(kind, _key(call))
    if not document:
        raise no_such_version(_NAMES[kind], call["name"], call["version"])
    return document


def _versions(call: Call, kind: str, name: str) -> list[tuple[str, dict[str, Any]]]:
    return call.cloud.state.list(kind, f"{name}/")


def _selected(call: Call, kind: str) -> list[tuple[str, dict[str, Any]]]:
    """The versions that a query asks for, newest first unless it says otherwise."""
    if wanted := call.query.get("hash"):
        # The same content may have been uploaded under any name.
        found = [
            (key, document)
            for key, document in call.cloud.state.list(kind)
            if ((document["properties"].get("properties") or {}).get("hash_sha256")) == wanted
        ]
    else:
        found = _versions(call, kind, call["name"])
        wanted_views = _is_wanted(call)
        found = [(key, document) for key, document in found if wanted_views(document["properties"])]
    if not call.query.get("$orderBy", "").lower().endswith(" asc"):
        found.reverse()
    top = call.query.get("$top", "")
    return found[: int(top)] if top.isdigit() else found


def _is_wanted(call: Call):
    view = call.query.get("listViewType", "ActiveOnly")
    if view == "All":
        return lambda properties: True
    return lambda properties: bool(properties.get("isArchived")) is (view == "ArchivedOnly")


def _container(call: Call, kind: str, name: str) -> dict[str, Any]:
    cloud = call.cloud
    versions = [(key.partition("/")[2], document) for key, document in _versions(call, kind, name)]
    numbers = [int(version) for version, _ in versions if version.isdigit()]
    kept = cloud.state.get(f"{kind} containers", name) or {}
    created = min((document["created"] for _, document in versions), default=cloud.clock.now())
    properties = {
        "description": kept.get("description"),
        "tags": kept.get("tags") or {},
        "properties": kept.get("properties") or {},
        "isArchived": bool(kept.get("isArchived")),
        "latestVersion": versions[-1][0] if versions else None,
        "nextVersion": str(max(numbers, default=0) + 1),
        "provisioningState": "Succeeded",
    }
    if kind == "data" and versions:
        properties["dataType"] = versions[-1][1]["properties"]["dataType"]
    return {
        "id": f"{cloud.settings.workspace_path}/{kind}/{name}",
        "name": name,
        "type": f"{PROVIDER}/workspaces/{kind}",
        "properties": properties,
        "systemData": system_data(cloud.settings, cloud.clock, created),
    }


def _resource(call: Call, kind: str, key: str, document: dict[str, Any]) -> dict[str, Any]:
    cloud = call.cloud
    name, _, version = key.partition("/")
    given = document["properties"]
    properties = {
        "description": None,
        "tags": {},
        "properties": {},
        "isArchived": False,
        "isAnonymous": False,
        **{field: value for field, value in given.items() if value is not None},
        "provisioningState": "Succeeded",
    }
    if kind == "models":
        properties["flavors"] = given.get("flavors") or {}  # the SDK does not bear a model without
    if kind == "environments":
        properties.setdefault("osType", "Linux")
        properties["environmentType"] = "UserCreated"
    return {
        "id": f"{cloud.settings.workspace_path}/{kind}/{name}/versions/{version}",
        "name": version,
        "type": f"{PROVIDER}/workspaces/{kind}/versions",
        "properties": properties,
        "systemData": system_data(cloud.settings, cloud.clock, document["created"], document["modified"]),
    }
