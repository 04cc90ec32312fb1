"""`kaz bench`: numbers that belong together, and slowdowns that are made on purpose and must be found."""

import importlib
import json
from pathlib import Path

import pytest
from fixtures.clock import Workshop
from PIL import Image

import keras_azure
from keras_azure.description.events import Observer
from keras_azure.engines import tensorflow as engine
from keras_azure.errors import UsageError
from keras_azure.throughput import comparison, price, timing
from keras_azure.throughput.advice import advice
from keras_azure.training.data import RunData

QUICK = ("--rounds", "2", "--seconds", "0.05", "--batch-size", "4")
# A network and an augmentation that take time by a clock that the test has.
PLUGIN = """
import keras
import numpy as np
import tensorflow as tf

class Waits(keras.layers.Layer):
    def call(self, pictures):
        def wait(values):  # on the host, in the middle of the step: the device has to be done before, and stands still
            clock.sleep(step_seconds)
            return values
        waited = tf.numpy_function(wait, [tf.stop_gradient(tf.reduce_sum(pictures))], tf.float32)
        waited.set_shape(())
        return pictures + 0 * waited

    def compute_output_shape(self, shape):
        return shape

def net(input_shape, num_classes):
    pixels = keras.layers.Input(input_shape)
    features = keras.layers.Flatten()(Waits()(keras.layers.Rescaling(1 / 255)(pixels)))
    return keras.Model(pixels, keras.layers.Dense(num_classes, activation="softmax")(features))

def slow():
    def augment(images):
        def wait(values):
            clock.work(picture_seconds)
            return values
        waited = tf.numpy_function(wait, [images], images.dtype)
        return tf.ensure_shape(waited, images.shape)
    return augment
"""
TICK = 1 / 1024  # seconds, of which sums are exact
SLOWED = (
    "bench",
    "run",
    "net",
    "--augment",
    "slow",
    "--rounds",
    "2",
    "--seconds",
    str(64 * TICK),
    "--batch-size",
    "16",
)


@pytest.fixture
def plugin(install_plugin, monkeypatch):
    """The module: a step takes 16 ticks, and the pictures of one take 4, until a test says otherwise."""
    install_plugin("slow-down", {"models": "net = slow_down:net", "augmentations": "slow = slow_down:slow"}, PLUGIN)
    module, clock = importlib.import_module("slow_down"), Workshop()
    module.clock, module.step_seconds, module.picture_seconds = clock, 16 * TICK, 4 * TICK / 16
    for user in (timing, engine):
        monkeypatch.setattr(user, "time", clock)
    monkeypatch.setattr("tensorflow.timestamp", clock.timestamp)
    batches = RunData.train_batches
    monkeypatch.setattr(RunData, "train_batches", lambda self, *given: clock.waits_for(batches(self, *given), 16))
    return module


