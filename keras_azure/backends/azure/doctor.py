"""What a run on Azure needs, looked at one after another: what is wrong is found before it costs a wait."""

import base64
import datetime
import json
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import metadata

from packaging.requirements import Requirement

from keras_azure.backends import Check
from keras_azure.backends.azure.cluster import Compute, check_cluster, check_offered, check_quota, find_cluster
from keras_azure.backends.azure.following import word
from keras_azure.backends.azure.job import IMAGE
from keras_azure.backends.azure.results import output_prefix
from keras_azure.backends.azure.service import SCOPE, Service, azure_errors, quiet
from keras_azure.backends.azure.storage import Storage
from keras_azure.backends.azure.wheels import packages_of
from keras_azure.backends.azure.workspace import Workspace, locate_workspace
from keras_azure.errors import CloudError, KerasAzureError, UsageError

_PACKAGES = ("azure-ai-ml", "azure-identity", "azure-storage-blob", "azureml-mlflow", "mlflow")
_INSTALL = "pip install --upgrade 'keras-azure[azure]'"
_MOST_MINUTES = 5  # that a clock may be off: tokens are refused that are from the future
_GENERAL = "kaz doctor"  # which errors advise elsewhere, and which is of no help here


class DoctorContext:
    """What is examined.

    Args:
        workspace: as `find_workspace` takes it.
        compute: the machines that are asked for.
        note: what is to be said of their size.
    """

    def __init__(self, workspace: str | None, compute: Compute, note: str):
        self.named, self.compute, self.note = workspace, compute, note

    @cached_property
    def located(self) -> tuple[Workspace, str]:
        return locate_workspace(self.named)

    @cached_property
    def service(self) -> Service:
        return Service(self.located[0])


def examine(workspace: str | None, compute: Compute, note: str) -> Iterator[Check]:
    """All checks, each as it is done; one that needs what failed is skipped."""
    context = DoctorContext(workspace, compute, note)
    sound: set[str] = set()
    for name, (needs, look, mend) in _CHECKS.items():
        missing = [each for each in needs if each not in sound]
        if missing:
            yield Check(name, "skipped", f"needs {' and '.join(missing)}")
            continue
        try:
            yield Check(name, "ok", look(context))
            sound.add(name)
        except KerasAzureError as error:
            found = " ".join(filter(None, [error.problem, error.expected and f"Expected: {error.expected}."]))
            hint = error.hint.removesuffix(f"; {_GENERAL}")
            yield Check(name, "failed", found, hint if hint not in ("", _GENERAL) else mend)


def _packages(context: DoctorContext) -> str:
    wanted = _requirements()
    missing = [requirement.name for requirement in wanted if _version(requirement.name) is None]
    if missing:
        raise UsageError(f"Not installed: {', '.join(missing)}.", hint=_INSTALL)
    return ", ".join(requirement.name for requirement in wanted)


def _versions(context: DoctorContext) -> str:
    """That azure-ai-ml is one that is known to work, and MLflow and its plugin a pair that does."""
    wanted = _requirements()
    wrong = [
        f"{requirement.name} {_version(requirement.name)}, where {requirement.specifier} works"
        for requirement in wanted
        if (version := _version(requirement.name)) is None
        or not requirement.specifier.contains(version, prereleases=True)
    ]
    if wrong:
        raise UsageError(f"Versions that do not go together: {'; '.join(wrong)}.", hint=_INSTALL)
    return ", ".join(f"{requirement.name} {_version(requirement.name)}" for requirement in wanted)


def _config(context: DoctorContext) -> str:
    workspace, source = context.located
    return f"{workspace}, from {source}"


def _login(context: DoctorContext) -> str:
    with quiet(), azure_errors("There is no login"):
        token = context.service.credential.get_token(SCOPE)
    until = datetime.datetime.fromtimestamp(token.expires_on)
    return f"{_who(token.token)}, until {until:%H:%M}"


