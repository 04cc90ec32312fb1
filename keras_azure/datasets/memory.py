"""Whether something fits in memory, asked before it is read."""

import psutil

from keras_azure.errors import DataError


def require_memory(needed: int, what: str, *, hint: str = "") -> None:
    """Refuses to hold what is larger than the free memory.

    Args:
        needed: bytes.
        what: the subject of the message.

    Raises:
        DataError: it does not fit.
    """
    available = psutil.virtual_memory().available
    if needed > available:
        raise DataError(
            f"{what} needs {_gigabytes(needed)} of memory, and {_gigabytes(available)} are free.", hint=hint
        )


def _gigabytes(amount: int) -> str:
    return f"{amount / 1e9:.1f} GB"
