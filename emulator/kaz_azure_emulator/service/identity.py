"""Microsoft Entra ID: gives tokens to the one application that the tenant knows, and checks them.

Routes and the form as azure-identity's `EnvironmentCredential` uses them; the words of errors from Microsoft's list of
AADSTS codes.
"""

import uuid
from urllib.parse import parse_qs

from kaz_azure_emulator.cloud import Cloud
from kaz_azure_emulator.service.errors import AzureError
from kaz_azure_emulator.service.operations import Call, Family
from kaz_azure_emulator.service.wire import Answer
from kaz_azure_emulator.settings import IDENTITY_HOST

TOKEN_LIFETIME = 3599  # seconds; a token is good for an hour

# The services that tokens are taken for here. Data-plane hosts take those of Resource Manager, too.
_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net", "https://ml.azure.com")

clouds = Family("identity", host=IDENTITY_HOST)
identity = Family("identity", "/{tenant}", IDENTITY_HOST)
FAMILIES = (clouds, identity)  # in this order: "common" is no tenant of the second one's


@clouds.operation("instances", "GET", "/common/discovery/instance", anonymous=True)
def instances(call: Call):
    """Which other names the identity platform has; clients ask when something is wrong."""
    return {
        "tenant_discovery_endpoint": call.query.get("authorization_endpoint", "").partition("/oauth2/")[0]
        + "/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [
            {
                "preferred_network": IDENTITY_HOST,
                "preferred_cache": "login.windows.net",
                "aliases": [IDENTITY_HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"],
            }
        ],
    }


@identity.operation("configuration", "GET", "/v2.0/.well-known/openid-configuration", anonymous=True)
def configuration(call: Call):
    _check_tenant(call)
    base = f"https://{IDENTITY_HOST}/{call['tenant']}"
    return {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
        "tenant_region_scope": None,
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": "graph.microsoft.com",
    }


@identity.operation("keys", "GET", "/discovery/v2.0/keys", anonymous=True)
def keys(call: Call):
    _check_tenant(call)
    return {"keys": [call.cloud.tokens.public_key]}


@identity.operation("token", "POST", "/oauth2/v2.0/token", anonymous=True)
async def token(call: Call):
    _check_tenant(call)
    settings = call.cloud.settings
    form = {name: values[-1] for name, values in parse_qs((await call.request.body()).decode()).items()}
    if form.get("grant_type") != "client_credentials":
        return _refusal(call, 400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    if form.get("client_id") != settings.client_id:
        who = form.get("client_id", "")
        message = f"Application with identifier '{who}' was not found in the directory 'emulator'."
        return _refusal(call, 400, "unauthorized_client", 700016, message)
    if form.get("client_secret") != settings.client_secret:
        message = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            f"not the client secret ID, for a secret added to app '{settings.client_id}'."
        )
        return _refusal(call, 401, "invalid_client", 7000215, message)
    audience = form.get("scope", "").removesuffix("/.default").rstrip("/")
    if audience not in _AUDIENCES:
        message = f"The resource principal named {audience} was not found in the tenant named emulator."
        return _refusal(call, 400, "invalid_resource", 500011, message)
    return {
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME,
        "ext_expires_in": TOKEN_LIFETIME,
        "access_token": call.cloud.tokens.make(audience, TOKEN_LIFETIME),
    }


def check_token(cloud: Cloud, authorization: str | None) -> None:
    """Lets a request go on if it has a token of this tenant that has not expired.

    Raises:
        AzureError: it has not.
    """
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not text:
        message = "Authentication failed. The 'Authorization' header is missing."
        raise _unauthorized(cloud, "AuthenticationFailed", message)
    problem = cloud.tokens.problem(text, _AUDIENCES)
    if problem == "expired":
        raise _unauthorized(cloud, "ExpiredAuthenticationToken", "The access token has expired.")
    if problem:
        raise _unauthorized(cloud, "InvalidAuthenticationToken", f"The access token is invalid: {problem}.")


def _unauthorized(cloud: Cloud, code: str, message: str) -> AzureError:
    where = f"https://login.windows.net/{cloud.settings.tenant_id}"
    challenge = f'Bearer authorization_uri="{where}", error="invalid_token", error_description="{message}"'
    return AzureError(401, code, message, headers={"www-authenticate": challenge})


def _check_tenant(call: Call) -> None:
    known = (call.cloud.settings.tenant_id, "organizations", "common")
    if call["tenant"] not in known:
        raise AzureError(400, "invalid_tenant", f"AADSTS90002: Tenant '{call['tenant']}' not found.")


def _refusal(call: Call, status: int, error: str, number: int, message: str) -> Answer:
    trace, correlation, now = str(uuid.uuid4()), str(uuid.uuid4()), call.cloud.clock.text()[:19].replace("T", " ") + "Z"
    description = f"AADSTS{number}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    return Answer(
        status,
        {
            "error": error,
            "error_description": description,
            "error_codes": [number],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://{IDENTITY_HOST}/error?code={number}",
        },
    )
