"""How fast pictures in memory reach the model, beside what else a user would write for it.

    pip install ".[bench]" && pytest benchmarks/test_input_pipeline.py

All do the same: shuffled epochs, the recipe `chapter` drawn anew for each picture, full batches with one-hot labels.
The candidates of a group are measured together, in interleaved rounds (`rounds.py`); then a test for each candidate
hands its numbers to pytest-benchmark, whose OPS are images/s.
"""

import functools
import os
from collections.abc import Callable, Mapping

import pytest

from benchmarks.keras_peers import image_data_generator, layers_on_batches, layers_on_single_images, shuffle_buffer
from benchmarks.loader_peers import grain_in_threads, torch_data_loader
from benchmarks.opencv_peers import albumentations_in_threads, opencv_by_hand
from benchmarks.ours import ceiling, ours, slices
from benchmarks.pictures import Pictures, random_pictures
from benchmarks.rounds import Group, Lap, Stream, StreamLaps, interleave

Candidates = Mapping[str, Callable[[Pictures], Stream]]

OURS = "ours", "ours, cast on the host"
CEILINGS: Candidates = {
    "ceiling: batch and cast": ceiling,
    "slices and cast": slices,
    "slices": functools.partial(slices, cast=False),
}
CHAPTER: Candidates = {
    "ours": ours,
    "ours, cast on the host": functools.partial(ours, cast=True),
    **CEILINGS,
    "ImageDataGenerator": image_data_generator,
    "Keras layers, single images": layers_on_single_images,
    "Keras layers, batches": layers_on_batches,
    "albumentations, threads": albumentations_in_threads,
    "OpenCV by hand, one thread": functools.partial(opencv_by_hand, threads=1),
    "OpenCV by hand, threads": functools.partial(opencv_by_hand, threads=os.cpu_count()),
    "OpenCV by hand, one remap a batch": functools.partial(opencv_by_hand, threads=os.cpu_count(), at_once=True),
    "Grain, OpenCV": grain_in_threads,
    "PyTorch DataLoader, OpenCV": torch_data_loader,
}
PLAIN: Candidates = {
    "ours": functools.partial(ours, recipe=()),
    "ours, cast on the host": functools.partial(ours, recipe=(), cast=True),
    **CEILINGS,
    "shuffle buffer": shuffle_buffer,
}
GROUPS = {
    "chapter, 28x28x1, batches of 128": (CHAPTER, 16_384, (28, 28, 1), 128),
    "chapter, 224x224x3, batches of 32": (CHAPTER, 1_024, (224, 224, 3), 32),
    "no augmentation, 28x28x1, batches of 16": (PLAIN, 16_384, (28, 28, 1), 16),
    "no augmentation, 28x28x1, batches of 128": (PLAIN, 16_384, (28, 28, 1), 128),
}


@functools.cache
def measured(title: str) -> Group:
    """The group, measured when its first candidate asks for it."""
    candidates, count, image_shape, batch_size = GROUPS[title]
    pictures = random_pictures(count, image_shape, batch_size)

    def laps(open_stream: Callable[[Pictures], Stream]) -> Callable[[], Mapping[str, Lap]]:
        run = StreamLaps(functools.partial(open_stream, pictures), batch_size, image_shape)
        return lambda: {title: run()}

    outcomes = interleave([title], {name: laps(open_stream) for name, open_stream in candidates.items()})
    return Group(title, OURS, outcomes[title])


@pytest.mark.parametrize(
    ("title", "candidate"),
    [(title, candidate) for title, (candidates, *_) in GROUPS.items() for candidate in candidates],
)
def test_images_per_second(title, candidate, replay):
    replay(measured(title), candidate)
