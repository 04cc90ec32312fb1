"""A contact sheet of what a check found: a row for each kind, with some of its images."""

import numpy as np

from keras_azure.augmentations.contact_sheet import ContactSheet
from keras_azure.checking.findings import DataCheck
from keras_azure.data.figure_text import drawable_labels, style_of
from keras_azure.data.resizing import resize

_COLUMNS = 8
_INCHES = 1.3  # of an image on the sheet
_PIXELS = 130  # of its longer side, at most


def draw(check: DataCheck) -> ContactSheet:
    """Reads the images that are shown again, and draws them; images of one group stand side by side.

    Raises:
        UnreadableFile: an image cannot be read any more.
    """
    rows = {kind: _first(groups) for kind, groups in check.examples().items()}
    figure = ContactSheet(
        figsize=(_INCHES * _COLUMNS + 1.2, (_INCHES + 0.25) * max(1, len(rows)) + 0.4), layout="constrained"
    )
    if not rows:
        figure.suptitle("Nothing was found.")
        return figure
    grid = figure.subplots(len(rows), _COLUMNS, squeeze=False)
    suggested = {each.number: each for each in check.wrong_labels or ()}
    names = check.looked.originals.class_names
    short = drawable_labels(names, 10)
    for axes, (kind, numbers) in zip(grid, rows.items(), strict=True):
        axes[0].set_ylabel(kind, fontsize="small")
        labels = drawable_labels([check.place(number) for number in numbers], 22)
        for place, cell in enumerate(axes):
            cell.set(xticks=[], yticks=[])
            if place >= len(numbers):
                cell.set_frame_on(place == 0)
                continue
            number = numbers[place]
            shown = _pixels(check, number)
            cell.imshow(shown if shown.shape[-1] == 3 else shown[..., 0], cmap="gray", vmin=0, vmax=255)
            text = labels[check.place(number)]
            if kind == "wrong labels" and number in suggested:
                found = suggested[number]
                text = f"{short[names[found.label]]}, or {short[names[found.suggested]]}?"
            cell.set_xlabel(text, fontsize="xx-small", **style_of(text))
    return figure


def _first(groups: list[list[int]]) -> list[int]:
    """The numbers of as many images as a row has room for."""
    return [number for group in groups for number in group][:_COLUMNS]


def _pixels(check: DataCheck, number: int) -> np.ndarray:
    pixels = check.looked.originals.read(*check.looked.places[number]).pixels
    height, width, _ = pixels.shape
    scale = min(1.0, _PIXELS / max(height, width))
    return resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale))))
