"""Datastores: the two in blob storage that every workspace has, those that clients add, and their secrets.

As recorded, secrets of a datastore with an account key are an account SAS, not the key.
"""

from kaz_azure_emulator.service.errors import AzureError
from kaz_azure_emulator.service.operations import WORKSPACE, Call, Family
from kaz_azure_emulator.service.wire import Answer, system_data
from kaz_azure_emulator.settings import PROVIDER
from kaz_azure_emulator.storage import ARTIFACT_STORE, BLOB_STORE, containers

datastores = Family("datastores", WORKSPACE + "/datastores")
FAMILIES = (datastores,)


@datastores.operation("list", "GET", pages=True)
def list_datastores(call: Call):
    found = [_resource(call, name) for name in _names(call)]
    if "isDefault" in call.query:
        wanted = call.query["isDefault"].lower() == "true"
        found = [store for store in found if store["properties"]["isDefault"] is wanted]
    return {"value": found}


@datastores.operation("get", "GET", "/{name}")
def get(call: Call):
    _check_exists(call)
    return _resource(call, call["name"])


@datastores.operation("create_or_update", "PUT", "/{name}", request="Datastore")
def create_or_update(call: Call):
    if call["name"] in containers(call.cloud.settings):
        raise AzureError(409, "UserError", f"The datastore {call['name']} is managed by the workspace.")
    state, name = call.cloud.state, call["name"]
    there = state.get("datastores", name)
    created = there["created"] if there else call.cloud.clock.now()
    state.put("datastores", name, {"created": created, "properties": call.properties})
    return Answer(200 if there else 201, _resource(call, name))


@datastores.operation("delete", "DELETE", "/{name}")
def delete(call: Call):
    return Answer(200 if call.cloud.state.delete("datastores", call["name"]) else 204)


@datastores.operation("list_secrets", "POST", "/{name}/listSecrets", request="SecretExpiry")
def list_secrets(call: Call):
    _check_exists(call)
    added = call.cloud.state.get("datastores", call["name"])
    if added and added["properties"]["credentials"]["credentialsType"] == "None":
        raise AzureError(400, "UserError", f"No secrets for credential-less datastore {call['name']}.")
    hours = call.body.get("expireAfterHours") or 1
    return {"secretsType": "Sas", "sasToken": call.cloud.storage.account_signature(hours)}


def _names(call: Call) -> list[str]:
    return [BLOB_STORE, ARTIFACT_STORE, *(name for name, _ in call.cloud.state.list("datastores"))]


def _check_exists(call: Call) -> None:
    if call["name"] not in _names(call):
        raise AzureError(404, "UserError", f"Could not find datastore with name {call['name']}.")


def _resource(call: Call, name: str):
    settings, cloud = call.cloud.settings, call.cloud
    added = cloud.state.get("datastores", name)
    if added:
        # Secrets are given by listSecrets alone.
        credentials = {key: value for key, value in added["properties"]["credentials"].items() if key != "secrets"}
        properties = {"isDefault": False, **added["properties"], "credentials": credentials}
    else:
        properties = {
            "description": None,
            "tags": None,
            "properties": None,
            "isDefault": name == BLOB_STORE,
            "credentials": {"credentialsType": "AccountKey"},
            "datastoreType": "AzureBlob",
            "subscriptionId": settings.subscription_id,
            "resourceGroup": settings.resource_group,
            "accountName": settings.account_name,
            "containerName": containers(settings)[name],
            "endpoint": "core.windows.net",
            "protocol": "https",
            "serviceDataAccessAuthIdentity": "None",
        }
    return {
        "id": f"{settings.workspace_path}/datastores/{name}",
        "name": name,
        "type": f"{PROVIDER}/workspaces/datastores",
        "properties": properties,
        "systemData": system_data(settings, cloud.clock, added["created"] if added else cloud.created),
    }
