"""AmlCompute clusters; sizes of machines; usage and quota.

A cluster takes a second to create, which is over when its time has come: its state is read off the clock.
"""

import re
import uuid
from typing import Any

from kaz_azure_emulator.clusters import Lease
from kaz_azure_emulator.service.errors import AzureError, invalid_request, not_found
from kaz_azure_emulator.service.operations import LOCATION, WORKSPACE, Call, Family
from kaz_azure_emulator.service.wire import Answer, management_url, system_data
from kaz_azure_emulator.settings import PROVIDER
from kaz_azure_emulator.sizes import SIZES, size_of

computes = Family("compute", WORKSPACE + "/computes")
location = Family("compute", LOCATION)
FAMILIES = (computes, location)

CREATE_SECONDS = 1.0
_POLL_SECONDS = "1"  # as a number of seconds: 0 would have the SDK wait for 30
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]")
_KINDS = ("AmlCompute",)


@computes.operation("list", "GET", pages=True)
def list_computes(call: Call):
    return {"value": [_resource(call, name, document) for name, document in call.cloud.state.list("computes")]}


@computes.operation("get", "GET", "/{name}")
def get(call: Call):
    return _resource(call, call["name"], _document(call))


@computes.operation("create_or_update", "PUT", "/{name}", request="ComputeResource")
def create_or_update(call: Call):
    cloud, name = call.cloud, call["name"]
    properties = _checked(call)
    now = cloud.clock.now()
    there = cloud.state.get("computes", name)
    operation = str(uuid.uuid4())
    document = {
        "created": there["created"] if there else now,
        "modified": now,
        "ready_at": now + CREATE_SECONDS,
        "location": call.body.get("location") or cloud.settings.location,
        "tags": call.body.get("tags"),
        "identity": call.body.get("identity"),
        "compute": {key: value for key, value in call.properties.items() if key != "properties"},
        "properties": properties,
        "nodes": there.get("nodes", 0) if there else 0,
        "last_used": there.get("last_used", 0) if there else 0,
        "errors": _errors_at_start(call, properties),
    }
    cloud.state.put("computes", name, document)
    cloud.state.put("operations", operation, {"compute": name, "ready_at": document["ready_at"]})
    headers = {"azure-asyncoperation": _operation_url(call, "computeOperationsStatus", operation)}
    return Answer(200 if there else 201, _resource(call, name, document), {**headers, "retry-after": _POLL_SECONDS})


@computes.operation("update", "PATCH", "/{name}", request="ClusterUpdateParameters")
def update(call: Call):
    """Changes how far a cluster scales."""
    scale = (call.properties.get("properties") or {}).get("scaleSettings") or {}
    _document(call)

    def change(document: dict[str, Any]) -> None:
        document["properties"]["scaleSettings"] |= {key: value for key, value in scale.items() if value is not None}
        document["modified"] = call.cloud.clock.now()

    return _resource(call, call["name"], call.cloud.state.update("computes", call["name"], change))


@computes.operation("delete", "DELETE", "/{name}")
def delete(call: Call):
    if "underlyingResourceAction" not in call.query:
        raise AzureError(400, "BadArgument", "underlyingResourceAction is required: Delete or Detach.")
    _document(call)
    call.cloud.state.delete("computes", call["name"])
    operation = str(uuid.uuid4())
    ready_at = call.cloud.clock.now() + CREATE_SECONDS
    call.cloud.state.put("operations", operation, {"compute": call["name"], "ready_at": ready_at})
    place = _operation_url(call, "computeOperationsResults", operation)
    return Answer(202, headers={"location": place, "retry-after": _POLL_SECONDS})


@location.operation("operation_status", "GET", "/computeOperationsStatus/{operation}")
def operation_status(call: Call):
    operation = _operation(call)
    if call.cloud.clock.now() < operation["ready_at"]:
        return Answer(200, {"status": "InProgress"}, {"retry-after": _POLL_SECONDS})
    document = call.cloud.state.get("computes", operation["compute"])
    if document and _has_failed(document):
        return {"status": "Failed", "error": document["errors"][0]["error"]}
    return {"status": "Succeeded"}


@location.operation("operation_result", "GET", "/computeOperationsResults/{operation}")
def operation_result(call: Call):
    if call.cloud.clock.now() < _operation(call)["ready_at"]:
        place = _operation_url(call, "computeOperationsResults", call["operation"])
        return Answer(202, headers={"location": place, "retry-after": _POLL_SECONDS})
    return Answer(200)


@location.operation("list_sizes", "GET", "/vmSizes")
def list_sizes(call: Call):
    return {
        "value": [
            {
                "name": size.name,
                "family": size.family,
                "vCPUs": size.cpus,
                "gpus": size.gpus,
                "osVhdSizeMB": 1_047_552,
                "maxResourceVolumeMB": size.cpus * 16 * 1024,
                "memoryGB": float(size.memory_gib),
                "lowPriorityCapable": True,
                "premiumIO": True,
                "supportedComputeTypes": ["AmlCompute", "ComputeInstance"],
            }
            for size in SIZES
            if _is_offered(call, size.name)
        ]
    }


