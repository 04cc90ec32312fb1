"""What the wheel holds, and that a stranger's plugin installs beside it."""

import configparser
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    # From the files that git knows, as they are now: nothing that lies about in the checkout gets into the wheel.
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    names = listed.stdout.splitlines() if listed.returncode == 0 else []
    for name in names:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((REPOSITORY / name).read_bytes())
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source if names else REPOSITORY)],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_wheel_holds_every_module_and_nothing_else(wheel):
    packaged = {name for name in wheel.namelist() if ".dist-info/" not in name}
    ours = {
        path.relative_to(root).as_posix()
        for root, package in ((REPOSITORY, "keras_azure"), (REPOSITORY / "plugins", "kaz_*"))
        for folder in root.glob(package)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged == ours
    assert not any(name.startswith(("plugins/", "tests/", "benchmarks/")) for name in packaged)


def test_the_wheel_registers_its_plugins_as_any_package_does(wheel):
    information = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(information).decode()
    assert "kaz = keras_azure.cli:main" in text
    models = re.search(r"\[keras_azure\.models\]\n(.+?)\n\n", text + "\n\n", re.DOTALL)[1].splitlines()
    assert models == [
        "autoencoder = kaz_autoencoder:autoencoder [unlabelled]",
        *(f"{name} = kaz_{name}:{name}" for name in ("cnn", "features", "resnet50", "transfer")),
    ]
    metadata = wheel.read(information.replace("entry_points.txt", "METADATA")).decode()
    assert "Requires-Python: >=3.11" in metadata
    for extra in ("jax", "gpu", "test", "bench", "dev"):
        assert f"Provides-Extra: {extra}" in metadata


def test_the_wheel_has_nothing_of_the_emulator_and_no_plugin_for_pytest(wheel):
    """It is a distribution of its own, on no index: what names it as a requirement could not be installed."""
    assert not [name for name in wheel.namelist() if "emulator" in name]
    information = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    entry_points = configparser.ConfigParser()
    entry_points.read_string(wheel.read(information).decode())
    assert "pytest11" not in entry_points
    assert dict(entry_points["console_scripts"]) == {"kaz": "keras_azure.cli:main"}
    metadata = wheel.read(information.replace("entry_points.txt", "METADATA")).decode().partition("\n\n")[0]
    assert not [line for line in metadata.splitlines() if "emulator" in line]


def readme_plugin(folder: Path) -> list[str]:
    """Writes the plugin that the README shows; gives the commands that it shows for it."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Writing a plugin") :]
    files = re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", section, re.DOTALL)
    assert [name for name, _ in files] == ["pyproject.toml", "kaz_tiny.py"]
    assert sum(len(content.strip().splitlines()) + 1 for _, content in files) < 20
    folder.mkdir()
    for name, content in files:
        (folder / name).write_text(content, encoding="utf-8")
    commands = re.search(r"```\n(pip install \./kaz-tiny\n.*?)```", section, re.DOTALL)[1]
    return [line.partition("#")[0].strip() for line in commands.splitlines()]


@pytest.mark.slow
def test_the_plugin_of_the_readme_installs_and_trains(tmp_path):
    install, check, run = readme_plugin(tmp_path / "kaz-tiny")
    # A new environment that sees this one's packages: the plugin is installed for real, TensorFlow not once more.
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    scripts = tmp_path / "venv" / "bin"
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (site / "beside.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KAZ_"))}

    def execute(command: list[str]) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=600)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    assert install.split()[:2] == ["pip", "install"]
    execute([str(scripts / "python"), "-m", *install.split()])
    kaz = [str(scripts / "python"), "-m", "keras_azure"]
    assert check.split()[0] == run.split()[0] == "kaz"
    assert "kaz-tiny" in execute([*kaz, "list", "models"])
    assert "ok" in execute([*kaz, *check.split()[1:]])
    out = execute([*kaz, *run.split()[1:], "--epochs", "3"])
    assert float(re.search(r"Test accuracy\s+([\d.]+)%", out)[1]) > 80
