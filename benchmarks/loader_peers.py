"""The recipe `chapter` in data loaders that go picture by picture: Grain, and PyTorch's DataLoader.

Both get the OpenCV code of `warping`, which is faster than albumentations. PyTorch's workers import this module, so
that it loads nothing heavy by itself.
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.pictures import Pictures
from benchmarks.rounds import Batches, require

WORKERS = 2


class _Samples:
    """(picture, one-hot label) by index."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self._images = images
        self._labels = labels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._images[index], self._labels[index]


@contextlib.contextmanager
def grain_in_threads(pictures: Pictures) -> Iterator[Batches]:
    require("grain", "cv2")
    import cv2
    import grain

    from benchmarks.warping import warped

    cv2.setNumThreads(0)

    def augment(sample: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image, label = sample
        return warped(image, rng), label

    samples = grain.MapDataset.source(_Samples(pictures.images, pictures.one_hot)).seed(0).shuffle().repeat()
    threads = os.cpu_count()
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)  # of batches, not of pictures
    stream = iter(samples.random_map(augment).batch(pictures.batch_size).to_iter_dataset(options))
    try:
        yield stream
    finally:
        stream.close()


@contextlib.contextmanager
def torch_data_loader(pictures: Pictures) -> Iterator[Batches]:
    """Two worker processes; the sampler runs on through the epochs, so that the workers never stand still."""
    require("torch", "cv2")
    import torch

    samples = _SharedSamples(torch.from_numpy(pictures.images.copy()), torch.from_numpy(pictures.one_hot))
    loader = torch.utils.data.DataLoader(
        samples,
        batch_size=pictures.batch_size,
        sampler=torch.utils.data.RandomSampler(samples, num_samples=len(samples) << 20),
        num_workers=WORKERS,
        persistent_workers=True,
        multiprocessing_context="spawn",  # a fork of a process with TensorFlow's threads may hang
        worker_init_fn=_one_thread,
    )
    stream = iter(loader)
    try:
        yield stream
    finally:
        stream._shutdown_workers()  # and not whenever the garbage collector comes by


class _SharedSamples:
    """Samples for PyTorch's workers, which have the tensors in shared memory."""

    def __init__(self, images: Any, labels: Any):
        self._images = images.share_memory_()
        self._labels = labels.share_memory_()
        self._rng = None

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        from benchmarks.warping import warped

        if self._rng is None:
            import torch

            self._rng = np.random.default_rng(torch.initial_seed())  # another one in each worker
            self._pixels, self._one_hot = self._images.numpy(), self._labels.numpy()
        return warped(self._pixels[index], self._rng), self._one_hot[index]


def _one_thread(worker: int) -> None:
    import cv2

    cv2.setNumThreads(0)
