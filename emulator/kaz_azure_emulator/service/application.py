"""The web application: every operation behind its host and path, with faults, tokens, scopes and errors around it."""

import inspect
import json
import logging
import re
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Host, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from kaz_azure_emulator.cloud import Cloud
from kaz_azure_emulator.faults import Fault
from kaz_azure_emulator.service import (
    assets,
    computes,
    control,
    datastores,
    deployments,
    discovery,
    endpoints,
    history,
    identity,
    jobs,
    mlflow,
    paging,
    schemas,
    scoring,
    workspaces,
)
from kaz_azure_emulator.service.errors import AzureError, not_found
from kaz_azure_emulator.service.operations import API_HOST, Call, Operation
from kaz_azure_emulator.service.wire import Answer, common_headers, etag
from kaz_azure_emulator.settings import MANAGEMENT_HOST, PROVIDER

log = logging.getLogger(__name__)

FAMILIES = (
    *identity.FAMILIES,
    *discovery.FAMILIES,
    *workspaces.FAMILIES,
    *computes.FAMILIES,
    *datastores.FAMILIES,
    *assets.FAMILIES,
    *endpoints.FAMILIES,  # before the jobs': theirs takes every operation's result
    *deployments.FAMILIES,
    *scoring.FAMILIES,
    *jobs.FAMILIES,
    *history.FAMILIES,
    *mlflow.FAMILIES,
    *control.FAMILIES,
)


def operations() -> list[Operation]:
    """Everything that is answered."""
    return [operation for family in FAMILIES for operation in family]


def application(cloud: Cloud) -> ASGIApp:
    """The service for uvicorn."""
    by_host: dict[str, list[Route]] = {}
    for operation in operations():
        host = operation.host.replace(API_HOST, cloud.settings.api_host)
        route = Route(operation.path, _endpoint(cloud, operation), methods=[operation.method], name=operation.name)
        by_host.setdefault(host, []).append(route)
    hosts = [Host(host, Router(routes, redirect_slashes=False)) for host, routes in by_host.items()]

    async def unknown(request: Request, error: Exception) -> Response:
        return _unknown(cloud, request, error.status_code if isinstance(error, HTTPException) else 404)

    return _Spelling(Starlette(routes=hosts, exception_handlers={404: unknown, 405: unknown}))


class _Spelling:
    """Resource Manager does not care how the fixed words of a path are spelled; routes do."""

    _WORDS = tuple(
        (re.compile(f"/{re.escape(word)}/", re.IGNORECASE), f"/{word}/")
        for word in ("subscriptions", "resourceGroups", "providers", PROVIDER, "workspaces")
    )

    def __init__(self, inner: ASGIApp):
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            for pattern, word in self._WORDS:
                path = pattern.sub(word, path, count=1)
            scope = {**scope, "path": path}
        await self._inner(scope, receive, send)


def _endpoint(cloud: Cloud, operation: Operation):
    async def endpoint(request: Request) -> Response:
        # The emulator's own operations go well, or no fault could be taken back.
        fault = None if operation in control.control else cloud.faults.take(operation.name)
        try:
            if fault:
                await _meet(cloud, request, fault)
            if not operation.anonymous:
                identity.check_token(cloud, request.headers.get("authorization"))
            _check_scope(cloud, request)
            body = None if operation.raw else await _json(request)
            if operation.request:
                body = schemas.checked(operation.request, body)
            call = Call(cloud, request, request.path_params, request.query_params, body)
            if inspect.iscoroutinefunction(operation.handler):
                answer = await operation.handler(call)
            else:
                answer = await run_in_threadpool(operation.handler, call)
            if operation.pages:
                answer = paging.page(call, answer)
        except AzureError as error:
            answer = Answer(error.status, error.body, error.headers)
        except Exception:
            log.exception("%s failed", operation.name)
            answer = Answer(500, AzureError(500, None, "An internal server error occurred.").body)
        response = answer if isinstance(answer, Response) else _response(answer)
        for name, value in common_headers(request.headers.get("x-ms-client-request-id")).items():
            response.headers.setdefault(name, value)
        log.info("%s %d", operation.name, response.status_code)
        return response

    return endpoint


async def _meet(cloud: Cloud, request: Request, fault: Fault) -> None:
    """Does what somebody asked for: is slow, cuts the connection, answers with an error."""
    await cloud.clock.sleep(fault.delay)
    if fault.cut and request.client:
        cloud.proxy.cut(request.client.port)
        raise AzureError(500, None, "Nobody gets this answer.")
    if fault.status:
        headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
        raise AzureError(fault.status, fault.code, fault.message, headers=headers)


def _check_scope(cloud: Cloud, request: Request) -> None:
    """Answers as Azure does for a subscription, a group, a workspace or a location that is not there."""
    settings, path = cloud.settings, request.path_params
    subscription, group, workspace = path.get("subscription"), path.get("group"), path.get("workspace")
    if request.url.hostname == MANAGEMENT_HOST and subscription and "api-version" not in request.query_params:
        raise AzureError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if subscription and subscription.lower() != settings.subscription_id.lower():
        raise AzureError(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
    if group and group.lower() != settings.resource_group.lower():
        raise AzureError(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
    if workspace and workspace.lower() != settings.workspace_name.lower():
        raise not_found("workspaces", workspace, settings.resource_group)
    if (location := path.get("location")) and location.lower() != settings.location.lower():
        raise AzureError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{location}' for type 'locations'.",
        )


async def _json(request: Request) -> Any:
    if "json" not in request.headers.get("content-type", ""):
        return None
    body = await request.body()
    try:
        return json.loads(body) if body else None
    except ValueError as error:
        message = f"The request content was invalid and could not be deserialized: '{error}'."
        raise AzureError(400, "InvalidRequestContent", message) from error


def _response(answer: Any) -> Response:
    answer = answer if isinstance(answer, Answer) else Answer(body=answer)
    if answer.body is None:
        return Response(status_code=answer.status, headers=answer.headers)
    headers = dict(answer.headers)
    if answer.status < 300:
        headers.setdefault("etag", etag(answer.body))
    content = json.dumps(answer.body, separators=(",", ":"))
    return Response(content, answer.status, headers, media_type="application/json")


def _unknown(cloud: Cloud, request: Request, status: int) -> Response:
    """Nothing is known of this request; it is noted, so that what is missing here can be seen by name."""
    what = f"{request.method} {request.url.hostname}{_without_names(cloud, request.url.path)}"
    cloud.note_unknown(what)
    log.warning("unknown: %s", what)
    if status == 405:
        error = AzureError(405, None, f"The requested resource does not support http method '{request.method}'.")
    elif request.url.hostname == MANAGEMENT_HOST:
        version = request.query_params.get("api-version", "")
        error = AzureError(
            404,
            "InvalidResourceType",
            f"The resource type could not be found in the namespace '{PROVIDER}' for api version '{version}'.",
        )
    else:
        error = AzureError(404, "UserError", "The requested resource was not found.")
    response = _response(Answer(404 if status == 404 else status, error.body))
    response.headers.update(common_headers(request.headers.get("x-ms-client-request-id")))
    return response


def _without_names(cloud: Cloud, path: str) -> str:
    return path.replace(cloud.settings.workspace_path, "{workspace}")
