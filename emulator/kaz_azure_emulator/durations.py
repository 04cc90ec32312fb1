"""ISO 8601 durations, as Azure writes them: `PT1H30M`."""

import re

_FORM = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def seconds_of(text: str) -> float:
    """How many seconds a duration has.

    Raises:
        ValueError: it is none.
    """
    found = _FORM.fullmatch(text)
    if not found or not any(found.groups()):
        raise ValueError(f"{text!r} is no duration such as PT1H30M")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
