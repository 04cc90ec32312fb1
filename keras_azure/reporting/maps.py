"""Where a model looks, for a report: explanation maps over images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_azure.description.events import Observer
from keras_azure.errors import KerasAzureError
from keras_azure.explaining import grad_cam
from keras_azure.models.kinds import NETWORK, Model, kind_of
from keras_azure.models.saving import reason

# Of all images that are explained, and how many are however large they are: what takes long on a processor.
_PIXELS, _FEWEST = 1 << 19, 4


@dataclass(frozen=True)
class Maps:
    """
    Attributes:
        heat: of the first images, or of all, float32 (height, width), 0..1; nothing where there are none.
        note: what they show, or why there are none.
    """

    heat: Sequence[np.ndarray] = field(default=())
    note: str = ""


# Images, uint8 (height, width, channels), and the class of each to explain, (n,).
Explain = Callable[[Sequence[np.ndarray], np.ndarray], Maps]


def no_maps(images: Sequence[np.ndarray], classes: np.ndarray) -> Maps:
    """Of what has none."""
    return Maps()


def explanation_of(model: Model, observer: Observer | None = None) -> Explain:
    """What shows where a model looks: Grad-CAM, of a network with feature maps.

    Args:
        observer: hears how far it is.
    """

    def explain(images: Sequence[np.ndarray], classes: np.ndarray) -> Maps:
        if kind_of(model) is not NETWORK:
            return Maps(note="There are no maps of where the model looks: it is a classifier on features.")
        first = max(_FEWEST, _PIXELS // images[0][..., 0].size)
        try:
            heat = grad_cam(model, np.stack(images[:first]), classes[:first], observer=observer)
        except Exception as error:  # networks are anybody's, and a report is more than its maps
            said = error.problem if isinstance(error, KerasAzureError) else f"{type(error).__name__}: {reason(error)}."
            return Maps(note=f"There are no maps of where the model looks: {said}")
        which = "each image" if first >= len(images) else f"each of the first {first} images"
        note = f"Beside {which} is a map of what in it speaks for what was said (Grad-CAM): the brighter, the more."
        return Maps([*heat], note)

    return explain


def overlaid(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """An image in gray under its map, uint8 (height, width, 3): the brighter and yellower, the hotter."""
    from matplotlib import colormaps

    gray = image.astype(np.float32).mean(axis=-1, keepdims=True)
    hot = colormaps["viridis"](heat)[..., :3].astype(np.float32) * 255
    return (0.45 * gray + 0.55 * hot).round().astype(np.uint8)
