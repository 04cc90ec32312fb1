import pytest

from keras_azure.backends.azure.sizes import find_size
from keras_azure.planning.cost import START_MINUTES, Range, machine_cost, run_cost


@pytest.mark.parametrize(
    ("size", "hours", "machines", "usd_per_hour", "total"),
    [
        ("Standard_NC24s_v3", 6, 2, 13.712, 164.54),
        ("Standard_NC24s_v2", 18, 2, 9.972, 358.99),
        ("Standard_NC24", 38, 4, 4.336, 659.07),
    ],
)
def test_the_chapters_trainings_of_resnet50(size, hours, machines, usd_per_hour, total):
    assert round(machine_cost(hours, machines, usd_per_hour), 2) == total
    # The table of sizes has the price that the chapter calculates with.
    assert [price.usd_per_hour for price in find_size(size).prices] == [usd_per_hour]


def test_a_run_pays_for_the_nodes_start_and_its_idle_time():
    low, high = START_MINUTES
    cost = run_cost(Range(3600, 7200), machines=2, usd_per_hour=3.0, idle_minutes=2)
    assert cost.low == pytest.approx(2 * 3.0 * (1 + (low + 2) / 60))
    assert cost.high == pytest.approx(2 * 3.0 * (2 + (high + 2) / 60))
