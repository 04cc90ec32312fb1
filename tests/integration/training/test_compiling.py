"""What the options of training do: the schedule, clipping, smoothing, and the weights of classes."""

import keras
import numpy as np
import pytest

import keras_azure
from keras_azure.data import open_dataset
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.source import open_source
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import ConfigError, WrongOption
from keras_azure.pipeline import labels_of
from keras_azure.registry.specs import Spec
from keras_azure.training.compiling import (
    build_loss,
    build_model,
    build_optimizer,
    check_options,
    initial_learning_rate,
)
from keras_azure.training.data import open_data


def rates(config: RunConfig, steps: int = 100) -> list[float]:
    optimizer = build_optimizer(config, 0.5, steps)
    found = []
    for step in range(steps + 1):
        optimizer.iterations.assign(step)
        found.append(float(optimizer.learning_rate))
    return found


def test_a_second_model_in_a_process_has_the_names_of_the_first():
    """Of layers and of operations, which a model's file holds: keras.applications leaves some of them unnamed."""
    pictures = np.zeros((4, 32, 32, 3), np.uint8)
    split = (pictures, np.arange(4) % 2)
    dataset = ArrayDataset(["a", "b"], {"train": split, "test": split}, "made up")
    config = RunConfig(model="transfer(backbone='mobilenetv2', weights='none')", standardize="samplewise")
    first, second = (build_model(config, dataset).get_config() for _ in range(2))
    assert first == second


def test_a_cosine_goes_up_in_a_line_and_down_to_nothing():
    found = rates(RunConfig("cnn", schedule="cosine"))
    assert found[0] == 0
    assert found[5] == pytest.approx(0.25)
    assert found[10] == max(found) == pytest.approx(0.5)
    assert found[55] == pytest.approx(0.25)
    assert found[100] == pytest.approx(0, abs=1e-9)


def test_without_warmup_a_cosine_only_goes_down():
    found = rates(RunConfig("cnn", schedule="cosine", warmup=0.0))
    assert found[0] == pytest.approx(0.5)
    assert found == sorted(found, reverse=True)


def test_the_schedule_is_constant_but_for_fine_tuning():
    assert set(rates(RunConfig("cnn"))) == {0.5}
    assert len(set(rates(RunConfig("cnn", fine_tune="auto")))) > 90
    assert set(rates(RunConfig("cnn", fine_tune="auto", schedule="constant"))) == {0.5}


def test_a_run_of_one_step_has_a_schedule_too():
    assert rates(RunConfig("cnn", schedule="cosine"), steps=1)[0] == pytest.approx(0.5)


def test_the_first_learning_rate_is_the_configs_or_the_optimizers():
    assert initial_learning_rate(RunConfig("cnn")) == 0.001
    assert initial_learning_rate(RunConfig("cnn", optimizer="sgd(learning_rate=0.3)")) == 0.3
    assert initial_learning_rate(RunConfig("cnn", optimizer="sgd(learning_rate=0.3)", learning_rate=0.2)) == 0.2


def test_gradients_are_clipped_to_a_norm_over_all_weights():
    optimizer = build_optimizer(RunConfig("cnn", optimizer="sgd", clip_norm=1.0), 1.0, 10)
    weights = [keras.Variable(np.zeros(2)), keras.Variable(np.zeros(1))]
    optimizer.apply([np.array([3.0, 0.0]), np.array([4.0])], weights)
    assert np.allclose(np.concatenate([np.array(weight) for weight in weights]), [-0.6, 0, -0.8])


def test_labels_are_smoothed_in_the_loss():
    truth, said = np.array([[1.0, 0.0]]), np.array([[0.9, 0.1]])
    smoothed = build_loss(RunConfig("cnn", label_smoothing=0.2))(truth, said)
    assert float(smoothed) == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1), rel=1e-5)
    with pytest.raises(WrongOption, match=r"mean_squared_error.*label_smoothing"):
        check_options(RunConfig("cnn", loss="mean_squared_error", label_smoothing=0.2))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("warmup", 1.0),
        ("warmup", -0.1),
        ("label_smoothing", 1.0),
        ("clip_norm", -1.0),
        ("schedule", "linear"),
        ("class_weights", "heavy"),
    ],
)
def test_values_out_of_range_are_refused(setting, value):
    with pytest.raises(ConfigError, match=setting):
        RunConfig("cnn", **{setting: value})


def test_rare_classes_weigh_more_so_that_all_weigh_the_same(picture_folder):
    for number in range(4, 12):
        (picture_folder / "bright" / f"{number:02}.png").unlink()
    config = RunConfig("cnn", data=str(picture_folder), class_weights="balanced", validation_split=0.0).resolved()
    data = open_data(config, Observer())
    weighted = [(np.asarray(labels), np.asarray(weights)) for _, labels, weights in data.train_batches(0, 1)]
    labels, weights = (np.concatenate(each) for each in zip(*weighted, strict=True))
    totals = weights @ labels
    assert totals[0] == pytest.approx(totals[1])
    assert weights.sum() == pytest.approx(len(weights))
    data.close()


def test_class_weights_go_with_mixed_labels_and_do_not_reach_validation(picture_folder, tmp_path):
    result = keras_azure.run(
        "cnn",
        data=str(picture_folder),
        class_weights="balanced",
        augment=["mixup"],
        epochs=1,
        batch_size=8,
        output=tmp_path / "run",
        tracking=False,
        observer=Observer(),
    )
    assert np.isfinite(result.history[0]["loss"])
    data = open_data(RunConfig("cnn", data=str(picture_folder), class_weights="balanced").resolved(), Observer())
    assert all(len(batch) == 2 for batch in data.validation_batches(0, 1, "host"))
    data.close()


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_the_labels_of_samples(picture_folder, cache):
    dataset = open_dataset(Spec("folder", {"path": str(picture_folder)}), Observer())
    source = open_source(dataset, "train", Observer(), cache=cache)
    samples = np.array([3, 0, source.size - 1])
    assert labels_of(source, samples).tolist() == [dataset.read("train", index)[1] for index in samples]


def test_an_array_dataset_needs_no_file_for_class_weights():
    pixels, labels = np.zeros((6, 8, 8, 1), np.uint8), np.array([0, 0, 0, 0, 1, 1])
    dataset = ArrayDataset(["a", "b"], {"train": (pixels, labels), "test": (pixels, labels)}, "made up")
    source = open_source(dataset, "train", Observer())
    assert labels_of(source, np.arange(6)).tolist() == labels.tolist()
