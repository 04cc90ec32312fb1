"""MLflow's own API behind the workspace's tracking address: passed on to the real server.

Azure answers version 2.0 of the API, and knows nothing of logged models: 404 (azure-sdk-for-python issue 44896).
"""

import functools
import json
from typing import Any

import httpx
from starlette.responses import Response

from kaz_azure_emulator.service.errors import AzureError
from kaz_azure_emulator.service.operations import API_HOST, WORKSPACE, Call, Family

mlflow = Family("mlflow", "/mlflow/{version}" + WORKSPACE, API_HOST)
FAMILIES = (mlflow,)

# What of MLflow's server Azure does not have
_ABSENT = ("logged-models", "traces", "mlflow-artifacts", "scorers", "webhooks", "prompts")
_METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT")


@mlflow.operation("log_batch_async", "POST", "/api/2.0/preview/mlflow/runs/log-batch-async")
async def log_batch_async(call: Call):
    """Azure's own variant of log-batch, for which clients do not wait."""
    answer = await _ask(call, "POST", "/api/2.0/mlflow/runs/log-batch")
    if answer.status_code != 200:
        return _response(call, answer)
    return {"batch_tracking_id": ""}


async def _forward(call: Call):
    path = call["rest"]
    if any(part in _ABSENT for part in path.split("/")):
        raise AzureError(404, "UserError", f"The requested resource {path} was not found.")
    return _response(call, await _ask(call, call.request.method, f"/api/2.0/mlflow/{path}"))


for _method in _METHODS:
    mlflow.operation(f"forward.{_method.lower()}", _method, "/api/2.0/mlflow/{rest:path}")(_forward)


async def _ask(call: Call, method: str, path: str) -> httpx.Response:
    tracking = call.cloud.tracking
    query = tracking.request_for_mlflow(dict(call.query))
    body = None if call.body is None else tracking.request_for_mlflow(call.body)
    return await _client().request(method, tracking.address + path, params=query, json=body)


@functools.cache
def _client() -> httpx.AsyncClient:
    """One for all requests; the loopback address is never asked for through the proxy that the environment names."""
    return httpx.AsyncClient(trust_env=False, timeout=60)


def _response(call: Call, answer: httpx.Response) -> Response:
    body: Any = answer.content
    if "json" in answer.headers.get("content-type", ""):
        body = json.dumps(call.cloud.tracking.answer_for_client(answer.json()))
    return Response(body, answer.status_code, media_type=answer.headers.get("content-type"))
