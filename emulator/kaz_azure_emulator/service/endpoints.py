"""Managed online endpoints: names under which deployments are reached, their keys, and how traffic is divided.

An endpoint takes a second to create or change, which is over when its time has come, as with computes. Answers are as
in Microsoft's recorded exchanges (azure-sdk-assets, online_services).
"""

import json
import re
import secrets
import string
import uuid
from typing import Any

from kaz_azure_emulator.deployments import DEPLOYMENTS, ENDPOINTS, OPERATIONS
from kaz_azure_emulator.service.errors import AzureError, invalid_request, not_found
from kaz_azure_emulator.service.operations import LOCATION, WORKSPACE, Call, Family
from kaz_azure_emulator.service.wire import Answer, management_url, system_data
from kaz_azure_emulator.settings import PROVIDER

endpoints = Family("online_endpoints", WORKSPACE + "/onlineEndpoints")
location = Family("online_endpoints", LOCATION)
FAMILIES = (endpoints, location)

ENDPOINT, DEPLOYMENT = "oeidp", "odidp"  # the beginnings of operations' names

_CHANGE_SECONDS = 1.0
_POLL_SECONDS = "1"  # as a number of seconds: without it, the SDK waits for 30
_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9-]{1,30})[A-Za-z0-9]")  # as the SDK has it
_KEY_LETTERS = string.ascii_letters + string.digits
_TOKEN_SECONDS = 8 * 3600
_NEVER = "0001-01-01T00:00:00+00:00"


@endpoints.operation("list", "GET", pages=True)
def list_endpoints(call: Call):
    return {"value": [_resource(call, name, document) for name, document in call.cloud.state.list(ENDPOINTS)]}


@endpoints.operation("get", "GET", "/{name}")
def get(call: Call):
    return _resource(call, call["name"], endpoint_document(call, call["name"]))


@endpoints.operation("create_or_update", "PUT", "/{name}", request="OnlineEndpoint")
def create_or_update(call: Call):
    cloud, name, now = call.cloud, call["name"], call.cloud.clock.now()
    there = cloud.state.get(ENDPOINTS, name)
    _check(call)
    # Keys can be given at the start, and are told by listKeys alone.
    chosen = call.properties.get("keys") or {}
    keys = {"Primary": chosen.get("primaryKey") or _key(), "Secondary": chosen.get("secondaryKey") or _key()}
    operation = begin_operation(call, now + _CHANGE_SECONDS)
    document = {
        "created": there["created"] if there else now,
        "modified": now,
        "is_new": there is None,
        "operation": operation,
        "properties": {field: value for field, value in call.properties.items() if field != "keys"},
        "tags": call.body.get("tags") or {},
        "identity": call.body.get("identity"),
        "keys": there["keys"] if there else keys,
    }
    cloud.state.put(ENDPOINTS, name, document)
    cloud.deployments.open(name)
    headers = operation_headers(call, ENDPOINT, operation)
    return Answer(200 if there else 201, _resource(call, name, document), headers)


@endpoints.operation("delete", "DELETE", "/{name}")
def delete(call: Call):
    cloud = call.cloud
    if not cloud.state.get(ENDPOINTS, call["name"]):
        return Answer(204)
    cloud.deployments.close(call["name"])
    cloud.state.delete(ENDPOINTS, call["name"])
    operation = begin_operation(call, cloud.clock.now() + _CHANGE_SECONDS)
    return Answer(202, headers=operation_headers(call, ENDPOINT, operation))


@endpoints.operation("list_keys", "POST", "/{name}/listKeys")
def list_keys(call: Call):
    keys = _document_with_mode(call, "Key")["keys"]
    return {"primaryKey": keys["Primary"], "secondaryKey": keys["Secondary"]}