def _workspace(context: DoctorContext) -> str:
    description = context.service.description
    return f"{description.name} in {description.location}"


def _size(context: DoctorContext) -> str:
    check_offered(context.service, context.compute)
    size = context.compute.size
    retires = f", which is retired on {size.retirement}" if size.retirement else ""
    note = f" ({context.note})" if context.note else ""
    return f"{size.name}{retires} is offered in {context.service.description.location}{note}"


def _quota(context: DoctorContext) -> str:
    quota = check_quota(context.service, context.compute)
    if quota is None:
        return "Azure does not name one for this size"
    pool = "Spot machines" if context.compute.spot else context.compute.size.family
    return f"{quota[1]} cores of {pool}, {quota[0]} in use; a node has {context.compute.size.vcpus}"


def _cluster(context: DoctorContext) -> str:
    compute = context.compute
    if compute.serverless:
        return "none is needed: serverless"
    found = find_cluster(context.service, compute.name)
    if found is None:
        return f"{compute.name} is not there; the first run creates it"
    differences = check_cluster(found, compute)
    kept = f"; used as it is: {'; '.join(differences)}" if differences else ""
    return (
        f"{compute.name}, {found.min_instances} to {found.max_instances} nodes, {word(found.provisioning_state)}{kept}"
    )


def _storage(context: DoctorContext) -> str:
    # Once: whether it answers at all is what is asked.
    storage = Storage(context.service, retry_total=0)
    storage.list(output_prefix("doctor"))
    return f"{storage.datastore} can be listed"


def _environment(context: DoctorContext) -> str:
    packages = packages_of([])
    shipped = ", ".join(f"{package.metadata['Name']} {package.version}" for package in packages.shipped) or "nothing"
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    return f"{python} on {IMAGE}; {len(packages.pinned)} packages from the index; as wheels: {shipped}"


def _clock(context: DoctorContext) -> str:
    there = context.service.clock()
    seconds = (_now() - there).total_seconds()
    if abs(seconds) > _MOST_MINUTES * 60:
        direction = "ahead of" if seconds > 0 else "behind"
        raise CloudError(
            f"This machine's clock is {abs(seconds) / 60:.0f} minutes {direction} Azure's, which breaks logins.",
            hint="sudo timedatectl set-ntp true",
        )
    return f"{abs(seconds):.0f} s from Azure's"


# Their order; of each: what must be sound before, what looks, and what mends it where the error names nothing better.
_CHECKS: dict[str, tuple[tuple[str, ...], Callable[[DoctorContext], str], str]] = {
    "packages": ((), _packages, _INSTALL),
    "versions": (("packages",), _versions, _INSTALL),
    "config": ((), _config, "kaz init"),
    "login": (("packages", "config"), _login, "az login"),
    "workspace": (("login",), _workspace, "kaz init --force"),
    "size": (("workspace",), _size, "kaz sizes --available"),
    "quota": (("workspace",), _quota, "https://ml.azure.com/quota"),
    "cluster": (("workspace",), _cluster, "az ml compute list"),
    "storage": (("workspace",), _storage, "az ml datastore list"),
    "environment": ((), _environment, _INSTALL),
    "clock": (("packages", "config"), _clock, "sudo timedatectl set-ntp true"),
}


def _requirements() -> list[Requirement]:
    """With the versions that setup.cfg allows, which is the one place that names them."""
    required = map(Requirement, metadata.requires("keras-azure") or [])
    return [
        requirement
        for requirement in required
        if requirement.name in _PACKAGES
        and (requirement.marker is None or requirement.marker.evaluate({"extra": "azure"}))
    ]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _who(token: str) -> str:
    """Whom a token stands for, by what it says itself; nobody relies on it."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        person = claims.get("upn") or claims.get("unique_name") or claims.get("preferred_username")
        return str(person or f"the application {claims['appid']}")
    except (ValueError, LookupError, AttributeError):
        return "somebody whom the token does not name"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
