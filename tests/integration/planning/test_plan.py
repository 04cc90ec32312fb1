"""Whole plans: which phases a run has, and what is said of each machine."""

import itertools
import json

import numpy as np
import pytest

from keras_azure.backends.asked import machine_of
from keras_azure.data.arrays import ArrayDataset
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import WrongOption
from keras_azure.models.features import BATCH_SIZE
from keras_azure.pipeline import batches
from keras_azure.planning.input import input_cost
from keras_azure.planning.plan import plan_run
from keras_azure.training.data import DataFacts

FROZEN = "transfer(backbone='mobilenetv2', weights='none', trainable_blocks=0)"


def planned(model="cnn", *backends, facts=(1000, (28, 28, 1), 10), **settings):
    config = RunConfig(model=model, **settings)
    return plan_run(config, [machine_of(each) for each in backends or ("azure-nc6",)], Observer(), facts=facts)


def phases(work):
    return [(phase.kind, phase.rounds * phase.pictures_per_round, phase.batch_size) for phase in work.phases]


def test_a_run_trains_validates_and_tests(work):
    assert phases(work("cnn", epochs=3)) == [("train", 2700, 16), ("infer", 300, 16), ("infer", 200, 16)]
    endless = work("cnn", epochs=3, steps_per_epoch=10, validation=0)
    assert phases(endless) == [("train", 480, 16), ("infer", 200, 16)]


def test_frozen_features_are_computed_once(work):
    found = work(FROZEN, shape=(32, 32, 3), epochs=3)
    features = ("infer", 1000, BATCH_SIZE)
    assert phases(found) == [features, ("train", 2700, 16), ("infer", 300, 16), ("infer", 200, 16)]
    head = found.training
    assert head.operations.total < 0.01 * found.phases[0].operations.forward
    assert found.largest is found.phases[0]


@pytest.mark.parametrize("settings", [{"augment": ("flip",)}, {"cache": "none"}], ids=str)
def test_and_in_each_step_where_they_change_or_are_not_kept(work, settings):
    found = work(FROZEN, shape=(32, 32, 3), epochs=3, **settings)
    assert phases(found) == [("train", 2700, 16), ("infer", 300, 16), ("infer", 200, 16)]
    assert found.training.operations.forward > 100 * found.training.operations.backward


def test_stages_train_more_and_more(work):
    found = work(FROZEN, shape=(32, 32, 3), epochs=3, fine_tune="blocks=1,epochs=2;blocks=4,epochs=1")
    trained = [phase for phase in found.phases if phase.kind == "train"]
    assert [phase.rounds for phase in trained] == [3, 2, 1]
    assert trained[0].operations.backward < trained[1].operations.backward < trained[2].operations.backward
    assert trained[1].memory.at(16).total < trained[2].memory.at(16).total
    assert found.epochs == 6


def test_features_and_a_classifier(work):
    found = work("features(backbone='mobilenetv2', weights='none')", shape=(32, 32, 3))
    assert phases(found) == [("infer", 1200, BATCH_SIZE)]
    assert found.notes == ("The time that the classifier takes on the features is not counted.",)


def test_an_autoencoder(work):
    assert phases(work("autoencoder"))[0] == ("train", 9000, 16)


def test_a_plan_is_json_and_adds_up():
    plan = planned(batch_size=128, epochs=2)
    assert json.loads(json.dumps(plan)) == plan
    memory = plan["memory"]
    parts = ("weights", "optimizer", "gradients", "activations", "workspace")
    assert memory["total"] == sum(memory[part] for part in parts)
    assert plan["pictures"] == {
        "image_shape": [28, 28, 1],
        "class_names": [str(number) for number in range(10)],
        "train": 900,
        "validation": 100,
        "test": 0,
    }
    [machine] = plan["machines"]
    assert (machine["backend"], machine["size"], machine["fits"]) == ("azure-nc6", "Standard_NC4as_T4_v3", True)
    low, high = machine["step_seconds"]
    assert machine["images_per_second"] == [pytest.approx(128 / high), pytest.approx(128 / low)]
    assert machine["seconds"][0] >= 2 * 8 * low
    assert machine["usd"] is None
    assert "T4" in machine["gpu"]


def test_what_does_not_fit_has_a_batch_that_does():
    [machine] = planned(batch_size=1_000_000)["machines"]
    assert not machine["fits"]
    assert machine["seconds"] is None
    assert machine["advice"] == f"--batch-size {machine['largest_batch']} fits"
    assert planned(batch_size=machine["largest_batch"])["machines"][0]["fits"]
    assert not planned(batch_size=machine["largest_batch"] + 1)["machines"][0]["fits"]


def test_amd_gpus_are_told_apart():
    [machine] = planned("cnn", "azure-nd96isr-mi300x-v5")["machines"]
    assert machine["advice"] == "TensorFlow's packages for NVIDIA do not run on it"
    assert machine["bound"] is None


def test_a_price_gives_a_cost():
    [machine] = planned("cnn", "azure-nd40rs-v2")["machines"]
    low, high = machine["usd"]
    assert machine["price"]["usd_per_hour"] == 12.24
    assert 12.24 * 5 / 60 < low < high < 12.24 * 20 / 60


def test_decoding_counts_where_the_pictures_are_here(tmp_path, monkeypatch):
    class Decoded(ArrayDataset):
        def __init__(self):
            rng = np.random.default_rng(0)
            pictures, labels = rng.integers(0, 256, (40, 8, 8, 3), np.uint8), np.arange(40) % 2
            super().__init__(["a", "b"], {"train": (pictures, labels), "test": (pictures, labels)}, "decoded")

        arrays = property()  # as if they were not in memory

        def __getattribute__(self, name):
            if name == "arrays":
                raise AttributeError(name)
            return super().__getattribute__(name)

    monkeypatch.setattr("keras_azure.data.overview.open_dataset", lambda *_: Decoded())
    plan = planned(facts=None)
    assert plan["core_seconds_per_picture"]["decoding"] > 0
    assert plan["pictures"]["train"] == 36


def test_no_more_small_pictures_are_gone_over_than_take_long_enough(monkeypatch):
    """With a clock by which all takes long: one batch to trace, and one epoch."""
    steps = []

    def counted(*arguments, **options):
        steps.append(options["steps"])
        return batches(*arguments, **options)

    facts = DataFacts((8, 8, 1), ("a", "b"), train=64, validation=8, test=8)
    monkeypatch.setattr("keras_azure.planning.input.batches", counted)
    monkeypatch.setattr("keras_azure.planning.input.time.process_time", itertools.count(0, 10).__next__)
    config = RunConfig("cnn", batch_size=16).resolved()
    assert input_cost(config, facts, None).augmenting == 10 / 64
    assert steps == [1, 4]
    steps.clear()
    monkeypatch.setattr("keras_azure.planning.input.time.process_time", itertools.count(0, 0.01).__next__)
    monkeypatch.setattr("keras_azure.planning.input._TRIED_BYTES", 128 * 16 * 64)
    input_cost(config, facts, None)
    assert steps == [1, 4, 64, 128]  # until it takes long, or is as much as large pictures have


def test_wrong_options_are_found_first():
    with pytest.raises(WrongOption):
        planned("cnn(layers=3)")
