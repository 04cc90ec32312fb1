"""Deployments of managed online endpoints: checked, given what the service fills in, started; their logs."""

from typing import Any

from kaz_azure_emulator.deployments import DEPLOYMENTS
from kaz_azure_emulator.locations import asset_key
from kaz_azure_emulator.service.endpoints import (
    DEPLOYMENT,
    begin_operation,
    check_name,
    endpoint_document,
    operation_headers,
    operation_uri,
    provisioning_state,
    refused,
)
from kaz_azure_emulator.service.errors import AzureError, invalid_request, not_found
from kaz_azure_emulator.service.operations import WORKSPACE, Call, Family
from kaz_azure_emulator.service.wire import Answer, system_data
from kaz_azure_emulator.settings import PROVIDER
from kaz_azure_emulator.sizes import size_of

deployments = Family("online_deployments", WORKSPACE + "/onlineEndpoints/{endpoint}/deployments")
FAMILIES = (deployments,)

_CONTAINERS = ("InferenceServer", "StorageInitializer")
_PROBE = {
    "failureThreshold": 30,
    "successThreshold": 1,
    "timeout": "PT2S",
    "period": "PT10S",
    "initialDelay": "PT10S",
}
_REQUESTS = {"maxQueueWait": "PT0S", "requestTimeout": "PT5S", "maxConcurrentRequestsPerInstance": 1}


@deployments.operation("list", "GET", pages=True)
def list_deployments(call: Call):
    endpoint_document(call, call["endpoint"])
    found = call.cloud.state.list(DEPLOYMENTS, f"{call['endpoint']}/")
    return {"value": [_resource(call, key.partition("/")[2], document) for key, document in found]}


@deployments.operation("get", "GET", "/{name}")
def get(call: Call):
    return _resource(call, call["name"], _document(call))


@deployments.operation("create_or_update", "PUT", "/{name}", request="OnlineDeployment")
def create_or_update(call: Call):
    cloud, now = call.cloud, call.cloud.clock.now()
    endpoint_document(call, call["endpoint"])
    there = cloud.state.get(DEPLOYMENTS, _key(call))
    _check(call, there)
    operation = begin_operation(call, None)
    document = {
        "created": there["created"] if there else now,
        "modified": now,
        "is_new": there is None,
        "operation": operation,
        "properties": _filled(call.properties),
        "tags": call.body.get("tags") or {},
        "sku": call.body.get("sku") or {},
    }
    cloud.state.put(DEPLOYMENTS, _key(call), document)
    answer = Answer(
        200 if there else 201, _resource(call, call["name"], document), operation_headers(call, DEPLOYMENT, operation)
    )
    cloud.deployments.start(_key(call), operation)
    return answer


@deployments.operation("delete", "DELETE", "/{name}")
def delete(call: Call):
    endpoint = endpoint_document(call, call["endpoint"])
    if not call.cloud.state.get(DEPLOYMENTS, _key(call)):
        return Answer(204)
    traffic = endpoint["properties"].get("traffic") or {}
    if any(name.lower() == call["name"].lower() and share for name, share in traffic.items()):
        raise refused(f"Deployment [{call['name']}] has traffic. Set its traffic to 0 before it is deleted.")
    call.cloud.deployments.remove(_key(call))
    operation = begin_operation(call, call.cloud.clock.now())
    return Answer(202, headers=operation_headers(call, DEPLOYMENT, operation))


@deployments.operation("get_logs", "POST", "/{name}/getLogs")
def get_logs(call: Call):
    request = call.body or {}
    container = request.get("containerType") or "InferenceServer"
    if container not in _CONTAINERS:
        raise invalid_request(("containerType", f"'{container}' is none of {', '.join(_CONTAINERS)}."))
    lines = call.cloud.deployments.log(_document(call), container).splitlines(keepends=True)
    tail = request.get("tail")
    return {"content": "".join(lines if tail is None else lines[max(0, len(lines) - tail) :])}


