import json
import threading

import pytest

from keras_azure.backends.azure import prices as module
from keras_azure.backends.azure.prices import retail_prices
from keras_azure.errors import DataUnavailable, UsageError


@pytest.fixture
def cached(tmp_path):
    return tmp_path / "keras_azure" / "prices" / "eastus.json"


def test_prices_are_read_page_by_page(price_list):
    price_list.answers[:] = [
        {
            "Items": [price_list.item("Standard_NC4as_T4_v3", 0.526)],
            "NextPageLink": f"{price_list.address}?$skip=100",
        },
        {"Items": [price_list.item("Standard_NC64as_T4_v3", 4.352)], "NextPageLink": None},
    ]
    found = retail_prices("eastus")
    assert {name: price.usd_per_hour for name, price in found.items()} == {
        "Standard_NC4as_T4_v3": 0.526,
        "Standard_NC64as_T4_v3": 4.352,
    }
    price = found["Standard_NC4as_T4_v3"]
    assert (price.date, price.region, price.source) == (price_list.today, "eastus", price_list.address)
    assert price_list.requests == [
        "/prices?$filter=serviceName eq 'Virtual Machines' and armRegionName eq 'eastus' and priceType eq "
        "'Consumption' and contains(armSkuName, 'Standard_N')",
        "/prices?$skip=100",
    ]


def test_only_whole_machines_pay_as_you_go_with_linux_count(price_list):
    item, name = price_list.item, "Standard_NC4as_T4_v3"
    price_list.answers[0]["Items"] = [
        item(name, 0.5, effectiveStartDate="2023-01-01T00:00:00Z"),
        item(name, 0.6),
        item(name, 0.4, effectiveStartDate="2022-01-01T00:00:00Z"),
        item(name, 0.1, meterName="NC4as T4 v3 Spot"),
        item(name, 0.2, meterName="NC4as T4 v3 Low Priority"),
        item(name, 0.9, productName="Virtual Machines NCasT4_v3 Series Windows"),
        item(name, 0.8, productName="Virtual Machines NCasT4_v3 Series CloudServices"),
        item(name, 3000, type="Reservation"),
    ]
    assert retail_prices("eastus")[name].usd_per_hour == 0.6
    assert retail_prices("eastus", spot=True)[name].usd_per_hour == 0.1


def test_they_are_fetched_once_a_day(price_list, cached):
    first = retail_prices("eastus")
    assert json.loads(cached.read_text())["date"] == price_list.today
    assert retail_prices("eastus") == first
    assert len(price_list.requests) == 1
    retail_prices("westus")
    assert len(price_list.requests) == 2


def test_those_of_another_day_are_fetched_anew(price_list, cached):
    retail_prices("eastus")
    cached.write_text(cached.read_text().replace(price_list.today, "2020-01-01").replace("0.526", "9.9"))
    assert retail_prices("eastus")["Standard_NC4as_T4_v3"].usd_per_hour == 0.526
    assert json.loads(cached.read_text())["date"] == price_list.today


def test_old_ones_are_better_than_none(price_list, cached):
    retail_prices("eastus")
    cached.write_text(cached.read_text().replace(price_list.today, "2020-01-01"))
    price_list.answers[:] = [503]
    price = retail_prices("eastus")["Standard_NC4as_T4_v3"]
    assert (price.usd_per_hour, price.date) == (0.526, "2020-01-01")
    assert json.loads(cached.read_text())["date"] == "2020-01-01"


def test_those_of_another_address_are_not_taken(price_list, cached):
    retail_prices("eastus")
    kept = json.loads(cached.read_text())
    cached.write_text(json.dumps({**kept, "address": "https://elsewhere", "usd_per_hour": {"Standard_NC6": 1.0}}))
    assert list(retail_prices("eastus")) == ["Standard_NC4as_T4_v3"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"\xff", b"[]", b"{}", b'{"date": 3}', b"[" * 100_000, b'{"address": 1, "date": "x", "usd_per_hour": {}}'],
)
def test_a_damaged_cache_is_as_none(price_list, cached, damage):
    cached.parent.mkdir(parents=True)
    cached.write_bytes(damage)
    assert list(retail_prices("eastus")) == ["Standard_NC4as_T4_v3"]


def test_a_cache_that_cannot_be_written_does_not_matter(price_list, tmp_path):
    (tmp_path / "keras_azure").write_text("in the way")
    assert list(retail_prices("eastus")) == ["Standard_NC4as_T4_v3"]


@pytest.mark.parametrize(
    "answer",
    [
        503,
        b"",
        b"<html>",
        b"\xff",
        b"[" * 100_000,
        [],
        {},
        {"Items": {}},
        {"Items": [3]},
        {"Items": [{"armSkuName": "Standard_NC6"}]},
        {"Items": [], "NextPageLink": "https://elsewhere.example/prices"},
        {"Items": [], "NextPageLink": "file:///etc/passwd"},
        {"Items": [], "NextPageLink": "http://[1"},
        {"Items": [], "NextPageLink": 7},
    ],
    ids=str,
)
def test_what_is_no_list_of_prices_is_an_error(price_list, cached, answer):
    price_list.answers[:] = [answer]
    with pytest.raises(DataUnavailable, match=r"Azure's prices cannot be read from http://127\.0\.0\.1"):
        retail_prices("eastus")
    assert not cached.exists()


@pytest.mark.parametrize("price", ["0.5", None, -1, True, float("nan"), float("inf"), 10**400])
def test_a_price_that_is_no_amount_is_an_error(price_list, price):
    price_list.answers[0]["Items"] = [price_list.item("Standard_NC4as_T4_v3", price)]
    with pytest.raises(DataUnavailable, match="a price is not as documented"):
        retail_prices("eastus")


def test_a_server_that_is_away_is_an_error(price_list):
    price_list.server.shutdown()
    price_list.server.server_close()
    with pytest.raises(DataUnavailable, match="refused"):
        retail_prices("eastus")


@pytest.mark.parametrize(("limit", "value"), [("_SECONDS", 0.0), ("_BYTES_PER_PAGE", 10)])
def test_no_answer_is_waited_for_or_read_without_end(price_list, monkeypatch, limit, value):
    monkeypatch.setattr(module, limit, value)
    price_list.answers[:] = [{"Items": [], "NextPageLink": price_list.address}]
    with pytest.raises(DataUnavailable, match="too long"):
        retail_prices("eastus")


def test_a_silent_server_is_left(price_list, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS_OF_SILENCE", 0.2)
    left = threading.Event()
    price_list.server.RequestHandlerClass.do_GET = lambda self: left.wait(300)
    with pytest.raises(DataUnavailable, match="timed out"):
        retail_prices("eastus")
    left.set()


@pytest.mark.parametrize("region", ["", "East US", "../eastus", "eastus' or 'a"])
def test_what_is_no_region_is_a_usage_error(price_list, region):
    with pytest.raises(UsageError, match="There is no Azure region called"):
        retail_prices(region)
    assert price_list.requests == []


@pytest.mark.parametrize("address", ["file:///etc/passwd", "prices.azure.com"])
def test_what_is_no_web_address_is_a_usage_error(price_list, monkeypatch, address):
    monkeypatch.setenv("KAZ_PRICES", address)
    with pytest.raises(UsageError, match="KAZ_PRICES"):
        retail_prices("eastus")
