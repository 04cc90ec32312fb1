"""What all tests share: the settings that must be made before the SDK is imported."""

import os

import hypothesis
import pytest

# An example may take as long as it does: on a busy machine that says nothing of the code.
hypothesis.settings.register_profile(
    "patient", hypothesis.settings(), deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    # Read when the SDK is imported: how many seconds it waits between two looks at a job.
    os.environ.setdefault("AZUREML_RUN_POLLING_INTERVAL_MIN", "1")
