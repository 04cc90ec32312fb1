"""What the wheel holds, and what it says of itself."""

import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kaz_azure_emulator"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    # From a copy of what there is to package: nothing that earlier builds have left gets into the wheel.
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(out.glob("kaz_azure_emulator-*.whl"))) as archive:
        yield archive


def information(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (each for each in wheel.namelist() if each.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_it_holds_every_file_of_the_package_and_nothing_else(wheel):
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == ours
    assert information(wheel, "licenses/LICENSE").startswith("MIT License")


def test_its_entry_points_are_the_command_and_the_plugin_for_pytest(wheel):
    found = configparser.ConfigParser()
    found.read_string(information(wheel, "entry_points.txt"))
    assert {group: dict(found[group]) for group in found.sections()} == {
        "console_scripts": {"kaz-azure-emulator": "kaz_azure_emulator.command:main"},
        "pytest11": {"kaz_azure_emulator": "kaz_azure_emulator.pytest_plugin"},
    }


def test_it_says_what_it_is_and_needs_neither_keras_nor_tensorflow(wheel):
    metadata, _, description = information(wheel, "METADATA").partition("\n\n")
    lines = metadata.splitlines()
    assert "Name: kaz-azure-emulator" in lines
    assert "Requires-Python: >=3.11" in lines
    extras = {line.partition(": ")[2] for line in lines if line.startswith("Provides-Extra: ")}
    assert (
        extras == set(re.findall(r'^pip install "./emulator\[(\w+)\]"', description, re.MULTILINE)) == {"sdk", "test"}
    )
    needed = [line.partition(": ")[2].lower() for line in lines if line.startswith("Requires-Dist: ")]
    assert not [line for line in needed if "keras" in line or "tensorflow" in line]
    assert description == (ROOT / "README.md").read_text(encoding="utf-8")
