"""What all tests share: the settings that must be made before the SDK is imported."""

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Read when the SDK is imported: how many seconds it waits between two looks at a job.
    os.environ.setdefault("AZUREML_RUN_POLLING_INTERVAL_MIN", "1")
