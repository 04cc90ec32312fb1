import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from keras_azure.description.events import Observer

EMULATED = ("test_faults.py", "test_runs.py")  # which take an emulator, and seconds to minutes
VARIABLES = (
    *("KAZ_WORKSPACE", "AZURE_SUBSCRIPTION_ID", "AZURE_DEFAULTS_GROUP", "AZURE_DEFAULTS_WORKSPACE"),
    *("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
)
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name in EMULATED:
            item.add_marker(pytest.mark.slow)
            # The SDK uses what its own libraries want to drop.
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is signed in, no workspace is named, and there is no network."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in PROXIES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def idx_folder(tmp_path: Path) -> Path:
    return _idx(tmp_path / "digits")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return _pictures(tmp_path / "pictures", 3)


@pytest.fixture(scope="session")
def make_idx() -> Callable[[Path, int], Path]:
    return _idx


@pytest.fixture(scope="session")
def make_pictures() -> Callable[[Path, int], Path]:
    return _pictures


@pytest.fixture(scope="session")
def make_listener() -> Callable[[], Observer]:
    return _Listener


class _Listener(Observer):
    def __init__(self):
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def heard(self, text: str) -> bool:
        return any(text in message for message in self.messages)


def _idx(folder: Path, count: int = 60) -> Path:
    """Two classes of small pictures, each of one gray value."""
    folder.mkdir()
    for stem, number in (("train", count), ("t10k", count // 3)):
        labels = bytes(index % 2 for index in range(number))
        pixels = b"".join(bytes([40 + 150 * label]) * 64 for label in labels)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(struct.pack(">HBBIII", 0, 8, 3, number, 8, 8) + pixels)
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, number) + labels)
    return folder


def _pictures(folder: Path, each: int) -> Path:
    """Two classes of small pictures, no two alike."""
    from PIL import Image

    for label, name in enumerate(("cats", "dogs")):
        (folder / name).mkdir(parents=True)
        for index in range(each):
            colour = (index % 256, 40 + 150 * label, index // 256)
            Image.new("RGB", (8, 8), colour).save(folder / name / f"{index:04}.png")
    return folder
