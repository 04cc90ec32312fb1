"""What the emulator's tests share.

Tests that ask by hand make an opener each time: `urllib.request.urlopen` keeps its first one, with the proxies of then.
"""

import logging
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def client(azure_emulator):
    """The real SDK's client, signed in as its documentation says."""
    from azure.ai.ml import MLClient
    from azure.identity import EnvironmentCredential

    logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
    return MLClient.from_config(EnvironmentCredential(), path=azure_emulator.state_folder / "config.json")


@pytest.fixture(scope="module")
def cluster(client):
    """The name of a cluster with room for two nodes."""
    from azure.ai.ml.entities import AmlCompute

    created = client.compute.begin_create_or_update(AmlCompute(name="cpu", size="Standard_DS3_v2", max_instances=2))
    return created.result().name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a few files, one of them in a folder of its own."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "one.txt").write_text("one")
    (tmp_path / "data" / "deep" / "two.txt").write_text("two")
    return tmp_path / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            # The SDK uses what its own libraries want to drop.
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))
