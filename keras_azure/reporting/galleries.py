"""Images of the test on a page, beside where the model looks in them."""

from collections.abc import Iterator, Sequence

import numpy as np

from keras_azure.reporting.album import Album
from keras_azure.reporting.maps import Explain, overlaid
from keras_azure.reporting.parts import Figure, Gallery, Image, Part, Text, Value
from keras_azure.reporting.tested_images import TestedImages


def to_images(read: Sequence[np.ndarray | None], alts: Sequence[str], album: Album) -> list[Image]:
    """Those that are there, and that the album has room for."""
    pairs = ((pixels, alt) for pixels, alt in zip(read, alts, strict=True) if pixels is not None)
    return [Image(uri, alt) for pixels, alt in pairs if (uri := album.add(pixels))]


def mistakes(
    places: Sequence[int],
    explained: np.ndarray,
    names: Sequence[str],
    alts: Sequence[str],
    captions: Sequence[Value],
    images: TestedImages,
    album: Album,
    explain: Explain,
) -> Iterator[Part]:
    """Images, each with its map; nothing of those that cannot be read any more.

    Args:
        places: of the images in the answers.
        explained: of each the class, label or number that its map is of, (n,).
        names: of all classes, labels or numbers.
        alts, captions: of each image.
    """
    read = images.read(places)
    found = {number: pixels for number, pixels in enumerate(read) if pixels is not None}
    if not found:
        return
    maps = explain([*found.values()], np.asarray(explained)[[*found]])
    if maps.note:
        yield Text(maps.note)
    heat = dict(zip(found, maps.heat, strict=False))
    figures = []
    for number, pixels in found.items():
        given, described = [pixels], [alts[number]]
        if number in heat:
            given.append(overlaid(pixels, heat[number]))
            described.append(f"The same, the brighter the more speaks for {names[int(explained[number])]}")
        if shown := to_images(given, described, album):
            figures.append(Figure(shown, captions[number]))
    if figures:
        yield Gallery(figures)
