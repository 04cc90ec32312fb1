"""Run history: how runs went, their logs, their outputs and their artifacts."""

import re
from typing import Any

from kaz_azure_emulator.locations import Location, long_form, named_output, run_folder
from kaz_azure_emulator.scheduler import FINAL, KIND
from kaz_azure_emulator.service.errors import AzureError
from kaz_azure_emulator.service.jobs import change_job, job_document
from kaz_azure_emulator.service.operations import API_HOST, WORKSPACE, Call, Family
from kaz_azure_emulator.storage import ARTIFACT_STORE, containers

history = Family("history", "/history/v1.0" + WORKSPACE, API_HOST)
data = Family("history", "/data/v1.0" + WORKSPACE, API_HOST)
FAMILIES = (history, data)

_LOG_FOLDERS = ("user_logs/", "system_logs/", "azureml-logs/", "logs/")
# As the real service writes them in run history, and unlike in jobs: the SDK is wrong about it (PR 48972).
_TYPES = {"uri_folder": "UriFolder", "uri_file": "UriFile", "mltable": "MLTable", "custom_model": "CustomModel"}
_OUTPUT_ASSET = re.compile(
    r"azureml://locations/[^/]+/workspaces/[^/]+/data/azureml_(?P<run>.+)_output_data_(?P<output>[^/]+)/versions/1"
)


@history.operation("run_details", "GET", "/runs/{run}/details")
def run_details(call: Call):
    document = job_document(call, call["run"])
    return {
        **_run(call, call["run"], document),
        "runDefinition": None,
        "logFiles": {path: _blob_url(call, call["run"], path) for path in _log_files(call, call["run"])},
        "inputDatasets": [],
        "outputDatasets": [],
        "jobCost": None,
        "warnings": None,
    }


@history.operation("run", "GET", "/runs/{run}")
def run(call: Call):
    return _run(call, call["run"], job_document(call, call["run"]))


@history.operation("children", "GET", "/runs/{run}/children", pages=True)
def children(call: Call):
    found = call.cloud.state.list(KIND)
    return {"value": [_run(call, name, child) for name, child in found if child.get("parent") == call["run"]]}


@history.operation("run_data", "POST", "/rundata")
def run_data(call: Call):
    name = (call.body or {}).get("runId", "")
    return {"runMetadata": _run(call, name, job_document(call, name)), "runDefinition": None, "jobSpecification": None}


@data.operation("resolved_uris", "POST", "/dataversion/batchGetResolvedUris")
def resolved_uris(call: Call):
    values = {}
    for asset in (call.body or {}).get("values") or []:
        found = _OUTPUT_ASSET.fullmatch(asset)
        document = call.cloud.state.get(KIND, found["run"]) if found else None
        outputs = (document["properties"].get("outputs") if document else None) or {}
        if found and (output := outputs.get(found["output"])):
            uri = output.get("uri") or named_output(found["run"], found["output"])
            is_folder = output["jobOutputType"] != "uri_file"
            values[asset] = {
                "uri": long_form(call.cloud.settings, uri, is_folder=is_folder),
                "type": _TYPES.get(output["jobOutputType"], "UriFolder"),
            }
    return {"values": values}


def _of_experiment(path: str, name: str, method: str, **more: Any):
    """Says that a handler answers under an experiment's name and under its id."""

    def add(handler):
        for experiment in ("experiments", "experimentids"):
            history.operation(name, method, f"/{experiment}/{{experiment}}/runs/{{run}}{path}", **more)(handler)
        return handler

    return add


@_of_experiment("", "experiment_run", "GET")
def experiment_run(call: Call):
    return run(call)


@_of_experiment("", "update_run", "PATCH")
def update_run(call: Call):
    """Changes tags, the shown name and the like; `hidden` is what jobs call archived."""
    job_document(call, call["run"])
    changes = {**call.body, "isArchived": call.body.get("hidden")}
    document = change_job(call, call["run"], changes)
    for key, value in (call.body.get("tags") or {}).items():
        call.cloud.tracking.set_tag(call["run"], key, str(value))
    return _run(call, call["run"], document)


@_of_experiment("/token", "run_token", "GET")
def run_token(call: Call):
    """A new token for a job whose first one expires."""
    from kaz_azure_emulator.descriptions import TOKEN_AUDIENCE, TOKEN_SECONDS

    expiry = call.cloud.clock.text(call.cloud.clock.now() + TOKEN_SECONDS)
    return {"token": call.cloud.tokens.make(TOKEN_AUDIENCE, TOKEN_SECONDS), "tokenExpiryTimeUtc": expiry}


@_of_experiment("/artifacts", "list_artifacts", "GET", pages=True)
def list_artifacts(call: Call):
    paths = _artifact_paths(call)
    return {"value": [_artifact(call, path) for path in paths]}


