"""Images that show little: dark, light, blurry, flat, or oddly shaped ones."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_azure.checking.measures import Measures

_DARK = 0.33  # the brightest pixels: of photographs they are mostly above 0.6
_LIGHT = 0.9  # the darkest pixels: of photographs they are mostly below 0.4
_FLAT = 0.07  # contrast: of photographs it is mostly above 0.28, and small images of the sky have 0.1
_BLURRY = 0.16  # sharpness: of photographs it is mostly above 0.3, and below 0.11 with a blur of 4 pixels of 500
_LONG = 1 / 0.35  # times as long as wide
_UNLIKE_THE_OTHERS = 2.0  # and so many times longer or wider than most

_TESTS: Mapping[str, Callable[[Measures], bool]] = {
    "dark": lambda each: each.brightest < _DARK,
    "light": lambda each: each.darkest > _LIGHT,
    "flat": lambda each: each.contrast < _FLAT,
}
KINDS = (*_TESTS, "blurry", "odd shape")


def poor_images(measures: Sequence[Measures | None]) -> dict[str, list[int]]:
    """The numbers of the images of each kind."""
    found = {
        kind: [number for number, each in enumerate(measures) if each is not None and is_so(each)]
        for kind, is_so in _TESTS.items()
    }
    # In these there are too few levels to tell detail from rounding.
    faint = {number for numbers in found.values() for number in numbers}
    blurry = [
        number
        for number, each in enumerate(measures)
        if each is not None and each.sharpness < _BLURRY and number not in faint
    ]
    return {**found, "blurry": blurry, "odd shape": _oddly_shaped(measures)}


def _oddly_shaped(measures: Sequence[Measures | None]) -> list[int]:
    """Those that are long or tall, where most are not."""
    shapes = {number: each.width / each.height for number, each in enumerate(measures) if each is not None}
    usual = float(np.median([*shapes.values()]))
    return [
        number
        for number, shape in shapes.items()
        if max(shape, 1 / shape) > _LONG and max(shape / usual, usual / shape) >= _UNLIKE_THE_OTHERS
    ]
