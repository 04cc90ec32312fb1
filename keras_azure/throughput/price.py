"""What a million pictures would cost on a machine of Azure's that is as fast as this one."""

import contextlib
import datetime
from typing import Any

from keras_azure.backends.azure.sizes import find_size, substitute
from keras_azure.errors import UsageError
from keras_azure.registry.registry import as_spec

_SECONDS_AN_HOUR = 3600


def price_of(backend: str, images_per_second: float) -> dict[str, Any] | None:
    """The price of a backend's machine and of a million pictures at that pace; None where none is known.

    A retired size is taken for its successor, on which a run would go, if that one's price is known.
    """
    name = as_spec(backend).name
    if not name.startswith("azure-"):
        return None
    sizes = [find_size(name)]
    with contextlib.suppress(UsageError):  # there is no successor
        sizes.insert(0, substitute(sizes[0], datetime.date.today()).size)
    size = next((size for size in sizes if size.prices), None)
    if size is None:
        return None
    price = size.prices[-1]
    return {
        "size": size.name,
        "usd_per_hour": price.usd_per_hour,
        "date": price.date,
        "usd_per_million_images": price.usd_per_hour / _SECONDS_AN_HOUR * 1e6 / images_per_second,
    }
