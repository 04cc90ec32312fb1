import pytest


@pytest.fixture(scope="session", autouse=True)
def _plans(plans_are_quick: None) -> None:
    """In all tests of this tier."""
