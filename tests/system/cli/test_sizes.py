import json
import os
import subprocess
import sys

import pytest

from keras_azure.backends.azure.sizes import SIZES


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def rows(out: str) -> list[list[str]]:
    """The cells of the printed table, without its heading and what stands below."""
    return [line.split() for line in out.split("\n\n")[0].splitlines()[1:]]


def names(out: str) -> list[str]:
    return [row[0] for row in rows(out)]


def listed(kaz, *arguments: str) -> list[dict]:
    code, out, err = kaz("sizes", *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_all_sizes_are_listed_in_the_order_of_the_table(kaz):
    code, out, err = kaz("sizes")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["size", "GPUs", "GB", "FP32", "FP16", "USD/h", "retired"]
    assert names(out) == [size.short_name for size in SIZES]
    by_name = {row[0]: row[1:] for row in rows(out)}
    assert by_name["NC6"] == ["1", "K80", "12", "4.37", "0.90*", "2023-08"]
    assert by_name["NC4as_T4_v3"] == ["1", "T4", "16", "8.1", "65"]
    assert by_name["NV6ads_A10_v5"] == ["1/6", "A10", "4", "31.2", "125"]
    assert "* in 2019-09, from the book chapter" in out


@pytest.mark.parametrize("arguments", [(), ("--available",), ("--gpu", "rtx"), ("--sort", "price")])
def test_it_fits_into_eighty_columns(kaz, arguments):
    out = kaz("sizes", *arguments)[1]
    assert max(map(len, out.splitlines())) <= 80
    assert "…" not in out
    assert all(len(row) >= 4 for row in rows(out))  # no row is folded


def test_the_filters(kaz):
    assert names(kaz("sizes", "--gpu", "t4")[1]) == ["NC4as_T4_v3", "NC8as_T4_v3", "NC16as_T4_v3", "NC64as_T4_v3"]
    assert {row["gpu"] for row in listed(kaz, "--gpu", "a100")} == {"A100", "A100 SXM"}
    assert {row["gpu"] for row in listed(kaz, "--gpu", "A10")} == {"A10"}
    large = listed(kaz, "--min-memory", "94")
    assert {row["gpu_memory_gb"] for row in large} == {94, 96, 141, 192, 288}
    available = listed(kaz, "--available")
    assert {row["retired"] for row in available} == {False}
    assert "Standard_NC6" not in {row["name"] for row in available}
    assert listed(kaz, "--gpu", "V100", "--available", "--min-memory", "32")[0]["name"] == "Standard_ND40rs_v2"


def test_nothing_that_is_like_that(kaz):
    assert kaz("sizes", "--gpu", "k80", "--available") == (0, "", "No size is like that.\n")
    assert kaz("sizes", "--gpu", "k80", "--available", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("order", "first", "value", "descending"),
    [
        ("price", "Standard_NC6", lambda row: row["prices"][-1]["usd_per_hour"] if row["prices"] else None, False),
        ("memory", "Standard_ND128isr_GB300_v6", lambda row: row["gpu_memory_gb"], True),
        ("tflops", "Standard_ND96isr_MI300X_v5", lambda row: row["fp32_tflops"], True),
    ],
)
def test_sorting_puts_what_is_not_known_last(kaz, order, first, value, descending):
    found = listed(kaz, "--sort", order)
    assert len(found) == len(SIZES)
    assert found[0]["name"] == first
    values = [value(row) for row in found]
    known = [each for each in values if each is not None]
    assert values[: len(known)] == known == sorted(known, reverse=descending)


def test_sorting_by_name_takes_numbers_as_such(kaz):
    assert names(kaz("sizes", "--sort", "name", "--gpu", "p100")[1])[:3] == ["NC6s_v2", "NC12s_v2", "NC24rs_v2"]
    assert [row["name"] for row in listed(kaz, "--sort", "name")][:2] == ["Standard_NC4as_T4_v3", "Standard_NC6"]


def test_the_json_of_a_size(kaz):
    [row] = listed(kaz, "nc6")
    assert row["name"] == "Standard_NC6"
    assert row["backend"] == "azure-nc6"
    assert (row["gpu"], row["gpu_count"], row["gpu_memory_gb"]) == ("K80", 1, 12)
    assert (row["retired"], row["retirement"]) == (True, "2023-08-31")
    assert row["successor"] == "Standard_NC4as_T4_v3"
    assert row["source"].startswith("https://")
    [price] = row["prices"]
    assert (price["usd_per_hour"], price["date"], price["region"]) == (0.90, "2019-09", None)
    assert listed(kaz, "NV6ads_A10_v5")[0]["gpu_count"] == 0.1667


def test_the_json_of_all_has_what_scripts_need(kaz):
    needed = {"name", "gpu", "gpu_count", "gpu_memory_gb", "retired", "successor", "source"}
    assert all(needed <= row.keys() for row in listed(kaz))


def test_a_size_in_full(kaz):
    code, out, err = kaz("sizes", "Standard_NC24rs_v3")
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if line[:1].strip() and line.count("  "))
    assert lines["Size"] == "Standard_NC24rs_v3"
    assert lines["Backend"] == "azure-nc24rs-v3"
    assert lines["Retired"] == "2025-09-30"
    assert lines["Runs"].split(maxsplit=1)[1] == "Standard_NC80adis_H100_v5: 2 GPUs instead of 4, no InfiniBand"
    assert "sizes/lifecycle/retirement/ncv3-retirement" in out
    assert "US Gov Virginia" in out
    assert "nothing is lost" in kaz("sizes", "nc6")[1]
    assert "Runs on" not in kaz("sizes", "nc24ads_a100_v4")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nc7",), "There is no Azure size called 'nc7'."),
        (("--gpu", "T400"), "There is no GPU called 'T400'. Did you mean 'T4'?"),
        (("--region", "eastus"), "--region is the region of --prices."),
        (("--prices", "--region", "East US"), "There is no Azure region called 'East US'."),
    ],
)
def test_wrong_usage(kaz, arguments, message):
    code, out, err = kaz("sizes", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_prices_of_today(kaz, price_list):
    code, out, err = kaz("sizes", "--prices", "--region", "westeurope", "--gpu", "T4")
    assert (code, err) == (0, "")
    assert rows(out)[0] == ["NC4as_T4_v3", "1", "T4", "16", "8.1", "65", "0.53"]
    assert f"USD/h: westeurope, {price_list.today}, pay as you go, Linux." in out
    assert "armRegionName eq 'westeurope'" in price_list.requests[0]
    assert max(map(len, out.splitlines())) <= 80


def test_prices_as_json_come_after_older_ones(kaz, price_list):
    price_list.answers[0]["Items"] = [price_list.item("Standard_NC6", 1.5)]
    [row] = listed(kaz, "nc6", "--prices")
    assert [(each["usd_per_hour"], each["date"], each["region"]) for each in row["prices"]] == [
        (0.90, "2019-09", None),
        (1.5, price_list.today, "eastus"),
    ]


@pytest.mark.parametrize("answer", [503, b"<html>"])
def test_the_table_is_shown_without_prices_that_cannot_be_read(kaz, price_list, answer):
    without = kaz("sizes")[1]
    price_list.answers[:] = [answer]
    code, out, err = kaz("sizes", "--prices")
    assert (code, out) == (0, without)
    assert err.count("\n") == 1
    assert err.startswith(f"Azure's prices cannot be read from {price_list.address}: ")
    assert err.endswith(". The table is without them.\n")


def test_the_table_is_shown_when_nobody_answers(kaz, price_list):
    without = kaz("sizes", "--json")[1]
    price_list.server.shutdown()
    price_list.server.server_close()
    code, out, err = kaz("sizes", "--prices", "--json")
    assert (code, out) == (0, without)
    assert err.count("\n") == 1


def test_old_prices_are_shown_as_such(kaz, price_list, tmp_path):
    assert kaz("sizes", "--prices")[2] == ""
    file = tmp_path / "keras_azure" / "prices" / "eastus.json"
    file.write_text(file.read_text().replace(price_list.today, "2025-01-02"))
    price_list.answers[:] = [503]
    code, out, err = kaz("sizes", "--prices", "--gpu", "T4")
    assert (code, err) == (0, "Azure's prices cannot be read today; these are of 2025-01-02.\n")
    assert "USD/h: eastus, 2025-01-02, pay as you go, Linux." in out


def test_a_region_without_prices(kaz, price_list):
    price_list.answers[0]["Items"] = []
    code, out, err = kaz("sizes", "--prices", "--region", "nowhere")
    assert (code, err) == (0, "Azure lists no prices for the region nowhere.\n")
    assert len(names(out)) == len(SIZES)


def test_it_can_be_piped_and_has_no_colours_then():
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "keras_azure", "sizes"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.slow
def test_what_the_region_has(kaz, azure_emulator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = kaz("sizes", "--check", "--gpu", "t4")
    assert code == 0
    assert err.endswith(" in westus2\n")
    assert max(map(len, out.splitlines())) <= 80
    assert rows(out)[0][-3:] == ["1000", "of", "1000"]
    assert "here: cores left" in out
    [size] = listed_with(kaz, "nc4as_t4_v3")
    assert (size["offered"], size["cores_used"], size["cores_allowed"]) == (True, 0, 1000)
    [retired] = listed_with(kaz, "nc6")
    assert retired["offered"] is False
    assert "Cores left  1000 of 1000" in kaz("sizes", "nc4as_t4_v3", "--check")[1]


def listed_with(kaz, name: str) -> list[dict]:
    return json.loads(kaz("sizes", name, "--check", "--json")[1])


def test_without_a_workspace_nothing_can_be_checked(kaz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_DEFAULTS_GROUP", "AZURE_DEFAULTS_WORKSPACE", "KAZ_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    code, out, err = kaz("sizes", "--check")
    assert (code, out) == (2, "")
    assert "No Azure ML workspace is named" in err