@endpoints.operation("regenerate_keys", "POST", "/{name}/regenerateKeys")
def regenerate_keys(call: Call):
    kind = str((call.body or {}).get("keyType")).capitalize()
    if kind not in _document_with_mode(call, "Key")["keys"]:
        raise invalid_request(("keyType", f"'{kind}' is none of Primary, Secondary."))

    def change(document: dict[str, Any]) -> None:
        # The SDK gives the key that is there, and its own tests say that another one comes of it.
        given = call.body.get("keyValue")
        document["keys"][kind] = given if given and given != document["keys"][kind] else _key()

    call.cloud.state.update(ENDPOINTS, call["name"], change)
    operation = begin_operation(call, call.cloud.clock.now())
    return Answer(202, headers=operation_headers(call, ENDPOINT, operation))


@endpoints.operation("get_token", "POST", "/{name}/token")
def get_token(call: Call):
    _document_with_mode(call, "AMLToken")
    cloud, now = call.cloud, int(call.cloud.clock.now())
    return {
        "accessToken": cloud.tokens.make(cloud.settings.scoring_host(call["name"]), _TOKEN_SECONDS),
        "expiryTimeUtc": now + _TOKEN_SECONDS,
        "refreshAfterTimeUtc": now + _TOKEN_SECONDS // 2,
        "tokenType": "Bearer",
    }


# Operations of endpoints and deployments: "oeidp:..." and "odidp:...".


@location.operation("operation_status", "GET", "/mfeOperationsStatus/{kind}:{workspace_id}:{operation}")
def operation_status(call: Call):
    operation, path = _operation(call), call.request.url.path
    is_over = has_ended(call, operation)
    answer = {
        "id": path,
        "name": path.rpartition("/")[2],
        "status": "Updating",
        "startTime": call.cloud.clock.text(operation["started"]),
        "endTime": call.cloud.clock.text(operation["ready_at"]) if is_over else _NEVER,
        "percentComplete": 0.0,
    }
    if is_over and operation["error"]:
        answer |= {"status": "Failed", "error": {"code": None, "message": operation["error"], "details": []}}
    elif is_over:
        answer["status"] = "Succeeded"
    return Answer(200, answer, {"retry-after": _POLL_SECONDS})


@location.operation("operation_result", "GET", "/mfeOperationResults/o{kind}idp:{workspace_id}:{operation}")
def operation_result(call: Call):
    if has_ended(call, _operation(call)):
        return Answer(200)
    return Answer(202, headers={"location": str(call.request.url), "retry-after": _POLL_SECONDS})


def endpoint_document(call: Call, name: str) -> dict[str, Any]:
    """An endpoint as the state has it.

    Raises:
        AzureError: there is none.
    """
    document = call.cloud.state.get(ENDPOINTS, name)
    if not document:
        raise not_found("workspaces/onlineEndpoints", f"{call['workspace']}/{name}", call["group"])
    return document


def begin_operation(call: Call, ready_at: float | None) -> str:
    """Notes an operation; gives its id. Without `ready_at` it goes on until something ends it."""
    operation = str(uuid.uuid4())
    document = {"started": call.cloud.clock.now(), "ready_at": ready_at, "error": None}
    call.cloud.state.put(OPERATIONS, operation, document)
    return operation


def operation_headers(call: Call, kind: str, operation: str) -> dict[str, str]:
    """Where a client asks how an operation goes on, and where its result is: of PUT, the resource itself."""
    if call.request.method == "PUT":
        result = management_url(call.request.url.path, call.api_version)
    else:
        result = _operation_url(call, "mfeOperationResults", kind, operation)
    return {
        "azure-asyncoperation": _operation_url(call, "mfeOperationsStatus", kind, operation),
        "location": result,
        "x-ms-async-operation-timeout": "PT30M",
        "retry-after": _POLL_SECONDS,
    }


def operation_uri(call: Call, kind: str, document: dict[str, Any]) -> dict[str, str]:
    """What the properties of a resource say of the operation that last changed it."""
    return {"AzureAsyncOperationUri": _operation_url(call, "mfeOperationsStatus", kind, document["operation"])}


def has_ended(call: Call, operation: dict[str, Any]) -> bool:
    return operation["ready_at"] is not None and call.cloud.clock.now() >= operation["ready_at"]


