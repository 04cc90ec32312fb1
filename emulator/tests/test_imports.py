"""What the emulator imports, read with `ast`: nothing but what its packaging names, and nothing of Keras Azure.

Its folder is a distribution of its own: it installs and runs where there is neither keras_azure nor TensorFlow.
"""

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kaz_azure_emulator"

# The libraries that the code imports, and who brings them.
REQUIRED = {
    "azure.core": "azure-core",
    "azure.storage.blob": "azure-storage-blob",
    "cryptography": "cryptography",
    "filelock": "filelock",
    "httpx": "httpx",
    "jwt": "pyjwt",
    "mlflow": "mlflow",
    "platformdirs": "platformdirs",
    "starlette": "starlette",
    "trustme": "trustme",
    "typer": "typer",
    "uvicorn": "uvicorn",
    "werkzeug": "werkzeug",
    "yaml": "pyyaml",
}
# What single modules import beside them: pytest has loaded the first, and the second is for who works on the emulator.
IN_PLACES = {("pytest_plugin.py", "pytest"), ("schemas_from_sdk.py", "azure.ai.ml._restclient.arm_ml_service")}


def imports(source: str) -> Iterator[str]:
    """The modules that a file imports, also within functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def strangers(file: str, source: str) -> list[str]:
    """What a file of the package imports that is not its business."""
    found = []
    for module in imports(source):
        known = (*sys.stdlib_module_names, "kaz_azure_emulator", *REQUIRED)
        if (file, module) not in IN_PLACES and not any(f"{module}.".startswith(f"{name}.") for name in known):
            found.append(module)
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_package_imports_what_it_requires(path):
    assert strangers(path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_need_neither_keras_azure_nor_tensorflow(path):
    found = {module.partition(".")[0] for module in imports(path.read_text(encoding="utf-8"))}
    assert not found & {"keras_azure", "keras", "tensorflow"}


def test_what_is_imported_is_required_and_the_other_way_round():
    packaging = configparser.ConfigParser()
    packaging.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = packaging["options"]["install_requires"].splitlines()
    required = {re.match(r"[\w-]+", line)[0] for line in lines if line and not line.startswith("#")}
    assert required == set(REQUIRED.values())


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import json, starlette.routing\nfrom kaz_azure_emulator.state import State", []),
        ("from azure.storage.blob import BlobClient", []),
        ("def f():\n    from azure.identity import EnvironmentCredential", ["azure.identity"]),
        ("import azure.coreless", ["azure.coreless"]),
        ("import tensorflow", ["tensorflow"]),
        ("from keras_azure.errors import DataError", ["keras_azure.errors"]),
        ("import pytest", ["pytest"]),
        ("from .state import State", [".state"]),
    ],
)
def test_the_rule(source, found):
    assert strangers("server.py", source) == found
