"""The packages of a job: wheels of those that no index has, and the versions of all others that are installed here.

Packages that come from a folder or a repository are known by the record that pip leaves of it (PEP 610). What is
installed as a copy is packed as it is installed: that is what runs here. What is installed in place (`pip install -e`)
is built from its folder.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from keras_azure.errors import UsageError
from keras_azure.registry.registry import KERAS, REGISTRIES
from keras_azure.registry.specs import Spec

_EPOCH = "315532800"  # 1980-01-01, the first day that a zip archive can have: the same files make the same wheel
_LEFT_OUT = ("direct_url.json", "RECORD", "INSTALLER", "REQUESTED")  # what pip writes when it installs
_NOT_COPIED = ("__pycache__", "node_modules", "*.egg-info", ".*")
_NOT_COPIED_AT_THE_TOP = ("build", "dist", "runs")  # deeper they may be packages
# With the CUDA libraries of the engine: those of an image may be of versions that it does not find a GPU with.
EXTRA_OF_ENGINE = {"tensorflow": "gpu", "jax": "jax-gpu"}
_NODE = {  # for the markers of requirements: what a node is
    "os_name": "posix",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "extra": "",
}


@dataclass(frozen=True)
class Packages:
    """What a job's environment needs.

    Attributes:
        shipped: what travels as a wheel.
        pinned: requirements for pip, with the versions that are installed here.
    """

    shipped: tuple[metadata.Distribution, ...]
    pinned: tuple[str, ...]


def packages_of(
    specs: Iterable[tuple[str, Spec]], engine: str = "tensorflow", requirements: Iterable[str] = ()
) -> Packages:
    """The packages of a run's plugins, of keras_azure, of tracking in the workspace, and of what they need.

    Args:
        specs: the kind ("model", "loss", "data set") and the spec of each plugin.
        engine: what the run computes on, one of EXTRA_OF_ENGINE.
        requirements: what is needed besides, as pip writes it: "keras-azure[heic]".
    """
    registries = {registry.kind: registry for registry in REGISTRIES}
    packages = [registries[kind].find(spec).package for kind, spec in specs]
    names = ["azureml-mlflow", *(package for package in packages if package != KERAS)]  # which keras-azure brings
    shipped: dict[str, metadata.Distribution] = {}
    pinned: dict[str, str] = {}
    extras: dict[str, set[str]] = {}
    waiting: list[tuple[str, str, frozenset[str]]] = [(name, "", frozenset()) for name in names]
    waiting.append(("keras-azure", "", frozenset({EXTRA_OF_ENGINE[engine]})))
    waiting += [(each.name, str(each), frozenset(each.extras)) for each in map(Requirement, requirements)]
    while waiting:
        name, requirement, wanted = waiting.pop()
        key = canonicalize_name(name)
        if key in extras and wanted <= extras[key]:
            continue
        extras[key] = extras.get(key, set()) | wanted
        try:
            found = _installed(name)
        except metadata.PackageNotFoundError:
            pinned[key] = requirement or name
            continue
        if _source(found) is None:
            with_extras = f"[{','.join(sorted(extras[key]))}]" if extras[key] else ""
            pinned[key] = f"{found.metadata['Name']}{with_extras}=={found.version.partition('+')[0]}"
        else:
            shipped[key] = found
            waiting += _requirements(found, extras[key])
    return Packages(tuple(shipped[key] for key in sorted(shipped)), tuple(pinned[key] for key in sorted(pinned)))


def make_wheel(package: metadata.Distribution, folder: Path) -> Path:
    """Writes the wheel of an installed package into a folder; the same content gives the same bytes.

    Raises:
        UsageError: it cannot be built.
    """
    place = _source(package)
    if place is not None and place.is_dir() and _is_in_place(package):
        return _build(package, place, folder)
    return _repack(package, folder)


def _requirements(package: metadata.Distribution, extras: Iterable[str]) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Their names, their texts, and their own extras; of those under a condition the ones that hold on a node."""
    for text in package.requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate(_NODE | {"extra": extra}) for extra in ("", *extras)):
            requirement.marker = None
            yield requirement.name, str(requirement), frozenset(requirement.extras)


