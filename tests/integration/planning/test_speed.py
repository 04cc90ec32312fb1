"""Estimated speeds beside published ones, and what bounds a step."""

import pytest

from keras_azure.backends.asked import machine_of
from keras_azure.backends.machine import Machine
from keras_azure.planning.cost import Range
from keras_azure.planning.speed import gpu_step, input_time, longest, step_here


def machine(size: str) -> Machine:
    return machine_of(f"azure-{size.lower().replace('_', '-')}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "batch_size", "sizes"),
    # ResNet-50 on pictures of 224x224, images/s on one GPU, as NVIDIA gives them for TensorFlow with XLA
    [
        ("float32", 128, {"ND40rs_v2": 432, "ND96asr_v4": 909}),
        ("mixed_float16", 256, {"ND40rs_v2": 1300, "ND96asr_v4": 2375}),
    ],
)
def test_published_trainings_are_within_the_range(work, precision, batch_size, sizes):
    settings = {"shape": (224, 224, 3), "classes": 1000, "precision": precision, "batch_size": batch_size}
    phase = work("resnet50(weights='none', head='linear')", **settings).training
    for name, published in sizes.items():
        seconds = gpu_step(phase, machine(name), precision).seconds
        assert batch_size / seconds.high < published < batch_size / seconds.low
        assert seconds.high < 4 * seconds.low  # a range that says something


def test_small_steps_are_bound_by_starting_them(work):
    small, large = (work("cnn", batch_size=size).training for size in (16, 16384))
    size = machine("NC24ads_A100_v4")
    assert gpu_step(small, size, "float32").bound == "launch"
    assert gpu_step(large, size, "float32").bound != "launch"


def test_a_part_of_a_gpu_is_so_much_slower(work):
    phase = work("cnn", batch_size=16384).training
    whole, sixth = (gpu_step(phase, machine(name), "float32") for name in ("NV36ads_A10_v5", "NV6ads_A10_v5"))
    assert sixth.seconds.low == pytest.approx(6 * whole.seconds.low)


def test_without_figures_of_its_gpu_nothing_is_said(work):
    assert gpu_step(work("cnn").training, machine("NV4ads_V710_v5"), "float32") is None


def test_the_input_may_be_the_bound():
    step = longest({"compute": Range(1.0, 2.0), "input": Range(0.5, 3.0)})
    assert (step.seconds, step.bound) == (Range(1.0, 3.0), "input")
    four, sixty_four = (input_time(1.0, machine(name)) for name in ("NC4as_T4_v3", "NC64as_T4_v3"))
    assert four.low < 0.25 < four.high
    assert sixty_four.high == pytest.approx(four.high / 16)


def test_steps_are_tried_here(work, monkeypatch):
    monkeypatch.setattr("keras_azure.planning.speed._TRIED_SECONDS", 0.0)
    for phase in work("cnn").phases:
        step = step_here(phase)
        assert 0 < step.seconds.low <= step.seconds.high
        assert step.bound == "this machine"
