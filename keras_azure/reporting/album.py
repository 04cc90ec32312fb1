"""The images of a page: small, and no more of them than it has room for."""

import base64
import io

import numpy as np
from PIL import Image as Pillow

LARGEST_SIDE = 128  # pixels; larger images are made smaller
_AS_IT_IS = 64  # pixels; up to here an image keeps each of its levels
_QUALITY = 82  # of JPEG


class Album:
    """Images as data URIs, up to so many characters of them in all.

    Attributes:
        left_out: how many images there was no room for.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self.left_out = 0

    def add(self, pixels: np.ndarray) -> str | None:
        """The data URI of an image, uint8 (height, width, 1, 3 or 4); None where there is no room left."""
        uri = _uri(pixels)
        if len(uri) > self._room:
            self.left_out += 1
            return None
        self._room -= len(uri)
        return uri


def _uri(pixels: np.ndarray) -> str:
    image = Pillow.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if max(image.size) > LARGEST_SIDE and image.mode != "RGBA":
        image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    written = io.BytesIO()
    if max(image.size) <= _AS_IT_IS or image.mode == "RGBA":
        image.save(written, "png")
        kind = "png"
    else:
        image.save(written, "jpeg", quality=_QUALITY)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode()}"
