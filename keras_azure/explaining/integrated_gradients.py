"""Integrated gradients: what each level of each pixel adds to a score (Sundararajan et al., arXiv:1703.01365).

On the straight way from a baseline x' to the image x, the score's gradient is integrated:

    attribution_i = (x_i - x'_i) * integral over a from 0 to 1 of dF(x' + a (x - x')) / dx_i

Attributions are complete (proposition 1): their sum is F(x) - F(x'). How far a sum of finitely many steps is from that
says how exact it is, so that steps are added until it is met. F is the logit, for a class or a label: a probability
changes within a short part of the way, and hardly beyond it, where the logit goes on evenly.
"""

import warnings
from collections.abc import Sequence

import keras
import numpy as np

from keras_azure.description.events import Observer
from keras_azure.engines import gradients_of
from keras_azure.engines.gradients import Gradients
from keras_azure.engines.keras_settings import keras_settings
from keras_azure.errors import UsageError
from keras_azure.explaining.batches import at_once, batches, checked_classes, checked_images
from keras_azure.explaining.networks import forward_of

GAP = 0.01  # of the difference of scores, by which the attributions' sum may miss it
_SMALLEST_DIFFERENCE = 1e-3  # of the scores, or of all that is added and taken away, that counts as one
_MOST_PARTS = 32  # of the way, each of which has all the steps that were asked for


def integrated_gradients(
    model: keras.Model,
    images: np.ndarray,
    classes: Sequence[int] | np.ndarray | int | None = None,
    *,
    steps: int = 64,
    baseline: float | np.ndarray = 0.0,
    observer: Observer | None = None,
) -> np.ndarray:
    """What each level of each pixel adds to the score of a class, label or number, above that of a baseline.

    Args:
        model: from pixels 0..255 to (batch, classes), also with networks in it.
        images: (n, height, width, channels), 0..255.
        classes: the index of the class for each image, or one for all; by default that of the highest output. The score
            of a class or label is its logit, that of a number is itself.
        steps: on the way from the baseline to the image, at the places of a Gauss-Legendre quadrature. Where they
            miss completeness by more than 1 %, the way is divided into 2, 4, up to 32 parts with so many steps each.
        baseline: the image without anything in it: a level, or an image (height, width, channels), or one for each.
            Black by default; what is black itself then gets 0.
        observer: hears how far it is, and of images that miss completeness after all.

    Returns:
        float32 (n, height, width, channels), above 0 what raises the score.

    Raises:
        UsageError: an argument cannot be.

    Warns:
        UserWarning: an image misses completeness after all, and there is no observer.

    Example:
        added = integrated_gradients(keras_azure.load("runs/...").model, images)
        added.sum(axis=(1, 2, 3))  # by how much the logit is above that of a black image
    """
    added, gaps = integrate(model, images, classes, steps=steps, baseline=baseline, observer=observer)
    if observer is None and (missed := gaps_in_words(gaps)):
        warnings.warn(missed, stacklevel=2)
    return added


def integrate(
    model: keras.Model,
    images: np.ndarray,
    classes: Sequence[int] | np.ndarray | int | None = None,
    *,
    steps: int = 64,
    baseline: float | np.ndarray = 0.0,
    observer: Observer | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """As `integrated_gradients`, with the gap of each image, float64 (n,): the share of the difference of scores by
    which its attributions miss it."""
    images = checked_images(model, images)
    classes = checked_classes(model, len(images), classes)
    if steps < 1:
        raise UsageError(f"There cannot be {steps} steps.", expected="one at least")
    baselines = _baselines(images, baseline)
    observer = observer or Observer()
    added, gaps = np.zeros(images.shape, np.float32), np.zeros(len(images))
    with keras_settings():
        slopes_of = gradients_of(model, forward_of(model, None))
        for place, (image, start, wanted) in enumerate(zip(images, baselines, classes, strict=True)):
            added[place], gaps[place] = _of_image(slopes_of, image, start, int(wanted), steps)
            observer.advance("Integrated gradients", place + 1, len(images))
    if missed := gaps_in_words(gaps):
        observer.message(missed)
    return added, gaps


def gaps_in_words(gaps: np.ndarray) -> str:
    """A line where some of them are too wide."""
    wide = gaps > GAP
    if not wide.any():
        return ""
    return (
        f"Integrated gradients of {wide.sum()} of {len(gaps)} images are not complete to {GAP:.0%}: they miss the "
        f"difference from the baseline by up to {gaps.max():.1%}"
    )


def _of_image(
    slopes_of: Gradients, image: np.ndarray, baseline: np.ndarray, wanted: int, steps: int
) -> tuple[np.ndarray, float]:
    image = image.astype(np.float32)
    size = at_once(image.shape, steps + 2)  # the same for all calls
    if wanted < 0:  # it is the image's own class all along the way
        whole = np.broadcast_to(image, (size, *image.shape))
        wanted = int(slopes_of(whole, np.full(size, -1, np.int32)).outputs[0].argmax())
    parts = 1
    while True:
        places, weights = _quadrature(steps, parts)
        added, gap = _sum(slopes_of, image, baseline, wanted, places, weights, size)
        if gap <= GAP or parts == _MOST_PARTS:
            return added, gap
        parts *= 2


def _sum(
    slopes_of: Gradients,
    image: np.ndarray,
    baseline: np.ndarray,
    wanted: int,
    places: np.ndarray,
    weights: np.ndarray,
    size: int,
) -> tuple[np.ndarray, float]:
    way = image - baseline
    gradient, scores = np.zeros(image.shape), []
    for count, (place, weight) in batches(size, places, weights):
        points = baseline + place[:, np.newaxis, np.newaxis, np.newaxis].astype(np.float32) * way
        slopes = slopes_of(points, np.full(size, wanted, np.int32))
        gradient += np.tensordot(weight[:count], slopes.gradients[:count].astype(np.float64), axes=1)
        scores += slopes.scores[:count].astype(np.float64).tolist()
    added = gradient * way
    difference = scores[-1] - scores[0]
    # A smaller difference is lost in the rounding of what makes it up.
    smallest = _SMALLEST_DIFFERENCE * max(abs(scores[-1]), abs(scores[0]), np.abs(added).sum())
    missed, scale = abs(added.sum() - difference), max(abs(difference), smallest)
    return added.astype(np.float32), float(missed / scale) if scale else float(missed > 0)


def _quadrature(steps: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Places from 0 to 1 and their weights; the ends have none, and are there for their scores."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    within = (np.arange(parts)[:, np.newaxis] + (nodes + 1) / 2) / parts
    return (
        np.concatenate([[0.0], within.ravel(), [1.0]]),
        np.concatenate([[0.0], np.tile(weights / (2 * parts), parts), [0.0]]),
    )


def _baselines(images: np.ndarray, baseline: float | np.ndarray) -> np.ndarray:
    try:
        return np.broadcast_to(np.asarray(baseline, np.float32), images.shape)
    except ValueError:
        raise UsageError(
            f"A baseline of the shape {np.shape(baseline)} does not fit images of the shape {images.shape}.",
            expected="a level, an image, or one for each",
        ) from None
