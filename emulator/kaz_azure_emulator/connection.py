"""How a running emulator is reached, as its process writes it for others."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kaz_azure_emulator.settings import Settings, write_secret

CONNECTION_FILE = "connection.json"


_LOCK_FILE = "lock"


def lock(folder: Path):
    """What the emulator of a state folder holds for as long as it runs, and loses when it is killed."""
    from filelock import FileLock

    return FileLock(folder / _LOCK_FILE)


def is_running(folder: Path) -> bool:
    """Whether an emulator is running on a state folder."""
    from filelock import Timeout

    if not folder.exists():
        return False
    try:
        with lock(folder).acquire(timeout=0):
            return False
    except Timeout:
        return True


@dataclass(frozen=True)
class Connection:
    """A running emulator: its process, its ports, and the variables that clients need."""

    process_id: int
    proxy_port: int
    service_port: int
    environment: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> "Connection | None":
        """Of the emulator that has written one; None where none is running, or not yet."""
        try:
            return cls(**json.loads((folder / CONNECTION_FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def write(self, folder: Path) -> None:
        write_secret(folder / CONNECTION_FILE, json.dumps(asdict(self), indent=2))


def client_environment(settings: Settings, authority: Path, proxy_port: int) -> dict[str, str]:
    """The variables with which the SDK, and whatever else speaks HTTP, reaches the emulator and nothing else."""
    proxy = f"http://127.0.0.1:{proxy_port}"
    apart = "127.0.0.1,localhost"
    trust = str(authority)
    return {
        # Both spellings: where a user has set one of them, libraries differ in which they believe.
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "NO_PROXY": apart,
        "no_proxy": apart,
        "REQUESTS_CA_BUNDLE": trust,
        "CURL_CA_BUNDLE": trust,
        "SSL_CERT_FILE": trust,
        "AZURE_TENANT_ID": settings.tenant_id,
        "AZURE_CLIENT_ID": settings.client_id,
        "AZURE_CLIENT_SECRET": settings.client_secret,
        "AZURE_SUBSCRIPTION_ID": settings.subscription_id,
        "AZURE_DEFAULTS_GROUP": settings.resource_group,
        "AZURE_DEFAULTS_WORKSPACE": settings.workspace_name,
    }