def provisioning_state(call: Call, document: dict[str, Any]) -> str:
    """How an endpoint or a deployment stands, by its last operation."""
    operation = call.cloud.state.get(OPERATIONS, document["operation"])
    if not has_ended(call, operation):
        return "Creating" if document["is_new"] else "Updating"
    return "Failed" if operation["error"] else "Succeeded"


def check_name(name: str, problems: list[tuple[str, str]]) -> None:
    """The rule for names of endpoints and of deployments."""
    if not _NAME.fullmatch(name):
        rule = "3 to 32 letters, digits and hyphens, that start with a letter and do not end with a hyphen"
        problems.append(("name", f"'{name}' is no name here: {rule}."))


def refused(message: str) -> AzureError:
    """What Azure ML answers when its part for inference refuses something; the form as issues show it."""
    inner = json.dumps({"errors": {"": [message]}, "title": "One or more validation errors occurred."})
    details = [{"code": "InferencingClientCallFailed", "message": inner}]
    return AzureError(400, "BadRequest", "The request is invalid.", details=details)


def _check(call: Call) -> None:
    properties, problems = call.properties, []
    check_name(call["name"], problems)
    if properties.get("compute"):
        problems.append(("properties.compute", "Only managed endpoints are emulated: there is no Kubernetes here."))
    traffic = properties.get("traffic") or {}
    if any(not 0 <= share <= 100 for share in traffic.values()) or sum(traffic.values()) not in (0, 100):
        problems.append(("properties.traffic", "The shares of traffic add up to 0 or to 100."))
    if problems:
        raise invalid_request(*problems)
    there = {key.partition("/")[2].lower() for key, _ in call.cloud.state.list(DEPLOYMENTS, f"{call['name']}/")}
    if missing := [name for name in traffic if name.lower() not in there]:
        raise refused(f"Traffic is set for deployments that do not exist: {', '.join(missing)}.")


def _document_with_mode(call: Call, mode: str) -> dict[str, Any]:
    document = endpoint_document(call, call["name"])
    if document["properties"]["authMode"] != mode:
        raise AzureError(400, "UserError", f"The endpoint {call['name']} does not use {mode} authentication.")
    return document


def _key() -> str:
    return "".join(secrets.choice(_KEY_LETTERS) for _ in range(32))


def _operation(call: Call) -> dict[str, Any]:
    operation = call.cloud.state.get(OPERATIONS, call["operation"])
    if not operation:
        raise AzureError(404, "NotFound", f"The operation {call['operation']} was not found.")
    return operation


def _operation_url(call: Call, where: str, kind: str, operation: str) -> str:
    settings = call.cloud.settings
    path = f"/subscriptions/{settings.subscription_id}/providers/{PROVIDER}/locations/{settings.location}"
    return management_url(f"{path}/{where}/{kind}:{settings.workspace_id}:{operation}", call.api_version)


def _resource(call: Call, name: str, document: dict[str, Any]) -> dict[str, Any]:
    cloud, settings, given = call.cloud, call.cloud.settings, document["properties"]
    state = provisioning_state(call, document)
    address = f"https://{settings.scoring_host(name)}"
    path = f"{settings.workspace_path}/onlineEndpoints/{name}"
    return {
        "id": path,
        "name": name,
        "type": f"{PROVIDER}/workspaces/onlineEndpoints",
        "location": settings.location,
        "kind": "Managed",
        "tags": document["tags"],
        "identity": {
            "type": "SystemAssigned",
            **(document["identity"] or {}),
            "principalId": settings.object_id,
            "tenantId": settings.tenant_id,
        },
        "systemData": system_data(settings, cloud.clock, document["created"], document["modified"]),
        "properties": {
            "description": None,
            "compute": None,
            "traffic": {},
            "mirrorTraffic": {},
            "publicNetworkAccess": "Enabled",
            **given,
            "scoringUri": None if state == "Creating" else f"{address}/score",
            "swaggerUri": None if state == "Creating" else f"{address}/swagger.json",
            "provisioningState": state,
            "properties": {
                **(given.get("properties") or {}),
                "azureml.onlineendpointid": path.lower(),
                **operation_uri(call, ENDPOINT, document),
            },
        },
    }
