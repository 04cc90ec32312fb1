"""What a million images would cost on a machine elsewhere that is as fast as this one."""

from typing import Any

from keras_azure.backends.asked import machine_of

_SECONDS_AN_HOUR = 3600


def price_of(backend: str, images_per_second: float) -> dict[str, Any] | None:
    """The price of a backend's machine and of a million images at that pace; None where none is known.

    A retired machine has a price of its own where that of its successor, on which a run would go, is not known.
    """
    machine = machine_of(backend)
    priced = next((each for each in (machine, machine.instead_of) if each and each.price), None)
    if priced is None or priced.price is None:
        return None
    return {
        "size": priced.name,
        "usd_per_hour": priced.price.usd_per_hour,
        "date": priced.price.date,
        "usd_per_million_images": priced.price.usd_per_hour / _SECONDS_AN_HOUR * 1e6 / images_per_second,
    }
