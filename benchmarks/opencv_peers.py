"""The recipe `chapter` with OpenCV in threads: through albumentations, and written by hand."""

import contextlib
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from benchmarks.pictures import Pictures
from benchmarks.rounds import Batches, require


@contextlib.contextmanager
def albumentations_in_threads(pictures: Pictures) -> Iterator[Batches]:
    require("albumentations", "cv2")
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks the network for newer versions
    import albumentations
    import cv2

    from benchmarks.warping import LARGEST_SHIFT, MOST_DEGREES

    cv2.setNumThreads(0)  # the pool's threads are as many as there are processors
    labels, own = pictures.one_hot, threading.local()
    shift = (-LARGEST_SHIFT, LARGEST_SHIFT)

    def make(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not hasattr(own, "transform"):  # one for each thread: a transform keeps its last draw in itself
            affine = albumentations.Affine(
                rotate=(-MOST_DEGREES, MOST_DEGREES),
                translate_percent={"x": shift, "y": shift},
                interpolation=cv2.INTER_LINEAR,
                border_mode=cv2.BORDER_REPLICATE,
                p=1,
            )
            own.transform = albumentations.Compose([albumentations.HorizontalFlip(p=0.5), affine])
        images = np.empty((len(indices), *pictures.image_shape), np.uint8)
        for image, index in zip(images, indices, strict=True):
            image[...] = own.transform(image=pictures.images[index])["image"]
        return images, labels[indices]

    with _made_ahead(pictures, make, os.cpu_count()) as stream:
        yield stream


@contextlib.contextmanager
def opencv_by_hand(pictures: Pictures, threads: int, *, at_once: bool = False) -> Iterator[Batches]:
    """All draws of a batch in one go; then one `warpAffine` a picture, straight into its place in the batch.

    Args:
        at_once: one `remap` of the whole batch instead, which saves small pictures the calls.
    """
    require("cv2")
    import cv2

    from benchmarks.warping import draw_matrices, warp, warp_batch

    cv2.setNumThreads(0)
    labels, own, seeds = pictures.one_hot, threading.local(), itertools.count()
    height, width, _ = pictures.image_shape

    def make(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not hasattr(own, "rng"):
            own.rng = np.random.default_rng(next(seeds))
        matrices = draw_matrices(own.rng, len(indices), height, width)
        if at_once:
            return warp_batch(pictures.images[indices], matrices), labels[indices]
        images = np.empty((len(indices), *pictures.image_shape), np.uint8)
        for image, index, matrix in zip(images, indices, matrices, strict=True):
            warp(pictures.images[index], matrix, image)
        return images, labels[indices]

    with _made_ahead(pictures, make, threads) as stream:
        yield stream


@contextlib.contextmanager
def _made_ahead(
    pictures: Pictures, make: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], threads: int
) -> Iterator[Batches]:
    """Shuffled batches, each made whole by one of some threads, and two a thread ahead of their use."""

    def indices() -> Iterator[np.ndarray]:
        rng = np.random.default_rng(0)
        while True:
            yield from rng.permutation(len(pictures)).reshape(-1, pictures.batch_size)

    def stream(pool: ThreadPoolExecutor) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        ahead: deque[Future] = deque()
        for chosen in indices():
            ahead.append(pool.submit(make, chosen))
            if len(ahead) > 2 * threads:
                yield ahead.popleft().result()

    pool = ThreadPoolExecutor(threads)
    try:
        yield stream(pool)
    finally:
        pool.shutdown(cancel_futures=True)
