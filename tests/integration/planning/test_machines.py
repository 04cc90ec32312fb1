import datetime
from fractions import Fraction

import psutil
import pytest

from keras_azure.backends.azure.sizes import Price, find_size
from keras_azure.errors import UsageError
from keras_azure.planning.machines import Machine, Prices, current_machines, machine_of


def test_a_retired_size_is_planned_as_its_successor():
    machine = machine_of("azure-nc24r")
    assert machine.size.name == "Standard_NC64as_T4_v3"
    assert machine.note == "NC24r was retired on 2023-08-31: NC64as_T4_v3 instead, with no InfiniBand"


def test_the_backends_options_count():
    machine = machine_of("azure-nc4as-t4-v3(nodes=2, spot=True, idle_minutes=10)")
    assert (machine.nodes, machine.spot, machine.idle_minutes, machine.note) == (2, True, 10, "")
    assert machine_of("azure-nc4as-t4-v3(serverless=True)").idle_minutes == 0
    assert machine_of("azure-nc4as-t4-v3").idle_minutes == 2


def test_tensorflow_leaves_some_of_a_gpus_memory():
    assert machine_of("azure-nc4as-t4-v3").memory == pytest.approx(0.95 * 16e9)
    assert Machine("small", find_size("NV6ads_A10_v5")).memory == 4e9 - (300 << 20)


def test_this_machine_has_what_is_free():
    assert 0 < machine_of("local").memory <= psutil.virtual_memory().total


def test_other_backends_are_not_known():
    with pytest.raises(UsageError, match="The machines of the backend 'theirs' are not known"):
        machine_of("theirs")


def test_all_machines_are_current_ones_with_gpus_that_tensorflow_runs_on():
    found = [machine.size for machine in current_machines()]
    assert {"NC4as_T4_v3", "NC24ads_A100_v4", "NV6ads_A10_v5"} <= {size.short_name for size in found}
    assert not any(size.is_retired(datetime.date.today()) for size in found)
    assert not any("MI" in size.gpu or "V620" in size.gpu for size in found)
    assert min(size.gpu_count for size in found) == Fraction(1, 6)


def test_the_price_is_the_newest_of_its_kind():
    new, spot = (Price(amount, "2026-11-26", "eastus", "there") for amount in (2.0, 1.0))
    size = find_size("NC4as_T4_v3")
    with_price = machine_of("azure-nd40rs-v2")
    assert Prices({}, {}).of(Machine("a", size)) is None
    assert Prices({}, {}).of(with_price) == with_price.size.prices[-1]
    assert Prices({size.name: new}, {size.name: spot}).of(Machine("a", size)) == new
    assert Prices({size.name: new}, {size.name: spot}).of(Machine("a", size, spot=True)) == spot
    assert Prices({size.name: new}, {}).of(Machine("a", size, spot=True)) is None
    assert Prices({size.name: new}, {}).of(Machine("local")) is None
