"""The times of a run's steps, and what is said of them."""

import importlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fixtures.clock import Workshop

import keras_azure
from keras_azure.description.config import RunConfig
from keras_azure.engines import StepResult
from keras_azure.engines import tensorflow as engine
from keras_azure.training.data import RunData
from keras_azure.training.performance import StepTimes, advice_on_input


def times(seconds: np.ndarray, waited: float = 0.0, calls: int = 10) -> StepTimes:
    found = StepTimes()
    for part in np.array_split(seconds, calls):
        found.add(StepResult(part, waited / calls, {}, []))
    return found


def test_median_and_percentile_are_those_of_all_steps():
    seconds = np.random.default_rng(0).lognormal(-5, 1, 20_000)
    found = times(seconds, waited=0.25 * seconds.sum())
    assert found.steps == 20_000
    assert found.seconds(0.5) == pytest.approx(np.median(seconds), rel=0.02)
    assert found.seconds(0.99) == pytest.approx(np.percentile(seconds, 99), rel=0.02)
    assert found.waiting_share == pytest.approx(0.25)
    assert found.to_json()["steps_per_call"] == 2000


def test_no_steps_have_no_times():
    assert StepTimes().to_json() == {
        "steps_per_call": 1,
        "step_median_seconds": 0.0,
        "step_99th_percentile_seconds": 0.0,
        "waiting_share": 0.0,
    }


SECONDS = np.full(200, 0.01)
TICK = 1 / 1024  # seconds


@pytest.mark.parametrize(
    ("settings", "place", "expected"),
    [
        ({"cache": "none"}, None, "--cache auto"),
        ({}, "host", "--augment-on device"),
        ({"batch_size": 32}, None, "--batch-size 64"),
        ({"batch_size": 256}, "device", "Try: a machine with more cores."),
    ],
)
def test_a_run_that_waits_for_pictures_is_told_what_to_try(settings, place, expected):
    said = advice_on_input(times(SECONDS, waited=1.0), RunConfig("cnn", **settings), place)
    assert said.startswith("Training waited for pictures in 50% of its time.")
    assert expected in said


def test_a_run_that_does_not_wait_or_is_short_is_told_nothing():
    assert advice_on_input(times(SECONDS, waited=0.5), RunConfig("cnn", cache="none"), "host") is None
    assert advice_on_input(times(SECONDS[:50], waited=0.5), RunConfig("cnn"), None) is None


SLOW = """
    import numpy as np

    class Slow:
        class_names, image_shape, split_sizes, description = "ab", (8, 8, 1), {"train": 480, "test": 4}, "slow"
        def read(self, split, index):
            clock.work(picture_seconds)
            return np.full((8, 8, 1), index % 256, np.uint8), index % 2
"""


def test_the_report_of_a_run_whose_pictures_are_slow(install_plugin, tmp_path, make_listener, monkeypatch):
    install_plugin("slow-data", {"datasets": "slow = slow_data:Slow"}, SLOW)
    module, clock = importlib.import_module("slow_data"), Workshop()
    module.clock, module.picture_seconds = clock, 4 * TICK
    batches, repeat = RunData.train_batches, engine.TensorFlowSteps.repeat

    def train_batches(self: RunData, *given: Any, **options: Any) -> Iterator[Any]:
        return clock.waits_for(batches(self, *given, **options), pieces=4)

    def repeated(self: engine.TensorFlowSteps, batch: Any, most: int) -> StepResult:
        clock.sleep(most * 4 * TICK)
        return repeat(self, batch, most)

    monkeypatch.setattr(engine, "time", clock)
    monkeypatch.setattr(RunData, "train_batches", train_batches)
    monkeypatch.setattr(engine.TensorFlowSteps, "repeat", repeated)
    listener = make_listener()
    result = keras_azure.run(
        "cnn(filters=(2,))",
        data="slow",
        cache="none",
        batch_size=4,
        epochs=1,
        tracking=False,
        output=tmp_path / "run",
        observer=listener,
    )
    performance = result.performance
    assert performance["waiting_share"] == pytest.approx(16 / 20)
    assert performance["step_median_seconds"] == pytest.approx(20 * TICK, rel=0.01)
    assert listener.heard("Training waited for pictures in 80% of its time. Try: --cache auto")
    assert (performance["engine"], performance["xla"]) == ("tensorflow", False)
    assert performance["device"].startswith(("cpu", "gpu"))
    assert 0 < performance["step_median_seconds"] <= performance["step_99th_percentile_seconds"]
    assert performance["epoch_images_per_second"] == [row["images_per_second"] for row in result.history]
    assert json.loads((tmp_path / "run/metrics.json").read_text())["performance"] == performance
