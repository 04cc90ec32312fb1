"""The names of jobs that do one run, one after the other."""

import pytest

from keras_azure.backends.azure.names import first_name, new_name, next_name


@pytest.mark.parametrize("model", ["cnn", "their models", "20250101-000000-abcdef", "net-2"])
def test_all_jobs_of_a_run_lead_to_its_first(model):
    first = new_name(model)
    second = next_name(first)
    third = next_name(second)
    assert first_name(first) == first_name(second) == first_name(third) == first
    assert (second, third) == (f"{first}-2", f"{first}-3")
    assert new_name(model) != first


def test_any_other_name_is_its_own():
    assert first_name("dry-run") == "dry-run"
