"""The training step alone, on pictures that are on the device already: models, precisions, engines, with XLA or not.

    pip install ".[bench]" && pytest benchmarks/test_training_step.py

Each is a process of its own, `python -m keras_azure.throughput`; those of a group take their rounds in turns. The step
is the one that a run trains with, unless it says "Keras's". On a GPU the same cases run there.

`KAZ_BENCH_MODELS`, such as "cnn resnet50", chooses from the models; all take about ten minutes on two cores.
"""

import functools
import os

import pytest

from benchmarks.rounds import Group
from benchmarks.throughput_processes import measure_in_turns

SMALL, PHOTOGRAPHS = ("28", "28", "1"), ("64", "64", "3")
OURS = "TensorFlow, float32"
# What is measured of each model: the engine, precision and XLA. JAX knows nothing but XLA.
ALL = {
    OURS: ("tensorflow", "float32", "off"),
    "TensorFlow, float32, XLA": ("tensorflow", "float32", "on"),
    "TensorFlow, bfloat16": ("tensorflow", "bfloat16", "off"),
    "JAX, float32": ("jax", "float32", "on"),
    "JAX, bfloat16": ("jax", "bfloat16", "on"),
}
SOME = {name: ALL[name] for name in (OURS, "TensorFlow, bfloat16", "JAX, float32")}
KERAS = "TensorFlow, float32, Keras's own train_step"
# By title: the model, the pictures' size, the batch size and what is measured.
GROUPS = {
    "cnn, 28x28x1, batches of 16": ("cnn", SMALL, 16, ALL),
    "cnn, 28x28x1, batches of 128": ("cnn", SMALL, 128, ALL),
    "resnet50 with a frozen backbone, 64x64x3, batches of 32": (
        "resnet50(weights='none', trainable_blocks=0)",
        PHOTOGRAPHS,
        32,
        SOME,
    ),
    "resnet50, 64x64x3, batches of 32": ("resnet50(weights='none')", PHOTOGRAPHS, 32, SOME),
    "mobilenetv2, 64x64x3, batches of 32": (
        "transfer(backbone='mobilenetv2', weights='none')",
        PHOTOGRAPHS,
        32,
        SOME,
    ),
    "densenet121, 64x64x3, batches of 16": (
        "transfer(backbone='densenet121', weights='none')",
        PHOTOGRAPHS,
        16,
        SOME,
    ),
}
CHOSEN = os.environ.get("KAZ_BENCH_MODELS", "").split()
CASES = [
    (title, name)
    for title, (*_, ways) in GROUPS.items()
    if not CHOSEN or title.split(maxsplit=1)[0].rstrip(",") in CHOSEN
    for name in [*ways, KERAS]
]


@functools.cache
def measured(title: str) -> Group:
    """The group, measured when its first candidate asks for it."""
    model, image_size, batch_size, ways = GROUPS[title]

    def arguments(engine: str, precision: str, xla: str, step: str = "ours") -> list[str]:
        options = {"engine": engine, "precision": precision, "xla": xla, "step": step, "batch-size": str(batch_size)}
        given = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [model, "--image-size", *image_size, *given]

    candidates = {name: arguments(*way) for name, way in ways.items()}
    candidates[KERAS] = arguments("tensorflow", "float32", "off", "keras")
    return Group(title, (OURS,), measure_in_turns(candidates))


@pytest.mark.parametrize(("title", "candidate"), CASES)
def test_images_per_second(title, candidate, replay):
    replay(measured(title), candidate)
