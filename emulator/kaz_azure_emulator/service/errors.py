"""Azure's error answers."""

from typing import Any

# What Azure calls an error of which only the status is known
CODES = {
    400: "BadRequest",
    401: "AuthenticationFailed",
    403: "AuthorizationFailed",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalServerError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


class AzureError(Exception):
    """Ends an operation with an error answer: `{"error": {"code": ..., "message": ...}}`."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        details: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ):
        super().__init__(message)
        self.status = status
        self.code = code or CODES.get(status, "UnknownError")
        self.message = message
        self.details = details
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = self.details
        return {"error": error}


def invalid_request(*problems: tuple[str, str]) -> AzureError:
    """What Azure ML answers to a body that does not fit; each problem is a field and what is wrong with it."""
    details = [{"code": "InvalidField", "target": field, "message": message} for field, message in problems]
    return AzureError(400, "UserError", "Request is invalid and/or missing fields.", details=details)


def not_found(kind: str, name: str, group: str) -> AzureError:
    """Resource Manager's words for a resource that is not there; `kind` without the provider: `workspaces/computes`."""
    resource = f"Microsoft.MachineLearningServices/{kind}/{name}"
    return AzureError(
        404,
        "ResourceNotFound",
        f"The Resource '{resource}' under resource group '{group}' was not found. For more details please go to "
        "https://aka.ms/ARMResourceNotFoundFix",
    )


def no_such_version(kind: str, name: str, version: str) -> AzureError:
    """Azure ML's own words for an asset that is not there."""
    return AzureError(404, "UserError", f"Not found: {kind} {name}:{version} was not found in this workspace.")
