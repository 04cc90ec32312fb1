"""Who and where the emulated workspace is: its ids, names, hosts and secrets, kept in the state folder."""

import base64
import json
import os
import secrets
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

PROVIDER = "Microsoft.MachineLearningServices"
MANAGEMENT_HOST = "management.azure.com"
IDENTITY_HOST = "login.microsoftonline.com"

_FILE = "settings.json"


def _guid() -> str:
    return str(uuid.uuid4())


def _account_name() -> str:
    return f"emulator{secrets.token_hex(5)}"  # 3 to 24 lower-case letters and digits


def _account_key() -> str:
    return base64.b64encode(secrets.token_bytes(64)).decode()


@dataclass(frozen=True)
class Settings:
    """One subscription, with one resource group, one workspace, its storage account, and one application."""

    location: str = "westus2"
    resource_group: str = "emulator"
    workspace_name: str = "emulator"
    subscription_id: str = field(default_factory=_guid)
    tenant_id: str = field(default_factory=_guid)
    client_id: str = field(default_factory=_guid)
    client_secret: str = field(default_factory=secrets.token_urlsafe)
    object_id: str = field(default_factory=_guid)
    workspace_id: str = field(default_factory=_guid)
    account_name: str = field(default_factory=_account_name)
    account_key: str = field(default_factory=_account_key)
    control_token: str = field(default_factory=secrets.token_urlsafe)

    @property
    def api_host(self) -> str:
        """Where run history, tracking and the other data-plane services of the workspace are."""
        return f"{self.location}.api.azureml.ms"

    @property
    def blob_host(self) -> str:
        return f"{self.account_name}.blob.core.windows.net"

    def scoring_host(self, endpoint: str) -> str:
        """Where an online endpoint is."""
        return f"{endpoint.lower()}.{self.location}.inference.ml.azure.com"

    @property
    def service_hosts(self) -> tuple[str, ...]:
        """Every host that the service itself always answers for. Blob storage is Azurite's; endpoints come and go."""
        return MANAGEMENT_HOST, IDENTITY_HOST, self.api_host

    @property
    def group_path(self) -> str:
        return f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"

    @property
    def workspace_path(self) -> str:
        """The workspace's ARM id."""
        return f"{self.group_path}/providers/{PROVIDER}/workspaces/{self.workspace_name}"

    @property
    def tracking_uri(self) -> str:
        return f"azureml://{self.api_host}/mlflow/v1.0{self.workspace_path}"

    @property
    def config(self) -> dict[str, str]:
        """What Azure ML's `config.json` holds."""
        return {
            "subscription_id": self.subscription_id,
            "resource_group": self.resource_group,
            "workspace_name": self.workspace_name,
        }

    @classmethod
    def of(cls, folder: Path, **chosen: str) -> "Settings":
        """Those kept in a state folder; new ones, with what is chosen, where it has none."""
        path = folder / _FILE
        if path.exists():
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        settings = cls(**chosen)
        write_secret(path, json.dumps(asdict(settings), indent=2))
        return settings


def write_secret(path: Path, text: str) -> None:
    """Writes a whole file that only its owner can read."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
