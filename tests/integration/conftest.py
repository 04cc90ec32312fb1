"""What all tests of this tier share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def plans_try_steps_for_a_moment() -> Iterator[None]:
    """A plan for this machine makes steps for seconds, to tell what one takes. No test judges what it tells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_azure.planning.speed._TRIED_SECONDS", 0.05)
        yield
