"""Which workspace: Azure ML's own config.json, environment variables over it, and what is named over both."""

import errno
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from keras_azure.errors import ConfigError
from keras_azure.files import write_json

VARIABLES = {  # which Azure's own command reads
    "subscription_id": "AZURE_SUBSCRIPTION_ID",
    "resource_group": "AZURE_DEFAULTS_GROUP",
    "workspace_name": "AZURE_DEFAULTS_WORKSPACE",
}
PLACES = ("config.json", ".azureml/config.json")  # where `MLClient.from_config` looks, in each folder upwards
_ARM_ID = re.compile(
    r"/?subscriptions/(?P<subscription_id>[^/]+)/resourceGroups/(?P<resource_group>[^/]+)"
    r"(/providers/Microsoft.MachineLearningServices/workspaces/(?P<workspace_name>[^/]+))?/?",
    re.IGNORECASE,
)
_SHORT = re.compile(r"(?P<subscription_id>[^/]+)/(?P<resource_group>[^/]+)/(?P<workspace_name>[^/]+)")
_MEND = "kaz init --force, which writes it anew; or --workspace SUBSCRIPTION/GROUP/WORKSPACE, which needs no file"


@dataclass(frozen=True)
class Workspace:
    subscription_id: str
    resource_group: str
    workspace_name: str

    @property
    def path(self) -> str:
        """Its id in Azure Resource Manager."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace_name}"
        )

    def __str__(self) -> str:
        return f"{self.subscription_id}/{self.resource_group}/{self.workspace_name}"

    def save(self, path: Path) -> None:
        """Writes the file that `find_workspace` and Azure ML's own tools read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(self))


def find_workspace(named: str | None = None, start: Path | None = None) -> Workspace:
    """The workspace to work in; see `locate_workspace`."""
    return locate_workspace(named, start)[0]


def locate_workspace(named: str | None = None, start: Path | None = None) -> tuple[Workspace, str]:
    """The workspace to work in, and what names it.

    Args:
        named: a config.json, SUBSCRIPTION/GROUP/WORKSPACE, or a workspace's id in Azure Resource Manager; by default
            KAZ_WORKSPACE, and without that the environment's values over those of the nearest config.json. One that
            cannot be read is an error: another workspace, of a folder above, would take its place.
        start: the folder from which to look upwards; by default the current one.

    Raises:
        ConfigError: nothing names a workspace, or what does is damaged.
    """
    named = named or os.environ.get("KAZ_WORKSPACE")
    if named:
        return _workspace(_named(named), named), named
    set_here = {field: os.environ[name] for field, name in VARIABLES.items() if os.environ.get(name)}
    found = _config_file((start or Path.cwd()).absolute()) if len(set_here) < len(VARIABLES) else None
    values = _read(found) if found else {}
    variables = [name for field, name in VARIABLES.items() if field in set_here]
    source = " and ".join(([str(found)] if found else []) + variables)
    return _workspace(values | set_here, str(found) if found else "the environment"), source


def _named(text: str) -> dict[str, str]:
    match = _ARM_ID.fullmatch(text) or (None if Path(text).exists() else _SHORT.fullmatch(text))
    if match:
        return {name: value for name, value in match.groupdict().items() if value}
    return _read(Path(text))


def _config_file(start: Path) -> Path | None:
    for folder in (start, *start.parents):
        for place in PLACES:
            if _is_there(folder / place) and _describes_workspace(folder / place):
                return folder / place
    return None


def _is_there(path: Path) -> bool:
    """Whether anything has this name, be it a folder, a link to nothing, or in a folder that may not be looked into."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass  # reading it says why
    return True


def _describes_workspace(path: Path) -> bool:
    """Other tools have a config.json too, which is sound JSON."""
    values = _json(path)
    return isinstance(values, dict) and bool({"subscription_id", "workspace_name", "Scope"} & values.keys())


def _read(path: Path) -> dict[str, str]:
    values = _json(path)
    if not isinstance(values, dict):
        raise ConfigError(f"The workspace file {path} is no JSON object.", hint=_MEND)
    if isinstance(values.get("Scope"), str) and (match := _ARM_ID.fullmatch(values["Scope"])):
        values = {**match.groupdict(), **values}
    return values


def _json(path: Path) -> object:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(errno.EINVAL, "it is no file")  # of a pipe, reading would not come to an end
        return json.loads(path.read_bytes())  # bytes, of which json knows UTF-8, UTF-16 and a byte order mark
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or f"it is not JSON ({error})"
        raise ConfigError(
            f"The workspace file {path} cannot be read: {reason}.",
            expected="Azure ML's config.json, or SUBSCRIPTION/GROUP/WORKSPACE",
            hint=_MEND,
        ) from None


def _workspace(values: Mapping[str, object], source: str) -> Workspace:
    missing = [name for name in VARIABLES if not isinstance(values.get(name), str) or not values[name]]
    if len(missing) == len(VARIABLES):
        raise ConfigError(
            f"No Azure ML workspace is named: there is no config.json in {Path.cwd()} or above it.",
            expected="a config.json, as the workspace's page in Azure's portal gives it, or --workspace",
            hint="kaz init",
        )
    if missing:
        raise ConfigError(f"The workspace of {source} has no {' and no '.join(missing)}.", hint="kaz init")
    return Workspace(**{name: str(values[name]) for name in VARIABLES})
