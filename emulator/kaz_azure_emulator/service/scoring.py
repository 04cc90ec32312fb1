"""What online endpoints answer: who may ask, which deployment answers, and what Azure makes of its answer.

A model's own errors are 424 with the model's status in a header (Microsoft's "HTTP status codes for online endpoints",
and the Lua filter of its model gateway). Azure's front answers in plain text.
"""

import functools
import random
import secrets
from typing import Any

import httpx
from starlette.responses import Response

from kaz_azure_emulator.deployments import DEPLOYMENTS, ENDPOINTS
from kaz_azure_emulator.durations import seconds_of
from kaz_azure_emulator.service.operations import Call, Family

scoring = Family("scoring", host="{endpoint}.{location}.inference.ml.azure.com")
FAMILIES = (scoring,)

_DEPLOYMENT_HEADER = "azureml-model-deployment"
_AAD_AUDIENCE = "https://ml.azure.com"
_GUIDE = (
    "\nPlease check this guide to understand why this error code might have been returned \n"
    "https://docs.microsoft.com/en-us/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes\n"
)
_NO_ROUTE = (
    "No valid deployments to route to. Please check that the endpoint has at least one deployment with positive weight "
    "values or use a deployment specific header to route. [https://docs.microsoft.com/en-us/azure/machine-learning/"
    "how-to-safely-rollout-managed-endpoints#deploy-a-new-model-but-send-it-no-traffic-yet]"
)


@scoring.operation("score", "POST", "/score", anonymous=True, raw=True)
async def score(call: Call):
    state = call.cloud.state
    found = {name.lower(): (name, document) for name, document in state.list(ENDPOINTS)}
    if call["endpoint"].lower() not in found:
        return _plain(404, "The endpoint was not found.")  # a connection that outlived its endpoint
    endpoint, document = found[call["endpoint"].lower()]
    if refusal := _refusal(call, endpoint, document):
        return _plain(401, refusal)

    prefix = f"{endpoint}/"
    there = {key.removeprefix(prefix).lower(): (key, each) for key, each in state.list(DEPLOYMENTS, prefix)}
    wanted = call.request.headers.get(_DEPLOYMENT_HEADER)
    if wanted and wanted.lower() not in there:
        return _plain(404, "Specified deployment could not be found.")
    name = wanted or _by_traffic(document["properties"].get("traffic") or {})
    if not name:
        return _plain(404, _NO_ROUTE)
    key, deployment = there[name.lower()]
    answer = await _ask(call, key, deployment)
    answer.headers[_DEPLOYMENT_HEADER] = key.removeprefix(prefix)
    return answer


def _refusal(call: Call, endpoint: str, document: dict[str, Any]) -> str | None:
    """Why a request may not be answered; None if it may."""
    mode, cloud = document["properties"]["authMode"], call.cloud
    kind = "key" if mode == "Key" else "token"
    scheme, _, given = call.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        return f"{kind}_auth_bad_header_forbidden"
    if mode == "Key":
        is_right = any(secrets.compare_digest(given.encode(), key.encode()) for key in document["keys"].values())
    else:
        audience = _AAD_AUDIENCE if mode == "AADToken" else cloud.settings.scoring_host(endpoint)
        is_right = cloud.tokens.problem(given, [audience]) is None
    return None if is_right else f"{kind}_auth_access_denied"


def _by_traffic(traffic: dict[str, int]) -> str | None:
    shares = {name: share for name, share in traffic.items() if share}
    return random.choices(list(shares), list(shares.values()))[0] if shares else None


async def _ask(call: Call, key: str, deployment: dict[str, Any]) -> Response:
    port = call.cloud.deployments.port(key)
    if port is None:
        return _model_error("model_not_ready", 503)
    request, seconds = call.request, seconds_of(deployment["properties"]["requestSettings"]["requestTimeout"])
    # The container is not told the key; the others are of this connection, and not of the next.
    hidden = ("authorization", "host", "content-length", "transfer-encoding", "connection")
    headers = {name: value for name, value in request.headers.items() if name not in hidden}
    try:
        answer = await _client().post(
            f"http://127.0.0.1:{port}/score", content=await request.body(), headers=headers, timeout=seconds
        )
    except httpx.TimeoutException:
        return _plain(408, "upstream request timeout")
    except httpx.TransportError:
        return _model_error("model_error", 502)
    if answer.status_code == 200:
        return Response(answer.content, 200, _own_headers(answer))
    failure = _model_error("model_error", answer.status_code, answer.content)
    failure.headers.update(_own_headers(answer))
    return failure


def _own_headers(answer: httpx.Response) -> dict[str, str]:
    """The headers of a container's answer that reach the client."""
    return {name: value for name, value in answer.headers.items() if name.startswith("x-ms-") or name == "content-type"}


def _model_error(reason: str, status: int, content: bytes = b"") -> Response:
    headers = {"ms-azureml-model-error-reason": reason, "ms-azureml-model-error-statuscode": str(status)}
    return Response(content, 424, headers)


def _plain(status: int, text: str) -> Response:
    return Response(text + _GUIDE, status, media_type="text/plain")


@functools.cache
def _client() -> httpx.AsyncClient:
    """One for all requests; the loopback address is never asked for through the proxy that the environment names."""
    return httpx.AsyncClient(trust_env=False)
