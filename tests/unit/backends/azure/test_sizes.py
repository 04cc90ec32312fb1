import datetime
import re
from fractions import Fraction

import pytest

from keras_azure.backends.azure.sizes import SIZES, find_size, substitute
from keras_azure.errors import UnknownName, UsageError
from keras_azure.registry.specs import is_name

TODAY = datetime.date(2026, 11, 24)
RETIRED = [size for size in SIZES if size.retirement]

each_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: size.short_name)
each_retired = pytest.mark.parametrize("size", RETIRED, ids=lambda size: size.short_name)


@each_size
def test_every_row_has_its_sources(size):
    for address in (size.source, size.gpu_source):
        assert re.fullmatch(r"https://[\w.-]+/\S+", address)


@each_size
def test_every_row_makes_sense(size):
    assert re.fullmatch(r"Standard_N\w+", size.name)
    assert size.gpu_count > 0
    assert size.gpu_memory_gb > 0
    assert size.vcpus > 0
    assert size.ram_gib > 0
    assert size.family is None or re.fullmatch(r"standard\w+Family", size.family)
    assert size.fp32_tflops is None or 0 < size.fp32_tflops < (size.tensor_tflops or 1000)
    assert size.memory_bandwidth_gbps is None or size.memory_bandwidth_gbps >= 100
    # Microsoft's rule: those with an r, and only they, have InfiniBand.
    assert bool(size.infiniband) == bool(re.match(r"Standard_N[A-Z]+\d+[a-z]*r", size.name))


@each_retired
def test_what_is_retired_has_a_date_with_its_source_and_a_target(size):
    assert size.retirement_source.startswith("https://learn.microsoft.com/azure/")
    assert size.successor or "none given" in size.note
    after = substitute(size, TODAY).size
    assert not after.is_retired(TODAY)
    assert after in SIZES


def test_what_is_not_retired_has_no_target():
    assert all(size.successor is None and size.retirement_source is None for size in SIZES if not size.retirement)


def test_every_name_is_there_once():
    for names in ([size.name.lower() for size in SIZES], [size.backend_name for size in SIZES]):
        assert len(set(names)) == len(names) == 73
    assert all(is_name(size.backend_name) for size in SIZES)


@pytest.mark.parametrize(
    ("name", "gpu", "count", "memory", "tflops", "price"),
    [
        ("NC6", "K80", 1, 12, "2.0", 0.90),
        ("NC6s_v2", "P100", 1, 16, 9.3, 2.07),
        ("NC6s_v3", "V100", 1, 16, 14.0, 3.06),
        ("ND6s", "P40", 1, 24, 11.8, 2.07),
        ("ND40rs_v2", "V100 SXM2", 8, 32, None, 12.24),
        ("NV6", "M60", 1, 8, "4", 1.092),
        ("NV12s_v3", "M60", 1, 8, "4", 1.14),
        ("NC24s_v3", "V100", 4, 16, 14.0, 13.712),
        ("NC24s_v2", "P100", 4, 16, 9.3, 9.972),
        ("NC24", "K80", 4, 12, "2.0", 4.336),
    ],
)
def test_the_figures_of_the_chapter_are_there(name, gpu, count, memory, tflops, price):
    """As the values, or, as text here, in the note where the maker of the GPU says otherwise."""
    size = find_size(name)
    assert (size.gpu, size.gpu_count, size.gpu_memory_gb) == (gpu, count, memory)
    if isinstance(tflops, str):
        assert f"The chapter says {tflops} TFLOPS" in size.note
    elif tflops:
        assert size.fp32_tflops == tflops
    [paid] = size.prices
    assert (paid.usd_per_hour, paid.date, paid.region) == (price, "2019-09", None)
    assert "chapter" in paid.source


def test_what_the_chapter_says_otherwise_of_ndv2_is_noted():
    assert "The chapter says 16 GB a GPU" in find_size("ND40rs_v2").note
    assert find_size("ND40rs_v2").nvlink


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("Standard_NC6", "azure-nc6"),
        ("Standard_NC24r", "azure-nc24r"),
        ("Standard_NC24ads_A100_v4", "azure-nc24ads-a100-v4"),
        ("Standard_NC6_Promo", "azure-nc6-promo"),
    ],
)
def test_sizes_are_found_however_they_are_spelled(name, backend):
    size = find_size(name)
    assert (size.name, size.backend_name) == (name, backend)
    spellings = (name.lower(), name.upper(), size.short_name, size.short_name.lower(), backend, f" {name} ")
    assert all(find_size(spelling) is size for spelling in spellings)


@pytest.mark.parametrize(("name", "nearest"), [("nc7", "NC6"), ("Standard_NC24ads_v4", "NC24ads_A100_v4"), ("", None)])
def test_a_name_that_is_none_is_a_usage_error_with_the_nearest(name, nearest):
    with pytest.raises(UnknownName) as raised:
        find_size(name)
    assert isinstance(raised.value, UsageError)
    assert f"There is no Azure size called {name!r}." in str(raised.value)
    assert "kaz sizes" in raised.value.hint
    assert nearest is None or nearest in raised.value.expected


def test_parts_of_a_gpu():
    size = find_size("NV6ads_A10_v5")
    assert (size.gpu_count, size.gpu_memory_gb) == (Fraction(1, 6), 4)


def test_a_size_is_retired_from_its_day_on():
    size = find_size("NV12s_v3")
    assert not size.is_retired(datetime.date(2026, 9, 29))
    assert size.is_retired(datetime.date(2026, 9, 30))
    assert not find_size("NC4as_T4_v3").is_retired(datetime.date.max)


@pytest.mark.parametrize(
    ("name", "target", "losses"),
    [
        ("NC6", "NC4as_T4_v3", ()),
        ("NC12", "NC16as_T4_v3", ("1 GPU instead of 2",)),
        ("NC24r", "NC64as_T4_v3", ("no InfiniBand",)),
        ("NC24rs_v3", "NC80adis_H100_v5", ("2 GPUs instead of 4", "no InfiniBand")),
        ("ND6s", "NC4as_T4_v3", ("16 GB of memory a GPU instead of 24 GB",)),
        ("NV6", "NV36ads_A10_v5", ()),  # by way of NV12s_v3, which is retired too
        ("NC24ads_A100_v4", "NC24ads_A100_v4", ()),
    ],
)
def test_what_runs_instead_and_what_is_lost(name, target, losses):
    instead = substitute(find_size(name), TODAY)
    assert (instead.size.short_name, instead.losses) == (target, losses)


def test_successors_are_followed_no_further_than_needed():
    assert substitute(find_size("NV6"), datetime.date(2024, 1, 1)).size.short_name == "NV12s_v3"
    assert substitute(find_size("NV6"), datetime.date(2023, 1, 1)).size.short_name == "NV6"


def test_sizes_of_the_emulator_have_the_same_facts():
    from kaz_azure_emulator.sizes import SIZES as EMULATED

    for other in EMULATED:
        if not other.gpus:
            continue
        size = find_size(other.name)
        assert (size.name, size.vcpus, size.ram_gib) == (other.name, other.cpus, other.memory_gib)
        assert size.family.lower() == other.family.lower()
