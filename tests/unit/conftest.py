"""Unit tests are quick because they load none of the libraries that take seconds to load; here they are held to it."""

import sys
from pathlib import Path

import pytest

HEAVY = ("tensorflow", "keras", "jax", "mlflow")


def heavy() -> set[str]:
    return {name for name in HEAVY if name in sys.modules}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Only where these tests run alone can it be told who loaded what: other tiers load all of it, while collected."""
    alone = all(Path(__file__).parent in item.path.parents for item in session.items)
    if alone and (loaded := heavy()):
        names = ", ".join(sorted(loaded))
        raise pytest.UsageError(f"a module in tests/unit loads {names} on import: put it in tests/integration")


@pytest.fixture(autouse=True)
def loads_nothing_heavy(request: pytest.FixtureRequest):
    assert "azure_emulator" not in request.fixturenames, "an emulator's place is tests/system"
    before = heavy()
    yield
    loaded = heavy() - before
    assert not loaded, f"this test loads {', '.join(sorted(loaded))}; put it in tests/integration"
