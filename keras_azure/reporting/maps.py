"""Where a model looks, for a report: explanation maps over images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_azure.models.kinds import Model


@dataclass(frozen=True)
class Maps:
    """
    Attributes:
        heat: for each image float32 (height, width), 0..1; nothing where there are none.
        note: what they show, or why there are none.
    """

    heat: Sequence[np.ndarray] = field(default=())
    note: str = ""


# Images, uint8 (height, width, channels), and the class of each to explain, (n,).
Explain = Callable[[Sequence[np.ndarray], np.ndarray], Maps]


def no_maps(images: Sequence[np.ndarray], classes: np.ndarray) -> Maps:
    """Of what has none."""
    return Maps()


def explanation_of(model: Model) -> Explain:
    """What shows where a model looks."""
    return no_maps


def overlaid(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image in gray under its map, uint8 (height, width, 3): the brighter and yellower, the hotter."""
    from matplotlib import colormaps

    gray = image.astype(np.float32).mean(axis=-1, keepdims=True)
    hot = colormaps["viridis"](heat)[..., :3].astype(np.float32) * 255
    return (0.45 * gray + 0.55 * hot).round().astype(np.uint8)
