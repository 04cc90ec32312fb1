"""The fixture `azure_emulator`, for every test suite where this package is installed."""

from collections.abc import Iterator

import pytest


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
