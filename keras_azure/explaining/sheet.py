"""The sheet of an explanation: each image, its maps over it, and what the model says of it."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from keras_azure.data.figure_text import drawable, drawable_labels, style_of
from keras_azure.data.shown_figure import ShownFigure

if TYPE_CHECKING:
    from keras_azure.explaining.explanation import Explanation

_MOST = 60  # images: more make a figure that nobody can look at
_INCHES = 1.6  # of an image's longer side
_GAP, _LINE, _MARGIN = 0.08, 0.17, 0.15  # inches between images, of a line of text, around all
_POINTS = 8  # of the text
_CHARACTERS = 11  # of the text in an inch
_HEADINGS = {"grad-cam": "Grad-CAM", "integrated-gradients": "integrated gradients"}


def draw(explanation: "Explanation") -> ShownFigure:
    """A block for each image: itself, the maps over it in gray, and two lines below. Of many images the first."""
    shown = min(len(explanation.paths), _MOST)
    across = _blocks_across(shown)
    rows = math.ceil(shown / across)
    height, width = (side * _INCHES / max(explanation.images.shape[1:3]) for side in explanation.images.shape[1:3])
    columns = 1 + len(explanation.maps)
    block = columns * (width + _GAP) + 2 * _GAP, height + 2 * _LINE + 2 * _GAP
    rest = len(explanation.paths) - shown
    size = 2 * _MARGIN + across * block[0] - 3 * _GAP, 2 * _MARGIN + _LINE * (2 if rest else 1) + rows * block[1]
    figure = ShownFigure(figsize=size)
    captions = _captions(explanation, shown, max(12, int(block[0] * _CHARACTERS)))
    for place in range(shown):
        left = _MARGIN + place % across * block[0]
        top = size[1] - _MARGIN - _LINE - place // across * block[1]
        layers = [explanation.images[place], *(maps[place] for maps in explanation.maps.values())]
        for column, (layer, heading) in enumerate(zip(layers, ["image", *_headings(explanation.maps)], strict=True)):
            box = (
                (left + column * (width + _GAP)) / size[0],
                (top - height) / size[1],
                width / size[0],
                height / size[1],
            )
            axes = figure.add_axes(box, xticks=[], yticks=[])
            _draw_layer(axes, layers[0], None if column == 0 else layer)
            if place < across:
                axes.set_title(heading, fontsize=_POINTS, pad=3)
        for number, line in enumerate(captions[place], start=1):
            figure.text(
                left / size[0], (top - height - number * _LINE) / size[1], line, fontsize=_POINTS, **style_of(line)
            )
    if rest:
        line = f"and {rest} more images"
        figure.text(_MARGIN / size[0], _MARGIN / size[1], line, fontsize=_POINTS)
    return figure


def _blocks_across(images: int) -> int:
    """As many that a page is about as high as it is wide: a block is wider than it is high."""
    return max(1, min(4, round(math.sqrt(images / 2.5))))


def _headings(maps: Mapping[str, np.ndarray]) -> list[str]:
    return [_HEADINGS[method] for method in maps]


def _draw_layer(axes: Axes, image: np.ndarray, layer: np.ndarray | None) -> None:
    """The image; or, with a map, the image in gray and faint, and the map over it."""
    if layer is None:
        axes.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=255)
        return
    gray = image.mean(axis=-1)
    if layer.ndim == 2:  # from nothing to all
        colours = matplotlib.colormaps["inferno"](layer)[..., :3]
        strength = 0.75 * layer[..., np.newaxis] ** 0.7
    else:  # against it and for it
        added = layer.sum(axis=-1)
        most = np.percentile(np.abs(added), 99.5) or 1.0
        share = np.clip(added / most, -1, 1)
        colours = matplotlib.colormaps["RdBu_r"]((share + 1) / 2)[..., :3]
        strength = np.sqrt(np.abs(share))[..., np.newaxis]
        gray = 200 + gray / 255 * 55
    axes.imshow((1 - strength) * gray[..., np.newaxis] / 255 + strength * colours)


def _captions(explanation: "Explanation", shown: int, width: int) -> list[tuple[str, str]]:
    """The file of each image, and what the model says of it."""
    paths = explanation.paths[:shown]
    names = [path.name for path in paths]
    if len({*names}) < len({*paths}):
        names = [str(path) for path in paths]
    short = drawable_labels([*dict.fromkeys(names)], width)
    classes = drawable_labels(explanation.class_names, width // 2)
    found = []
    for place, name in enumerate(names):
        said, explained = explanation.predictions[place], explanation.explained[place]
        words = [(called, f"{classes.get(called, called)} {value}".strip()) for called, value in said.in_words()]
        line = ", ".join(text for _, text in words)
        if [called for called, _ in words] != [explained]:
            line = f"for {classes[explained]}; predicted {line}"
        if not all(maps[place].any() for maps in explanation.maps.values()):
            line += "; nothing speaks for it"  # so that an empty map is not taken for a mistake
        found.append((short[name], _cut(drawable(line), width)))
    return found


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
