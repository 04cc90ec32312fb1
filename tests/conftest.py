"""What tests of several parts share."""

import datetime
import http.server
import importlib
import json
import os
import signal
import sys
import textwrap
import threading
import types
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = (
    "fixtures.azure",
    "fixtures.data",
    "fixtures.plans",
    "fixtures.processes",
    "fixtures.reports",
    "fixtures.tiles",
)

# An example may take as long as it does: on a busy machine that says nothing of the code.
hypothesis.settings.register_profile(
    "patient", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bad-inputs",
        type=int,
        metavar="N",
        help="How many bad inputs each parser in tests/integration/hostile gets, other ones each time; by default 25, "
        "always the same.",
    )
    parser.addoption(
        "--long", action="store_true", help="Each parser in tests/integration/hostile gets 200 bad inputs."
    )
    parser.addoption("--kills", type=int, metavar="N", default=0, help="How many runs are killed at random.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long go first, so that those of the unit tests fill what is left of two processes' time."""
    tiers = ("system", "integration", "unit")

    def place(item: pytest.Item) -> int:
        return next((tiers.index(part) for part in item.path.parent.parts[::-1] if part in tiers), len(tiers))

    items.sort(key=place)


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


@pytest.fixture(scope="session", autouse=True)
def measurements_do_not_wait_for_rest():
    """What earlier tests left behind would be collected, and waited for, before each lap: seconds each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_azure.throughput.timing.rest", lambda: None)
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


class PriceList:
    """Azure's list of prices, on this machine, on a day that does not end while a test runs.

    Attributes:
        today: the day that it is for those who read it.
        address: for KAZ_PRICES.
        answers: what it answers to one request after the other, the last one again and again: bytes, or JSON.
        requests: the paths that were asked for.
    """

    today = "2026-11-24"

    def __init__(self, answers: list):
        self.answers, self.requests = answers, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(urllib.parse.unquote(self.path))
                answer = outer.answers[min(len(outer.requests), len(outer.answers)) - 1]
                if isinstance(answer, int):
                    self.send_error(answer)
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/prices"

    @staticmethod
    def item(name: str, price: float, **changes) -> dict:
        return {
            "armSkuName": name,
            "retailPrice": price,
            "currencyCode": "USD",
            "unitOfMeasure": "1 Hour",
            "type": "Consumption",
            "productName": "Virtual Machines NCasT4_v3 Series",
            "meterName": "NC4as T4 v3",
            "effectiveStartDate": "2024-01-01T00:00:00Z",
            **changes,
        }


@pytest.fixture
def price_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A PriceList that KAZ_PRICES names, and an empty folder for what is kept of it."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    prices = PriceList([{"Items": [PriceList.item("Standard_NC4as_T4_v3", 0.526)], "NextPageLink": None}])
    monkeypatch.setenv("KAZ_PRICES", prices.address)

    class Date(datetime.date):
        @classmethod
        def today(cls) -> datetime.date:
            return cls.fromisoformat(prices.today)

    for module in ("backends.azure.prices", "backends.azure.machines", "cli.sizes"):
        monkeypatch.setattr(f"keras_azure.{module}.datetime", types.SimpleNamespace(date=Date))
    threading.Thread(target=prices.server.serve_forever, args=(0.05,), daemon=True).start()
    yield prices
    prices.server.shutdown()
    prices.server.server_close()
