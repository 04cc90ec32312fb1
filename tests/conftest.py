"""What tests of several parts share."""

import importlib
import os
import signal
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bad-inputs",
        type=int,
        metavar="N",
        help="How many bad inputs each parser in tests/hostile gets, other ones each time; by default a few hundred, "
        "always the same.",
    )
    parser.addoption("--kills", type=int, metavar="N", default=0, help="How many runs are killed at random.")


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard():
    """Ctrl-C works as in a terminal, here and in the processes that tests start: a shell that runs the tests in the
    background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def no_test_writes_to_the_users_cache(tmp_path_factory: pytest.TempPathFactory):
    """Decoded pictures are stored in a folder of the tests, by the processes that they start, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAZ_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a package of one module for this test, here and in the processes that it starts.

    `install_plugin("my-package", {"models": "net = my_package:net"}, code)`: the module is called as the package,
    with underscores; `entry_points` has one line per plugin for each kind. Nothing is imported.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
    modules = []

    def install(name: str, entry_points: dict[str, str], code: str = "") -> Path:
        modules.append(name.replace("-", "_"))
        module = site / f"{modules[-1]}.py"
        module.write_text(textwrap.dedent(code), encoding="utf-8")
        information = site / f"{modules[-1]}-1.2.3.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        groups = [f"[keras_azure.{kind}]\n{lines}\n" for kind, lines in entry_points.items()]
        (information / "entry_points.txt").write_text("\n".join(groups))
        importlib.invalidate_caches()
        return module

    yield install
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def kaz(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: `code, out, err = kaz("list", "models")`."""
    from keras_azure.cli import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["kaz", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code or 0, *capfd.readouterr()

    return run
