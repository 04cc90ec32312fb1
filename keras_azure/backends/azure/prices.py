"""Today's prices of machines, from Azure's public Retail Prices API, which needs no login.

https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

import contextlib
import datetime
import http.client
import json
import os
import re
import time
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import platformdirs

from keras_azure.backends.machine import Price
from keras_azure.errors import DataUnavailable, KerasAzureError, UsageError
from keras_azure.files import write_json

DEFAULT_REGION = "eastus"
ADDRESS = "https://prices.azure.com/api/retail/prices"
_SECONDS_OF_SILENCE = 10.0
_SECONDS = 30.0  # for all pages; a region has a few
_BYTES_PER_PAGE = 10 << 20  # a page of 100 prices has some 100 kB
_MOST_USD = 1e6  # an hour: what is more is no price


Amounts = dict[str, float]  # US dollars an hour by the names of sizes


def retail_prices(region: str = DEFAULT_REGION, *, spot: bool = False) -> dict[str, Price]:
    """The pay-as-you-go prices in a region, with Linux, by the names of sizes: of today, or the last that were fetched.

    They are fetched once a day, from the address that KAZ_PRICES names if it is set, and kept in the user's cache
    folder. A size that the region does not have has no price. With `spot` they are those of spot nodes.

    Raises:
        UsageError: the region, or KAZ_PRICES, is not of the form that such a thing has.
        DataUnavailable: they cannot be fetched, and none were before.
    """
    if not re.fullmatch("[a-z0-9]{1,40}", region):
        raise UsageError(f"There is no Azure region called {region!r}.", expected="its short name, such as eastus")
    address = os.environ.get("KAZ_PRICES") or ADDRESS
    if urlsplit(address).scheme not in ("http", "https"):
        raise UsageError(f"KAZ_PRICES is {address!r}.", expected="an address that begins with http:// or https://")
    today = datetime.date.today().isoformat()
    file = platformdirs.user_cache_path("keras_azure") / "prices" / f"{region}.json"
    date, amounts, of_spot = _read(file, address)
    if date != today:
        try:
            (amounts, of_spot), date = _fetch(address, region), today
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            if not amounts:
                raise DataUnavailable(
                    f"Azure's prices cannot be read from {address}: {_reason(error)}", hint="again later"
                ) from error
        else:
            kept = {"address": address, "date": date, "usd_per_hour": amounts, "spot_usd_per_hour": of_spot}
            _write(file, kept)
    chosen = of_spot if spot else amounts
    return {name: Price(amount, date, region, address) for name, amount in chosen.items()}


def _fetch(address: str, region: str) -> tuple[Amounts, Amounts]:
    conditions = (
        "serviceName eq 'Virtual Machines'",
        f"armRegionName eq '{region}'",
        "priceType eq 'Consumption'",
        "contains(armSkuName, 'Standard_N')",
    )
    page: str | None = f"{address}?$filter={quote(' and '.join(conditions))}"
    deadline = time.monotonic() + _SECONDS
    items: list[dict[str, Any]] = []
    while page:
        answer = json.loads(_get(page, deadline))
        if not isinstance(answer, dict) or not isinstance(answer.get("Items"), list):
            raise ValueError("the answer has no list of prices")
        items += answer["Items"]
        page = answer.get("NextPageLink")
        if page is not None and not _is_at(page, address):
            raise ValueError("the answer leads to another address")
    return _amounts(items)


def _get(address: str, deadline: float) -> bytes:
    content = b""
    with urllib.request.urlopen(address, timeout=_SECONDS_OF_SILENCE) as response:
        while part := response.read1(1 << 16):
            content += part
            if len(content) > _BYTES_PER_PAGE:
                raise ValueError("the answer is too long")
            if time.monotonic() > deadline:  # also of a server that goes on to send a little
                raise TimeoutError("it takes too long")
    return content


def _is_at(page: object, address: str) -> bool:
    """Whether a page is of the same server; Azure's own links name its port, too."""
    if not isinstance(page, str):
        return False
    this, that = urlsplit(page), urlsplit(address)
    return (this.scheme, this.hostname) == (that.scheme, that.hostname)


def _amounts(items: Iterable[dict[str, Any]]) -> tuple[Amounts, Amounts]:
    """Those of the items that are for whole machines, pay as you go, with Linux; and those of spot nodes.

    Raises:
        ValueError: an item is not as documented.
    """
    newest: tuple[dict[str, tuple[str, float]], ...] = ({}, {})
    for item in items:
        try:
            name, begin, amount = item["armSkuName"], item["effectiveStartDate"], item["retailPrice"]
            wanted = (
                (item["type"], item["currencyCode"], item["unitOfMeasure"]) == ("Consumption", "USD", "1 Hour")
                and not re.search("Windows|Cloud ?Services", item["productName"])
                and not item["meterName"].endswith("Low Priority")
            )
            kind = newest[item["meterName"].endswith("Spot")]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("a price is not as documented") from error
        if not isinstance(name, str) or not isinstance(begin, str) or not _is_amount(amount):
            raise ValueError("a price is not as documented")
        if wanted:
            kind[name] = max(kind.get(name, ("", 0.0)), (begin, float(amount)))
    dedicated, spot = ({name: amount for name, (_, amount) in kind.items()} for kind in newest)
    return dedicated, spot


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST_USD


def _read(file: Path, address: str) -> tuple[str, Amounts, Amounts]:
    """The date and the prices that were kept; nothing if there are none of that address, or the file is damaged."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        date, amounts, of_spot = kept["date"], kept["usd_per_hour"], kept["spot_usd_per_hour"]
        datetime.date.fromisoformat(date)
        if kept["address"] == address and all(map(_is_amount, [*amounts.values(), *of_spot.values()])):
            return date, amounts, of_spot
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        pass
    return "", {}, {}


def _write(file: Path, kept: dict[str, Any]) -> None:
    # A cache that cannot be written costs time, and nothing else.
    with contextlib.suppress(OSError, KerasAzureError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, kept)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error).rstrip(".") + "."
