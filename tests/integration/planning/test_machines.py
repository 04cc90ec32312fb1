import psutil
import pytest

from keras_azure.backends.asked import machine_of
from keras_azure.backends.machine import Machine
from keras_azure.planning.machines import usable_memory


def test_tensorflow_leaves_some_of_a_gpus_memory():
    assert usable_memory(machine_of("azure-nc4as-t4-v3")) == pytest.approx(0.95 * 16e9)
    assert usable_memory(machine_of("azure-nv6ads-a10-v5")) == 4e9 - (300 << 20)


def test_this_machine_has_what_is_free():
    assert 0 < usable_memory(machine_of("local")) <= psutil.virtual_memory().total


def test_of_a_machine_that_is_not_known_nothing_is():
    assert usable_memory(Machine("theirs")) is None