@_of_experiment("/artifacts/path", "artifacts_below", "GET", pages=True)
def artifacts_below(call: Call):
    prefix = call.query.get("path", "")
    return {"value": [_artifact(call, path) for path in _artifact_paths(call) if path.startswith(prefix)]}


@_of_experiment("/artifacts/batch/metadata", "create_artifacts", "POST")
def create_artifacts(call: Call):
    """Places for new artifacts, which the client then writes to storage itself."""
    _check_run(call)
    paths = [entry["path"] for entry in (call.body or {}).get("paths") or []]
    return {
        "artifacts": {path: _artifact(call, path) for path in paths},
        "artifactContentInformation": {path: _content(call, path, "rcw") for path in paths},
        "errors": {},
    }


@_of_experiment("/artifacts/contentinfo", "artifact_content", "GET")
def artifact_content(call: Call):
    path = call.query.get("path", "")
    if path not in _artifact_paths(call):
        raise AzureError(404, "UserError", f"Artifact {path} of run {call['run']} was not found.")
    return _content(call, path, "r")


@_of_experiment("/artifacts/prefix/contentinfo", "artifact_contents", "GET", pages=True)
def artifact_contents(call: Call):
    prefix = call.query.get("path", "")
    return {"value": [_content(call, path, "r") for path in _artifact_paths(call) if path.startswith(prefix)]}


def _place(call: Call, run_name: str, path: str = "") -> Location:
    container = containers(call.cloud.settings)[ARTIFACT_STORE]
    return Location(container, f"{run_folder(run_name)}/{path}")


def _blob_url(call: Call, run_name: str, path: str, permissions: str = "r") -> str:
    place = _place(call, run_name, path)
    return call.cloud.storage.blob_url(place.container, place.path, permissions)


def _paths(call: Call, run_name: str) -> list[str]:
    folder = _place(call, run_name)
    return [path.removeprefix(folder.path) for path in call.cloud.storage.blobs(folder.container, folder.path)]


def _log_files(call: Call, run_name: str) -> list[str]:
    return [path for path in _paths(call, run_name) if path.startswith(_LOG_FOLDERS)]


def _artifact_paths(call: Call) -> list[str]:
    _check_run(call)
    return _paths(call, call["run"])


def _check_run(call: Call) -> None:
    if not call.cloud.tracking.is_known(call["run"]):
        raise AzureError(404, "UserError", f"Run {call['run']} was not found.")


def _artifact(call: Call, path: str) -> dict[str, Any]:
    container = f"dcid.{call['run']}"
    return {
        "artifactId": f"ExperimentRun/{container}/{path}",
        "origin": "ExperimentRun",
        "container": container,
        "path": path,
    }


def _content(call: Call, path: str, permissions: str) -> dict[str, Any]:
    return {
        "contentUri": _blob_url(call, call["run"], path, permissions),
        "origin": "ExperimentRun",
        "container": f"dcid.{call['run']}",
        "path": path,
    }


def _run(call: Call, name: str, document: dict[str, Any]) -> dict[str, Any]:
    """A run as history shows it."""
    cloud, job = call.cloud, document["properties"]
    error = document.get("error")
    time_of = {key: cloud.clock.text(document[key]) if document.get(key) else None for key in ("started", "ended")}
    cluster = (job.get("computeId") or "").rpartition("/")[2] or None
    return {
        "runId": name,
        "runUuid": document.get("run_uuid"),
        "parentRunId": document.get("parent"),
        "rootRunId": document.get("parent") or name,
        "experimentId": document["experiment_id"],
        "name": None,
        "displayName": job.get("displayName"),
        "description": job.get("description"),
        "status": document["status"],
        "target": cluster,
        "createdUtc": cloud.clock.text(document["created"]),
        "startTimeUtc": time_of["started"],
        "endTimeUtc": time_of["ended"],
        "hidden": bool(job.get("isArchived")),
        "runType": "azureml.HyperDriveRun" if job["jobType"] == "Sweep" else "azureml.commandjob",
        "runTypeV2": {"orchestrator": None, "traits": [], "computeType": "AmlCompute"},
        "tags": job.get("tags") or {},
        "properties": {**(job.get("properties") or {}), **document.get("run_properties", {})},
        "userId": cloud.settings.object_id,
        "error": {"error": {**error, "details": [], "messageParameters": {}}} if error else None,
        "outputs": _outputs(call, name, document),
    }


def _outputs(call: Call, name: str, document: dict[str, Any]) -> dict[str, Any] | None:
    """A finished run's named outputs are data assets."""
    if document["status"] not in FINAL:
        return None
    settings = call.cloud.settings
    base = f"azureml://locations/{settings.location}/workspaces/{settings.workspace_id}/data"
    return {
        output: {
            "assetId": f"{base}/azureml_{name}_output_data_{output}/versions/1",
            "type": _TYPES.get(entry["jobOutputType"], "UriFolder"),
        }
        for output, entry in (document["properties"].get("outputs") or {}).items()
        if output != "default"
    }
