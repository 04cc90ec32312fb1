"""What answers have in common: headers, ids, dates and etags."""

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from kaz_azure_emulator.clock import Clock
from kaz_azure_emulator.settings import MANAGEMENT_HOST, Settings


@dataclass(frozen=True)
class Answer:
    """What an operation answers with, where it is more than a body with status 200."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def common_headers(client_request_id: str | None) -> dict[str, str]:
    """Headers of every answer. Support staff and logs know a request by its id."""
    request_id = str(uuid.uuid4())
    headers = {
        "x-ms-request-id": request_id,
        "x-ms-correlation-request-id": request_id,
        "cache-control": "no-cache",
        "x-content-type-options": "nosniff",
        "strict-transport-security": "max-age=31536000; includeSubDomains",
    }
    if client_request_id:
        headers["x-ms-client-request-id"] = client_request_id
    return headers


def etag(body: Any) -> str:
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return f'"{uuid.UUID(digest[:32])}"'


def system_data(settings: Settings, clock: Clock, created: float, modified: float | None = None) -> dict[str, str]:
    """Who made a resource, and when."""
    who = settings.client_id
    return {
        "createdAt": clock.text(created),
        "createdBy": who,
        "createdByType": "Application",
        "lastModifiedAt": clock.text(created if modified is None else modified),
        "lastModifiedBy": who,
        "lastModifiedByType": "Application",
    }


def management_url(path: str, api_version: str) -> str:
    """Where a client asks how an operation goes on."""
    return f"https://{MANAGEMENT_HOST}{path}?api-version={api_version}"
