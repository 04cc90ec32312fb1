"""What a size of Azure's is as the machine of a run."""

import datetime
from fractions import Fraction

import pytest

from keras_azure.backends.asked import machine_of
from keras_azure.backends.azure.backend import azure
from keras_azure.backends.azure.machines import Prices, current_machines
from keras_azure.backends.azure.sizes import SIZES, find_size
from keras_azure.backends.machine import Price
from keras_azure.errors import NotAvailable, UnknownName
from keras_azure.registry.registry import BACKENDS


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.short_name)
def test_every_size_is_a_backend_by_its_name(size):
    """A row of the table is all that a size takes."""
    built = BACKENDS.build(size.backend_name)
    assert built.asked is size
    assert built == azure(size=size.name)
    assert machine_of(size.backend_name).backend == size.backend_name


def test_old_spellings_are_valid():
    assert BACKENDS.build("azure-nc4as-t4-v3(nodes=2, spot=True)") == azure(size="nc4as-t4-v3", nodes=2, spot=True)
    assert BACKENDS.find("azure-nc6").name == "azure"


def test_an_unknown_size_names_the_nearest():
    with pytest.raises(UnknownName, match="no Azure size called 'nc7'") as raised:
        BACKENDS.build("azure-nc7")
    assert "NC6" in raised.value.expected
    assert raised.value.hint == "kaz sizes"


def test_a_retired_size_runs_on_its_successor():
    machine = machine_of("azure-nc24r")
    assert (machine.name, machine.gpu, machine.instead_of.name) == ("Standard_NC64as_T4_v3", "T4", "Standard_NC24r")
    assert machine.note == (
        "Azure retired Standard_NC24r on 2023-08-31; the run goes to Standard_NC64as_T4_v3, with no InfiniBand"
    )
    with pytest.raises(NotAvailable, match="Azure retired Standard_NC24r") as raised:
        BACKENDS.build("azure-nc24r(strict_size=True)")
    assert "azure-nc64as-t4-v3" in raised.value.hint


def test_the_options_count():
    machine = machine_of("azure-nc4as-t4-v3(nodes=2, spot=True, idle_minutes=10)")
    assert (machine.nodes, machine.spot, machine.idle_minutes, machine.note) == (2, True, 10, "")
    assert machine.instead_of is None
    assert machine_of("azure-nc4as-t4-v3(serverless=True)").idle_minutes == 0
    assert machine_of("azure-nc4as-t4-v3").idle_minutes == 2


def test_there_are_current_machines_with_gpus_that_tensorflow_runs_on():
    found = current_machines(None)
    sizes = [find_size(machine.backend) for machine in found]
    assert {"NC4as_T4_v3", "NC24ads_A100_v4", "NV6ads_A10_v5"} <= {size.short_name for size in sizes}
    assert not any(size.is_retired(datetime.date.today()) for size in sizes)
    assert not any("MI" in machine.gpu or "V620" in machine.gpu for machine in found)
    assert min(machine.gpu_count for machine in found) == Fraction(1, 6)
    assert {machine.idle_minutes for machine in found} == {2}


def test_the_price_is_the_newest_of_its_kind():
    new, spot = (Price(amount, "2026-11-26", "eastus", "there") for amount in (2.0, 1.0))
    size, with_price = find_size("NC4as_T4_v3"), find_size("ND40rs_v2")
    assert Prices({}, {}).of(size) is None
    assert Prices({}, {}).of(with_price) == with_price.prices[-1]
    assert Prices({}, {}).of(with_price, spot=True) is None
    assert Prices({size.name: new}, {size.name: spot}).of(size) == new
    assert Prices({size.name: new}, {size.name: spot}).of(size, spot=True) == spot
    assert Prices({size.name: new}, {}).of(size, spot=True) is None
    assert machine_of("azure-nd40rs-v2").price == with_price.prices[-1]
