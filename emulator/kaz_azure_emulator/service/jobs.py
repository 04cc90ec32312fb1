"""Command and sweep jobs: checked, given what the service fills in, handed to the scheduler; cancelled and listed."""

import re
import uuid
from typing import Any

from kaz_azure_emulator.locations import asset_key, default_output
from kaz_azure_emulator.scheduler import FINAL, KIND
from kaz_azure_emulator.service.errors import AzureError, invalid_request
from kaz_azure_emulator.service.operations import LOCATION, WORKSPACE, Call, Family
from kaz_azure_emulator.service.wire import Answer, management_url, system_data
from kaz_azure_emulator.settings import PROVIDER

jobs = Family("jobs", WORKSPACE + "/jobs")
location = Family("jobs", LOCATION)
FAMILIES = (jobs, location)

_POLL_SECONDS = "1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")
_KINDS = ("Command", "Sweep")
_FIXED = ("jobType", "command", "codeId", "environmentId", "computeId")  # what of a job can never be changed
_CHANGEABLE = ("displayName", "description", "tags", "isArchived")


@jobs.operation("list", "GET", pages=True)
def list_jobs(call: Call):
    view = call.query.get("listViewType", "ActiveOnly")
    found = [
        _resource(call, name, document)
        for name, document in reversed(call.cloud.state.list(KIND))
        if not document.get("parent")
        and (view == "All" or bool(document["properties"].get("isArchived")) is (view == "ArchivedOnly"))
        and call.query.get("jobType", document["properties"]["jobType"]) == document["properties"]["jobType"]
    ]
    return {"value": found}


@jobs.operation("get", "GET", "/{name}")
def get(call: Call):
    return _resource(call, call["name"], job_document(call, call["name"]))


@jobs.operation("create_or_update", "PUT", "/{name}", request="JobBase")
def create_or_update(call: Call):
    cloud, name, given = call.cloud, call["name"], dict(call.properties)
    if there := cloud.state.get(KIND, name):
        return _changed(call, there, given)
    given["experimentName"] = given.get("experimentName") or "Default"
    _check(call, given)
    given["displayName"] = given.get("displayName") or name
    document = cloud.scheduler.create(name, given)
    answer = Answer(201, _resource(call, name, document))
    cloud.scheduler.submit(name)
    return answer


@jobs.operation("cancel", "POST", "/{name}/cancel")
def cancel(call: Call):
    name = call["name"]
    if job_document(call, name)["status"] not in FINAL:
        call.cloud.scheduler.cancel(name)
    settings = call.cloud.settings
    path = f"/subscriptions/{settings.subscription_id}/providers/{PROVIDER}/locations/{settings.location}"
    operation = f"{path}/mfeOperationResults/jc:{settings.workspace_id}:{name}:{uuid.uuid4()}"
    headers = {"location": management_url(operation, call.api_version), "retry-after": _POLL_SECONDS}
    return Answer(202, headers=headers)


@location.operation("cancel_result", "GET", "/mfeOperationResults/{operation}")
def cancel_result(call: Call):
    name = call["operation"].split(":")[2] if call["operation"].count(":") == 3 else ""
    if job_document(call, name)["status"] in FINAL:
        return Answer(200)
    headers = {"location": str(call.request.url), "retry-after": _POLL_SECONDS}
    return Answer(202, headers=headers)


def job_document(call: Call, name: str) -> dict[str, Any]:
    """A job as the state has it.

    Raises:
        AzureError: there is none.
    """
    document = call.cloud.state.get(KIND, name)
    if not document:
        raise AzureError(404, "UserError", f"Run {name} was not found.")
    return document


