"""The recipe `chapter`, written by hand for OpenCV: one matrix and one resampling a picture.

Rotation up to 20 degrees, shifts up to 0.2 of height and width, a flip from left to right half the time; what comes in
over the edge is the nearest pixel.
"""

import cv2
import numpy as np

MOST_DEGREES, LARGEST_SHIFT = 20, 0.2


def draw_matrices(rng: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Matrices (count, 2, 3) float64 from the place of a pixel (x, y) in the result to its place in the picture."""
    angle = np.deg2rad(rng.uniform(-MOST_DEGREES, MOST_DEGREES, count))
    shift = rng.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, (count, 2)) * (width, height)
    mirror = rng.choice((-1.0, 1.0), count)
    cosine, sine = np.cos(angle), np.sin(angle)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    turn = np.stack([np.stack([mirror * cosine, -mirror * sine], 1), np.stack([sine, cosine], 1)], 1)  # (count, 2, 2)
    return np.concatenate([turn, (centre + shift - turn @ centre)[:, :, None]], 2)


def warp(image: np.ndarray, matrix: np.ndarray, out: np.ndarray) -> None:
    """Resamples `image` into `out`, both (height, width, channels) uint8."""
    height, width, channels = image.shape
    if channels == 1:
        image, out = image[..., 0], out[..., 0]
    cv2.warpAffine(
        image,
        matrix,
        (width, height),
        dst=out,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def warp_batch(images: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Resamples (batch, height, width, channels) uint8 in one call, as one high picture of all.

    OpenCV takes no picture of more than 32,767 rows.
    """
    batch, height, width, channels = images.shape
    (xx, xy, x0), (yx, yy, y0) = matrices.astype(np.float32).transpose(1, 2, 0)[..., None]  # (batch, 1) each
    column, row = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
    x = (xx * column)[:, None, :] + (xy * row + x0)[:, :, None]  # (batch, height, width)
    y = (yx * column)[:, None, :] + (yy * row + y0)[:, :, None]
    np.clip(x, 0, width - 1, out=x)
    np.clip(y, 0, height - 1, out=y)
    y += height * np.arange(batch, dtype=np.float32)[:, None, None]
    high = (batch * height, width)
    out = cv2.remap(images.reshape(*high, channels), x.reshape(high), y.reshape(high), cv2.INTER_LINEAR)
    return out.reshape(images.shape)


def warped(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One picture, changed by its own draw: for loaders that go picture by picture."""
    out = np.empty_like(image)
    warp(image, draw_matrices(rng, 1, *image.shape[:2])[0], out)
    return out