def _check(call: Call, there: dict[str, Any] | None) -> None:
    """Refuses what Azure refuses, and what cannot be emulated."""
    given, problems = call.properties, []
    check_name(call["name"], problems)
    code = given.get("codeConfiguration") or {}
    if given.get("endpointComputeType") != "Managed":
        problems.append(("properties.endpointComputeType", "Only managed deployments are emulated."))
    if not size_of(given.get("instanceType") or ""):
        problems.append(("properties.instanceType", f"The instance type {given.get('instanceType')} is not supported."))
    if ((call.body.get("sku") or {}).get("capacity") or 0) < 1:
        problems.append(("sku.capacity", "A deployment has one instance or more."))
    if not code.get("codeId") or not code.get("scoringScript"):
        words = "Models are only served here by code: no MLflow model or container is without."
        problems.append(("properties.codeConfiguration", words))
    if not given.get("environmentId"):
        problems.append(("properties.environmentId", "The environmentId field is required."))
    if problems:
        raise invalid_request(*problems)
    for kind, uri in (
        ("codes", code["codeId"]),
        ("environments", given["environmentId"]),
        ("models", given.get("model")),
    ):
        key = asset_key(uri) if uri else None
        if uri and "://registries/" not in uri and not (key and call.cloud.state.get(kind, key[1])):
            raise AzureError(400, "UserError", f"Request is invalid: {uri} was not found in this workspace.")
    state = provisioning_state(call, there) if there else None
    if state in ("Creating", "Updating"):
        raise AzureError(409, None, f"Deployment [{call['name']}] is being changed by another operation.")
    if state == "Failed" and there["is_new"]:
        raise refused(
            f"Specified deployment [{call['name']}] failed during initial provisioning and is in an unrecoverable "
            "state. Delete and re-create."
        )


def _filled(given: dict[str, Any]) -> dict[str, Any]:
    """A deployment's properties, with what Azure fills in where nothing is said."""

    def with_defaults(field: str, defaults: dict[str, Any]) -> dict[str, Any]:
        said = {key: value for key, value in (given.get(field) or {}).items() if value is not None}
        return {**defaults, **said}

    return {
        "modelMountPath": None,
        "egressPublicNetworkAccess": "Enabled",
        "dataCollector": None,
        **{key: value for key, value in given.items() if value is not None},
        "scaleSettings": given.get("scaleSettings") or {"scaleType": "Default"},
        "requestSettings": with_defaults("requestSettings", _REQUESTS),
        "livenessProbe": with_defaults("livenessProbe", _PROBE),
        "readinessProbe": with_defaults("readinessProbe", _PROBE),
    }


def _key(call: Call) -> str:
    return f"{call['endpoint']}/{call['name']}"


def _document(call: Call) -> dict[str, Any]:
    document = call.cloud.state.get(DEPLOYMENTS, _key(call))
    if not document:
        name = f"{call['workspace']}/{call['endpoint']}/{call['name']}"
        raise not_found("workspaces/onlineEndpoints/deployments", name, call["group"])
    return document


def _resource(call: Call, name: str, document: dict[str, Any]) -> dict[str, Any]:
    cloud, given = call.cloud, document["properties"]
    return {
        "id": f"{cloud.settings.workspace_path}/onlineEndpoints/{call['endpoint']}/deployments/{name}",
        "name": name,
        "type": f"{PROVIDER}/workspaces/onlineEndpoints/deployments",
        "location": cloud.settings.location,
        "kind": "Managed",
        "tags": document["tags"],
        "sku": {"tier": "Standard", **document["sku"]},
        "systemData": system_data(cloud.settings, cloud.clock, document["created"], document["modified"]),
        "properties": {
            "description": None,
            **given,
            "provisioningState": provisioning_state(call, document),
            "properties": {**(given.get("properties") or {}), **operation_uri(call, DEPLOYMENT, document)},
        },
    }
