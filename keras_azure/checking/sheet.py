"""A contact sheet of what a check found: a row for each kind, with some of its images."""

import numpy as np

from keras_azure.checking.findings import DataCheck
from keras_azure.data.figure_text import drawable_labels, style_of
from keras_azure.data.resizing import resize
from keras_azure.data.shown_figure import ShownFigure

_COLUMNS = 8
_INCHES = 1.3  # the width of an image on the sheet, or its height, if that is larger
_PIXELS = 130  # of its longer side, at most
_LETTERS = 28  # below an image


def draw(check: DataCheck) -> ShownFigure:
    """Reads the images that are shown again, and draws them; images of one group stand side by side.

    Raises:
        UnreadableFile: an image cannot be read any more.
    """
    rows = {
        kind: [(number, _pixels(check, number)) for number in _first(groups)]
        for kind, groups in check.examples().items()
    }
    tallest = [max(min(1, len(pixels) / pixels.shape[1]) for _, pixels in row) for row in rows.values()]
    heights = [_INCHES * ratio + 0.4 for ratio in tallest]  # with the line above and the one below
    figure = ShownFigure(figsize=(_INCHES * _COLUMNS + 0.4, sum(heights) + 0.6), layout="constrained")
    if not rows:
        figure.suptitle("Nothing was found.")
        return figure
    grid = figure.subplots(len(rows), _COLUMNS, squeeze=False, height_ratios=tallest)
    suggested = {each.number: each for each in check.wrong_labels or ()}
    names = check.looked.originals.class_names
    short = drawable_labels(names, _LETTERS // 2 - 2)
    for axes, (kind, images) in zip(grid, rows.items(), strict=True):
        axes[0].set_title(kind, fontsize="small", loc="left")
        labels = drawable_labels([check.place(number) for number, _ in images], _LETTERS)
        for cell in axes[len(images) :]:
            cell.set_axis_off()
        for cell, (number, pixels) in zip(axes, images, strict=False):
            cell.set(xticks=[], yticks=[])
            cell.imshow(pixels if pixels.shape[-1] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=255)
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