def change_job(call: Call, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes what of a job can be changed; tags and properties are added to those that are there."""

    def change(document: dict[str, Any]) -> None:
        for field in ("displayName", "description", "isArchived"):
            if changes.get(field) is not None:
                document["properties"][field] = changes[field]
        for field in ("tags", "properties"):
            document["properties"][field] = {**(document["properties"].get(field) or {}), **(changes.get(field) or {})}

    return call.cloud.state.update(KIND, name, change)


def _changed(call: Call, there: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    if any(there["properties"].get(field) != given.get(field) for field in _FIXED):
        raise AzureError(
            409,
            "UserError",
            f"A job with this name already exists: {call['name']}. If you are trying to create a new job, use a "
            "different name. If you are trying to update an existing job, its settings cannot be changed. "
            "Only description, tags, displayName, properties and isArchived can be updated.",
        )

    def change(document: dict[str, Any]) -> None:
        document["properties"] |= {field: given[field] for field in _CHANGEABLE if field in given}

    return _resource(call, call["name"], call.cloud.state.update(KIND, call["name"], change))


def _check(call: Call, job: dict[str, Any]) -> None:
    """Refuses what Azure refuses.

    Raises:
        AzureError: the job is not as it must be.
    """
    problems = []
    if not _NAME.fullmatch(call["name"]):
        problems.append(("name", f"'{call['name']}' is no name of a job."))
    kind = job["jobType"]
    if kind not in _KINDS:
        problems.append(("properties.jobType", f"Of jobs, {' and '.join(_KINDS)} are emulated, not {kind}."))
    elif kind == "Command":
        _check_run(job, "properties", problems)
    else:
        _check_run(job["trial"], "properties.trial", problems)
        if not isinstance(job["searchSpace"], dict) or not job["searchSpace"]:
            problems.append(("properties.searchSpace", "The searchSpace field is required."))
    if problems:
        raise invalid_request(*problems)
    run = job if kind == "Command" else job["trial"]
    _check_there(call, run)
    compute = (job.get("computeId") or "").rpartition("/")[2]
    if compute and not call.cloud.state.get("computes", compute):
        words = f"{job['experimentName']}: Compute Not Found for run ID : {call['name']}"
        raise AzureError(400, "UserError", words)


def _check_run(run: dict[str, Any], where: str, problems: list[tuple[str, str]]) -> None:
    """Counts, of which the models say no more than that they are whole numbers."""
    counts = {
        "resources": ("instanceCount",),
        "distribution": ("processCountPerInstance", "workerCount"),
    }
    for part, fields in counts.items():
        for field in fields:
            count = (run.get(part) or {}).get(field)
            if count is not None and count < 1:
                problems.append((f"{where}.{part}.{field}", f"{count} is not a whole number from 1 on."))


def _check_there(call: Call, run: dict[str, Any]) -> None:
    """Code and environment must have been registered before the job."""
    for kind, field in (("codes", "codeId"), ("environments", "environmentId")):
        uri = run.get(field)
        if not uri or "://registries/" in uri:
            continue
        key = asset_key(uri)
        if not key or not call.cloud.state.get(kind, key[1]):
            raise AzureError(400, "UserError", f"Request is invalid: {field} {uri} was not found in this workspace.")


def _resource(call: Call, name: str, document: dict[str, Any]) -> dict[str, Any]:
    settings, given = call.cloud.settings, document["properties"]
    cluster = (given.get("computeId") or "").rpartition("/")[2]
    web = f"https://ml.azure.com/runs/{name}?wsid={settings.workspace_path}&tid={settings.tenant_id}"
    properties = {
        "description": None,
        "tags": {},
        "isArchived": False,
        "componentId": None,
        "identity": None,
        "inputs": {},
        **given,
        "status": document["status"],
        "services": {
            "Tracking": {"jobServiceType": "Tracking", "endpoint": settings.tracking_uri},
            "Studio": {"jobServiceType": "Studio", "endpoint": web},
            **{key: value for key, value in (given.get("services") or {}).items() if value},
        },
        "properties": {
            **(given.get("properties") or {}),
            "_azureml.ComputeTargetType": "amlctrain",
            "_azureml.ClusterName": cluster,
            **document.get("run_properties", {}),
        },
        "outputs": {
            **(given.get("outputs") or {}),
            "default": {"jobOutputType": "uri_folder", "mode": "ReadWriteMount", "uri": default_output(name)},
        },
    }
    if given["jobType"] == "Command":
        properties["parameters"] = {}
    return {
        "id": f"{settings.workspace_path}/jobs/{name}",
        "name": name,
        "type": f"{PROVIDER}/workspaces/jobs",
        "properties": properties,
        "systemData": system_data(settings, call.cloud.clock, document["created"]),
    }
