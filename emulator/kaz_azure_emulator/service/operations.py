"""Operations: how each family of resources says which requests it answers, and what its handlers get."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from kaz_azure_emulator.cloud import Cloud
from kaz_azure_emulator.settings import MANAGEMENT_HOST, PROVIDER

# Path templates; `{api}` is for the data-plane host, as `management.azure.com` is for Resource Manager.
GROUP = "/subscriptions/{subscription}/resourceGroups/{group}"
WORKSPACE = GROUP + f"/providers/{PROVIDER}/workspaces/{{workspace}}"
LOCATION = f"/subscriptions/{{subscription}}/providers/{PROVIDER}/locations/{{location}}"
API_HOST = "{api}"


@dataclass(frozen=True)
class Call:
    """A request, as a handler gets it: allowed, of this workspace, and with its body read."""

    cloud: Cloud
    request: Request
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any

    def __getitem__(self, name: str) -> str:
        """A part of the path."""
        return self.path[name]

    @property
    def api_version(self) -> str:
        return self.query.get("api-version", "")

    @property
    def properties(self) -> dict[str, Any]:
        """The `properties` of a resource in the body."""
        properties = self.body.get("properties") if isinstance(self.body, dict) else None
        return properties if isinstance(properties, dict) else {}


Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Operation:
    """One kind of request.

    Attributes:
        name: as `jobs.get`; faults and logs name it so.
        anonymous: no token is asked for.
        request: the model of the body, in `request_schemas.json`.
        raw: the body is left as it is.
        pages: the answer is a list, which is given in pages.
    """

    name: str
    method: str
    host: str
    path: str
    handler: Handler
    anonymous: bool = False
    request: str | None = None
    raw: bool = False
    pages: bool = False


class Family:
    """The operations of one family of resources, as `jobs`.

    Handlers are plain functions and run in threads, or coroutines and run in the event loop. They return a body, or an
    `Answer`, or raise an `AzureError`.
    """

    def __init__(self, name: str, prefix: str = "", host: str = MANAGEMENT_HOST):
        self.name = name
        self._prefix = prefix
        self._host = host
        self._operations: list[Operation] = []

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations)

    def operation(self, name: str, method: str, path: str = "", **more: Any) -> Callable[[Handler], Handler]:
        """Says that a handler answers requests of a method to a path under the family's; `more` as in `Operation`."""

        def add(handler: Handler) -> Handler:
            full_name = f"{self.name}.{name}"
            self._operations.append(Operation(full_name, method, self._host, self._prefix + path, handler, **more))
            return handler

        return add
