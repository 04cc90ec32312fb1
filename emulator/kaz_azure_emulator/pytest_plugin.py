"""The fixtures `azure_emulator` and `azure_waits`, for every test suite where this package is installed."""

import time
from collections.abc import Iterator

import pytest

_PAUSE_SECONDS = 0.05  # of the machine's time, for a wait of Azure's: what really runs goes on meanwhile


@pytest.fixture(scope="session")
def azure_emulator_session() -> Iterator:
    """One emulator for the whole session: it takes seconds to start."""
    from kaz_azure_emulator.emulator import AzureEmulator

    with AzureEmulator() as azure:
        yield azure


@pytest.fixture(scope="module")
def azure_emulator(azure_emulator_session) -> Iterator:
    """An emulator without jobs, computes and assets at each module's beginning, whose variables are in the environment.

    It is the same one for all tests of a module, which can so build on what another has made where they want to; a
    test that must find it empty calls its `reset`.
    """
    azure_emulator_session.reset()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in azure_emulator_session.environment.items():
            patch.setenv(name, value)
        yield azure_emulator_session


@pytest.fixture(scope="module")
def azure_waits(azure_emulator) -> Iterator[list[float]]:
    """Has the emulator's time pass in place of this process's, where Azure's libraries wait between two requests.

    They wait for an operation to end, and before they try again. The list has the seconds of each wait, in order.
    """
    from azure.core.pipeline.transport import HttpTransport

    waits: list[float] = []

    def sleep(_: HttpTransport, seconds: float) -> None:
        waits.append(seconds)
        time.sleep(min(seconds, _PAUSE_SECONDS))
        azure_emulator.advance(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpTransport, "sleep", sleep)
        yield waits
