"""A conda file as what pip installs: its pip section as it is, its other packages under the names that pip knows."""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from kaz_azure_emulator.execution.errors import JobFailed

# Packages that pip knows under another name ...
_PIP_NAMES = {
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "py-opencv": "opencv-python-headless",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "ruamel.yaml": "ruamel-yaml",
    "tensorflow-gpu": "tensorflow",
}
# ... and those that are no Python package: a machine has them, or the wheels bring them along.
_NOT_PYTHON = re.compile(
    r"_.*|cuda.*|cudnn|nccl|pytorch-cuda|pytorch-mutex|mkl|blas|libblas|openblas|nomkl|openmpi|mpich|gcc.*|gxx.*"
    r"|lib.*|make|git|git-lfs|ffmpeg|graphviz|openssl|zlib|sqlite|ca-certificates|nodejs|cpuonly|pip"
)
_CUDA = re.compile(r"\[(and-cuda|cuda1\d)\]")  # TensorFlow's extra, JAX's: gigabytes that only a GPU has a use for
_PACKAGE = re.compile(r"(?:[^\s:]+::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)(?:\[[^\]]*\])?\s*(?P<version>.*)")


@dataclass(frozen=True)
class Requirements:
    """What a job's environment is to have.

    Args:
        lines: lines of a requirements file.
        python: the version asked for ("3.11"), or None.
        notes: what is left out or taken differently here, as sentences.
    """

    lines: tuple[str, ...] = ()
    python: str | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)


def read_conda_file(text: str | None) -> Requirements:
    """Reads the YAML text of a conda file; None or an empty text asks for nothing.

    Raises:
        JobFailed: it is not a conda file; Azure finds that out when it builds the image.
    """
    try:
        content = yaml.safe_load(text or "")
    except yaml.YAMLError as error:
        raise JobFailed("ImageBuildFailure", f"The conda file is not YAML: {error}") from error
    if content is None:
        return Requirements()
    dependencies = content.get("dependencies") or [] if isinstance(content, dict) else None
    if not isinstance(dependencies, list):
        raise JobFailed("ImageBuildFailure", "The conda file has no list called dependencies.")

    lines, notes, python = [], [], None
    for dependency in dependencies:
        if isinstance(dependency, dict):
            for line in _pip_section(dependency):
                if extra := _CUDA.search(line):
                    notes.append(f"{extra[0]} of {line} is left out: there is no GPU.")
                lines.append(_CUDA.sub("", line))
            continue
        name, version = _split(dependency)
        if name == "python":
            python = version.strip("=<>~! ").removesuffix(".*") or None
        elif _NOT_PYTHON.fullmatch(name):
            if name != "pip":
                notes.append(f"{name} is no Python package and is left out.")
        else:
            lines.append(_PIP_NAMES.get(name, name) + version)
    return Requirements(tuple(lines), python, tuple(notes))


def _pip_section(dependency: dict[str, Any]) -> list[str]:
    lines = dependency.get("pip")
    if dependency.keys() != {"pip"} or not all(isinstance(line, str) for line in lines or []):
        raise JobFailed("ImageBuildFailure", f"The conda file has {dependency!r} where packages or pip are expected.")
    return [line.strip() for line in lines or [] if line.strip() and not line.strip().startswith("#")]


def _split(dependency: Any) -> tuple[str, str]:
    """`numpy=1.26` as `numpy` and `==1.26.*`: conda's one equals sign leaves the rest of the version open."""
    match = _PACKAGE.fullmatch(dependency.strip()) if isinstance(dependency, str) else None
    if not match:
        raise JobFailed("ImageBuildFailure", f"The conda file has {dependency!r} where a package is expected.")
    name, version = match["name"].lower(), match["version"].strip()
    if not version or version == "*":
        return name, ""
    if re.match(r"[<>!~]", version) or "," in version:
        return name, version.replace(" ", "")
    exact = version.startswith("==") or not version.startswith("=")  # "numpy 1.26" is exact, as "numpy==1.26"
    number, _, build = re.sub(r"\s+", "=", version.lstrip("= ")).partition("=")
    if exact or build or number.endswith("*"):
        return name, f"=={number}"
    return name, f"=={number}.*"