def test_a_run_is_measured_and_leaves_nothing(kaz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAZ_RUNS", str(tmp_path / "runs"))
    code, out, err = kaz("bench", "cnn", *QUICK, "--augment", "flip", "--json", "--backend", "azure-nc6s-v3")
    assert code == 0, err
    report = json.loads(out)
    measured = {name: numbers["images_per_second"] for name, numbers in report["measured"].items()}
    assert set(measured) == {"input", "step", "run"}
    assert (report["model"], report["data"], report["image_shape"]) == ("cnn", "digits", [28, 28, 1])
    assert (report["part"], report["augment"], report["batch_size"]) == ("run", ["flip"], 4)
    assert report["images_per_second"] == measured["run"] > 0
    assert report["ceiling_images_per_second"] == min(measured["input"], measured["step"])
    assert report["bound"] == ("input" if measured["input"] < measured["step"] else "step")
    assert report["share_of_ceiling"] == pytest.approx(measured["run"] / report["ceiling_images_per_second"])
    assert 0 <= report["measured"]["run"]["waiting_share"] <= 1
    per_hour = report["price"]["usd_per_hour"]
    assert report["price"]["usd_per_million_images"] == pytest.approx(per_hour / 3600 * 1e6 / measured["run"])
    assert all(isinstance(line, str) for line in report["next"])
    assert list(tmp_path.iterdir()) == []  # no run folder, no record, no checkpoint
    assert "digits: 1437" in err


def test_the_input_and_the_step_alone(kaz, tmp_path):
    code, out, _ = kaz("bench", "input", "cnn", *QUICK, "--json")
    report = json.loads(out)
    measured = report["measured"]
    assert (code, set(measured)) == (0, {"input", "step", "ceiling"})
    assert report["images_per_second"] == measured["input"]["images_per_second"]
    assert report["ceiling_images_per_second"] == measured["ceiling"]["images_per_second"]
    assert report["price"] is None  # this machine has none

    plot = tmp_path / "step.png"
    command = ("bench", "step", "cnn", *QUICK, "--set", "filters=(4,)")
    before = tmp_path / "before.json"
    before.write_text(kaz(*command, "--json")[1])
    code, out, err = kaz(*command, "--plot", str(plot), "--compare", str(before), "--tolerance", "0.99")
    assert code == 0, err
    assert "cnn(filters=(4,)), 28x28x1, batches of 4, float32" in out
    assert "images/s; a step " in out
    assert "Bound     by the step" in out
    assert "Before    step: " in out
    assert "Try " in out
    with Image.open(plot) as image:
        assert image.width > 500
    assert kaz("bench", "step", "cnn", *QUICK, "--plot", str(plot))[0] == 2
    assert plot.stat().st_size > 1000


@pytest.fixture
def before(kaz, plugin, tmp_path):
    """A report of before anything became slow."""
    code, out, err = kaz(*SLOWED, "--json")
    assert code == 0, err
    report = json.loads(out)
    rates = {part: numbers["images_per_second"] for part, numbers in report["measured"].items()}
    assert rates == pytest.approx({"input": 16 / (4 * TICK), "step": 16 / (16 * TICK), "run": 16 / (20 * TICK)})
    assert report["bound"] == "step"
    file = tmp_path / "before.json"
    file.write_text(out)
    return str(file)


def test_a_slow_pipeline_is_found(kaz, plugin, before):
    plugin.picture_seconds = 48 * TICK / 16
    plugin.clock.forget()
    code, out, err = kaz(*SLOWED, "--json", "--compare", before)
    report = json.loads(out)
    assert code == 1
    assert report["bound"] == "input"
    assert report["measured"]["input"]["images_per_second"] == pytest.approx(16 / (48 * TICK))
    assert report["measured"]["run"]["images_per_second"] == pytest.approx(16 / (64 * TICK))
    assert report["measured"]["run"]["waiting_share"] == pytest.approx(48 / 64)
    assert {row["part"] for row in report["comparison"] if row["slower"]} == {"input", "run"}
    assert "Slower: input" in err
    assert "fewer augmentations" in " ".join(report["next"])


def test_a_synchronisation_in_the_step_is_found(kaz, plugin, before):
    plugin.step_seconds = 60 * TICK
    code, out, err = kaz(*SLOWED, "--json", "--compare", before)
    report = json.loads(out)
    assert code == 1
    assert report["bound"] == "step"
    assert report["measured"]["step"]["step_seconds"] == pytest.approx(60 * TICK)
    assert report["measured"]["run"]["images_per_second"] == pytest.approx(16 / (64 * TICK))
    assert report["measured"]["run"]["waiting_share"] == pytest.approx(4 / 64)
    assert {row["part"] for row in report["comparison"] if row["slower"]} == {"step", "run"}
    assert "Slower: step" in err


def test_an_autoencoder_and_standardised_pixels(kaz):
    code, out, err = kaz("bench", "autoencoder", *QUICK, "--standardize", "featurewise", "--json")
    assert code == 0, err
    assert json.loads(out)["images_per_second"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cnm"], "Did you mean 'cnn'"),
        (["input", "cnn", "more"], "more than a part and a model"),
        ([], "No model is named"),
        (["cnn", "--compare", "missing.json"], "missing.json cannot be read"),
        (["cnn", "--plot", "picture.txt"], "ends with .png"),
        (["cnn", "--data", "digit"], "Did you mean 'digits'"),
        (["cnn", "--batch-size", "0"], "batch_size"),
        (["features", "--set", "weights=none", "--image-size", "32", "32"], "not trained in steps"),
    ],
)
def test_wrong_calls_are_one_message(kaz, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = kaz("bench", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def report(**changes):
    measured = {"step": {"images_per_second": 100.0}, "run": {"images_per_second": 90.0}}
    same = {"model": "cnn", "image_shape": [8, 8, 1], "augment": [], "batch_size": 4, "precision": "float32"}
    return {**same, "part": "run", "measured": measured, "environment": {"cores": "2"}, **changes}


def test_only_equal_runs_are_compared():
    now = report(measured={"step": {"images_per_second": 80.0}, "run": {"images_per_second": 89.0}})
    step, run = comparison.changes(report(), now)
    assert (step.part, step.ratio, run.part) == ("step", 0.8, "run")
    assert step.is_slower(0.1)
    assert not step.is_slower(0.25)
    assert not run.is_slower(0.1)
    assert comparison.elsewhere(report(), report(environment={"cores": "8"})) == ["cores: 2 then, 8 now"]
    with pytest.raises(UsageError, match="batch_size 4 then and 8 now"):
        comparison.changes(report(), report(batch_size=8))
    with pytest.raises(UsageError, match="none of what is measured now"):
        comparison.changes(report(measured={"input": {"images_per_second": 1.0}}), report())
    for other in ([], {}, "text", report(measured=[1])):
        with pytest.raises(UsageError, match="no report"):
            comparison.changes(other, report())


def test_a_price_is_that_of_the_machine_on_which_a_run_would_go():
    assert price.price_of("local", 100.0) is None
    million = price.price_of("azure-nc6s-v3", 1000.0)
    assert million["usd_per_million_images"] == pytest.approx(million["usd_per_hour"] / 3.6)
    assert price.price_of("azure-nc6s-v3(spot=True)", 1000.0) is None  # the table has none of spot nodes
    assert price.price_of("azure-nd40rs-v2", 1000.0)["size"] == "Standard_ND40rs_v2"


def test_advice_follows_from_what_bounds():
    def lines(device="cpu:0", bound="step", frozen=False, **settings):
        config = keras_azure.RunConfig("cnn", **settings)
        measured = {name: {"images_per_second": 1.0} for name in ("input", "step", "run")}
        found = report(bound=bound, measured=measured, environment={"device": device}, augment_on="host")
        return "\n".join(advice({**found, "share_of_ceiling": 0.5}, config, frozen=frozen))

    assert "larger --batch-size than 16" in lines()
    assert "larger --batch-size" not in lines(batch_size=256)
    assert "mixed_bfloat16" in lines("gpu:0")
    assert "mixed_bfloat16" not in lines("gpu:0", precision="mixed_bfloat16")
    assert "--augment-on device" in lines("gpu:0", "input", augment=("flip",))
    assert "--augment-on device" not in lines("gpu:0", "input")
    assert "--cache auto" in lines(bound="input", cache="none")
    assert "computes its features once" in lines(frozen=True)
    assert "hardly faster than the step" in lines()


def test_from_python(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = keras_azure.bench("cnn", part="step", rounds=1, seconds=0.02, batch_size=2, observer=Observer())
    assert found["images_per_second"] > 0
    assert found["bound"] == "step"
    assert list(tmp_path.iterdir()) == []