@location.operation("list_usage", "GET", "/usages", pages=True)
def list_usage(call: Call):
    base = f"/subscriptions/{call['subscription']}/providers/{PROVIDER}/locations/{call['location']}/usages"
    return {
        "value": [
            {
                "id": f"{base}/{name}",
                "type": f"{PROVIDER}/usages",
                "unit": "Count",
                "currentValue": used,
                "limit": allowed,
                "name": {"value": title, "localizedValue": title},
            }
            for name, title, used, allowed in call.cloud.scheduler.clusters.usages()
        ]
    }


def _checked(call: Call) -> dict[str, Any]:
    """A request's properties of the cluster, with what the service fills in."""
    kind, given = call.properties.get("computeType"), call.properties.get("properties") or {}
    scale = given.get("scaleSettings") or {}
    least, most = scale.get("minNodeCount") or 0, scale.get("maxNodeCount")
    problems = []
    if not _NAME.fullmatch(call["name"]):
        rule = "3 to 24 letters, digits and hyphens, that start with a letter and do not end with a hyphen"
        problems.append(("name", f"'{call['name']}' is no name of a compute: {rule}."))
    if kind not in _KINDS:
        problems.append(("properties.computeType", f"'{kind}' is none of {', '.join(_KINDS)}."))
    if not given.get("vmSize"):
        problems.append(("properties.properties.vmSize", "The vmSize field is required."))
    if most is None or not 0 <= least <= most:
        words = f"{least} to {most} nodes: whole numbers from 0 on, the second no smaller, are expected."
        problems.append(("properties.properties.scaleSettings", words))
    if problems:
        raise invalid_request(*problems)
    size = given["vmSize"]
    if not size_of(size) or not _is_offered(call, size):
        where = call.cloud.settings.location
        raise AzureError(400, "InvalidPropertyValue", f"The VM size {size.upper()} is not supported in {where}.")
    return {
        "osType": "Linux",
        "vmPriority": "Dedicated",
        "remoteLoginPortPublicAccess": "NotSpecified",
        "enableNodePublicIp": True,
        "isolatedNetwork": False,
        **given,
        "vmSize": size.upper(),
        "scaleSettings": {
            "minNodeCount": least,
            "maxNodeCount": most,
            "nodeIdleTimeBeforeScaleDown": scale.get("nodeIdleTimeBeforeScaleDown") or "PT120S",
        },
    }


def _errors_at_start(call: Call, properties: dict[str, Any]) -> list[dict[str, Any]]:
    """Nodes that are always there are asked for at once, so that what stands against them is seen at once."""
    least = properties["scaleSettings"]["minNodeCount"]
    size = size_of(properties["vmSize"])
    lease = Lease(call["name"], least, size, properties["vmPriority"] == "LowPriority")
    error = call.cloud.scheduler.clusters.problem(lease) if least else None
    return [{"error": error}] if error else []


def _has_failed(document: dict[str, Any]) -> bool:
    return bool(document["errors"]) and document["properties"]["scaleSettings"]["minNodeCount"] > 0


def _is_offered(call: Call, size: str) -> bool:
    return (call.cloud.state.get("sizes", size.lower()) or {}).get("offered", True)


def _operation(call: Call) -> dict[str, Any]:
    operation = call.cloud.state.get("operations", call["operation"])
    if not operation:
        raise AzureError(404, "NotFound", f"The operation {call['operation']} was not found.")
    return operation


def _operation_url(call: Call, kind: str, operation: str) -> str:
    settings = call.cloud.settings
    path = f"/subscriptions/{settings.subscription_id}/providers/{PROVIDER}/locations/{settings.location}"
    return management_url(f"{path}/{kind}/{operation}", call.api_version) + "&service=new"


def _document(call: Call) -> dict[str, Any]:
    document = call.cloud.state.get("computes", call["name"])
    if not document:
        raise not_found("workspaces/computes", f"{call['workspace']}/{call['name']}", call["group"])
    return document


def _resource(call: Call, name: str, document: dict[str, Any]) -> dict[str, Any]:
    cloud = call.cloud
    is_ready = cloud.clock.now() >= document["ready_at"]
    properties = dict(document["properties"])
    if is_ready and not _has_failed(document):
        counts = cloud.scheduler.clusters.counts(name, document)
        nodes = counts["idleNodeCount"] + counts["runningNodeCount"]
        properties |= {
            "allocationState": "Steady",
            "allocationStateTransitionTime": cloud.clock.text(document["ready_at"]),
            "currentNodeCount": nodes,
            "targetNodeCount": nodes,
            "nodeStateCounts": counts,
        }
    else:
        properties |= {"allocationState": None, "nodeStateCounts": None}
    properties["errors"] = document["errors"] or None
    provisioning = "Creating" if not is_ready else "Failed" if _has_failed(document) else "Succeeded"
    return {
        "id": f"{cloud.settings.workspace_path}/computes/{name}",
        "name": name,
        "type": f"{PROVIDER}/workspaces/computes",
        "location": document["location"],
        "tags": document["tags"],
        "identity": document["identity"],
        "systemData": system_data(cloud.settings, cloud.clock, document["created"], document["modified"]),
        "properties": {
            "createdOn": cloud.clock.text(document["created"]),
            "modifiedOn": cloud.clock.text(document["modified"]),
            "disableLocalAuth": True,
            "description": None,
            "resourceId": None,
            "computeLocation": document["location"],
            **document["compute"],
            "provisioningState": provisioning,
            "provisioningErrors": document["errors"] if provisioning == "Failed" else None,
            "isAttachedCompute": False,
            "properties": properties,
        },
    }