def _installed(name: str) -> metadata.Distribution:
    """A package as pip has installed it: a build leaves a second description in the folder of the sources, which
    says nothing of where they are, and comes first for who works in that folder.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    found = list(metadata.distributions(name=name))
    if not found:
        raise metadata.PackageNotFoundError(name)
    return next((each for each in found if _source(each) is not None), found[0])


def _direct_url(package: metadata.Distribution) -> dict[str, Any]:
    address: dict[str, Any] = json.loads(package.read_text("direct_url.json") or "{}")
    return address


def _source(package: metadata.Distribution) -> Path | None:
    """Where a package comes from that no index has."""
    address = urlparse(_direct_url(package).get("url", ""))
    return Path(unquote(address.path)) if address.scheme else None


def _is_in_place(package: metadata.Distribution) -> bool:
    return bool(_direct_url(package).get("dir_info", {}).get("editable"))


def _build(package: metadata.Distribution, source: Path, folder: Path) -> Path:
    """From a copy, so that nothing is left in the user's folder."""
    with tempfile.TemporaryDirectory() as temporary:
        copy, made = Path(temporary, "source"), Path(temporary, "wheel")
        shutil.copytree(source, copy, ignore=_left_out_of(source), symlinks=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(made), str(copy)]
        environment = os.environ | {"SOURCE_DATE_EPOCH": _EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        # Without an environment of its own first: that needs no network, where what builds it is installed here.
        for options in (["--no-build-isolation"], []):
            done = subprocess.run([*command, *options], capture_output=True, text=True, env=environment)
            if done.returncode == 0:
                (wheel,) = made.glob("*.whl")
                return Path(shutil.copy(wheel, folder / wheel.name))
    last = [line for line in (done.stderr + done.stdout).strip().splitlines() if line.strip()][-1:]
    raise UsageError(
        f"The package {package.metadata['Name']} in {source} cannot be built: {' '.join(last)}",
        hint=f"pip wheel --no-deps {source}",
    )


def _left_out_of(source: Path) -> Callable[[str, list[str]], set[str]]:
    def left_out(parent: str, names: list[str]) -> set[str]:
        environments = {name for name in names if Path(parent, name, "pyvenv.cfg").exists()}
        at_the_top = {name for name in names if name in _NOT_COPIED_AT_THE_TOP and Path(parent) == source}
        return environments | at_the_top | shutil.ignore_patterns(*_NOT_COPIED)(parent, names)

    return left_out


def _repack(package: metadata.Distribution, folder: Path) -> Path:
    """The wheel that would install what is installed."""
    site = Path(str(package.locate_file("")))
    files = {}
    for entry in package.files or ():
        path = Path(entry)
        if path.is_absolute() or ".." in path.parts or "__pycache__" in path.parts or path.name in _LEFT_OUT:
            continue  # scripts, which pip makes anew; what Python compiled; what pip noted
        if (site / path).is_file():
            files[path.as_posix()] = (site / path).read_bytes()
    information = next(
        (name.rpartition("/")[0] for name in sorted(files) if name.endswith(".dist-info/METADATA")), None
    )
    if information is None:
        raise UsageError(
            f"The package {package.metadata['Name']} is installed without a list of its files.",
            hint=f"pip install --force-reinstall --no-deps {_source(package)}",
        )
    target = folder / f"{information.removesuffix('.dist-info')}-{_tag(package)}.whl"
    record = f"{information}/RECORD"
    lines = [f"{name},{_hash(content)},{len(content)}" for name, content in sorted(files.items())]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            packed = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            packed.external_attr, packed.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(packed, files[name])
    return target


def _tag(package: metadata.Distribution) -> str:
    """What a wheel's name says of where it can be installed: all of its tags in one, such as py2.py3-none-any."""
    lines = (package.read_text("WHEEL") or "").splitlines()
    tags = [line.removeprefix("Tag:").strip().split("-") for line in lines if line.startswith("Tag:")]
    tags = [tag for tag in tags if len(tag) == 3] or [["py3", "none", "any"]]
    return "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))


def _hash(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
