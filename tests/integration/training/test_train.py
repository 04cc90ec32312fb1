"""Whole runs through the Python API: what is in the run folder, that it is true, and that it comes out the same."""

import csv
import hashlib
import itertools
import json
import signal
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_azure
from keras_azure.data.digits import digits
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, RunFailed, RunInterrupted, UnreadableFile, WrongOption
from keras_azure.evaluation.answers import Answers
from keras_azure.training.checkpoints import Checkpoints

TIMES = ("seconds", "images_per_second")
FAST = {"epochs": 2, "tracking": False, "observer": Observer()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of three epochs with validation and dropout."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return keras_azure.run("cnn(dropout=0.2)", epochs=3, tracking=False, output=folder, observer=Observer())


def weights(run_dir: Path) -> bytes:
    model = keras.saving.load_model(run_dir / "model.keras")
    return b"".join(array.tobytes() for array in model.get_weights())


def history(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "history.csv").open(newline="") as file:
        return [{name: text for name, text in row.items() if name not in TIMES} for row in csv.DictReader(file)]


def test_the_run_folder_holds_everything(finished):
    files = {str(path.relative_to(finished.run_dir)) for path in finished.run_dir.rglob("*") if path.is_file()}
    assert files == {
        *("run.json", "history.csv", "metrics.json", "predictions.npz", "model.keras"),
        *("report.html", "model_card.md"),
        *("checkpoints/epoch-0002.npz", "checkpoints/epoch-0003.npz"),
        *("plots/learning_curves.png", "plots/confusion_matrix.png", "plots/worst_mistakes.png"),
    }


def test_the_scores_are_those_of_the_saved_model_on_the_test_split(finished):
    pictures, labels = digits().arrays("test")
    model = keras.saving.load_model(finished.run_dir / "model.keras")
    loss, accuracy = model.evaluate(pictures, keras.utils.to_categorical(labels, 10), verbose=0)
    assert finished.test_loss == pytest.approx(loss, rel=1e-5)
    assert finished.test_accuracy == pytest.approx(accuracy)
    assert finished.test_accuracy > 0.85
    metrics = json.loads((finished.run_dir / "metrics.json").read_text())
    assert metrics["test_loss"] == finished.test_loss
    assert metrics["test_accuracy"] == finished.test_accuracy
    assert metrics["parameters"] == finished.parameters == 409_034
    assert metrics["class_names"] == [str(digit) for digit in range(10)]
    assert metrics["environment"]["keras"] == keras.__version__


def test_what_the_saved_model_said_of_each_test_image_is_kept(finished):
    pictures, labels = digits().arrays("test")
    answers = Answers.load(finished.run_dir / "predictions.npz")
    assert answers.right.mean() == finished.test_accuracy
    assert answers.truth.tolist() == labels.tolist()
    assert answers.data, "the data is in memory, so that it has a digest"
    said = keras.saving.load_model(finished.run_dir / "model.keras").predict(pictures, verbose=0)
    assert np.allclose(answers.given, said, atol=1e-5)


def test_the_history_has_a_row_per_epoch(finished):
    rows = list(finished.history)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["val_accuracy"] > rows[0]["val_accuracy"]
    assert rows[0]["learning_rate"] == pytest.approx(0.001)
    assert all(row["images_per_second"] > 0 for row in rows)
    assert [float(row["val_loss"]) for row in history(finished.run_dir)] == [row["val_loss"] for row in rows]


def test_the_result_brings_the_model(finished):
    assert finished.model.predict(np.zeros((1, 28, 28, 1)), verbose=0).shape == (1, 10)


def test_run_json_repeats_the_run_byte_for_byte(finished, tmp_path):
    again = keras_azure.run(config=finished.run_dir / "run.json", output=tmp_path / "again", observer=Observer())
    assert weights(again.run_dir) == weights(finished.run_dir)
    assert history(again.run_dir) == history(finished.run_dir)
    files = [hashlib.sha256((run.run_dir / "model.keras").read_bytes()).digest() for run in (again, finished)]
    assert files[0] == files[1]


def test_another_seed_gives_another_model(finished, tmp_path):
    other = keras_azure.run(
        config=finished.run_dir / "run.json", seed=1, epochs=1, output=tmp_path / "other", observer=Observer()
    )
    assert other.history[0]["loss"] != finished.history[0]["loss"]


class StopAt(Observer):
    """Presses Ctrl-C after a step of an epoch, or after the call that it is in.

    Attributes:
        stopped_after: how many steps of the epoch were done by then.
        steps_after: how often it heard of further steps.
    """

    def __init__(self, epoch: int, step: int):
        self.place, self.epoch = (epoch, step), 0
        self.steps_after, self.stopped_after = 0, None

    def epoch_started(self, epoch):
        self.epoch = epoch

    def step_done(self, step, logs):
        if (self.epoch, step) >= self.place:
            self.steps_after += self.stopped_after is not None
            self.stopped_after = step + 1
            signal.raise_signal(signal.SIGINT)


class Watcher(Observer):
    def training_started(self, facts):
        self.began_after = (facts.first_epoch, facts.first_step)


@pytest.mark.parametrize(
    ("epoch", "step", "call_seconds"),
    [(0, 0, 0.0), (2, 10, 0.0), (1, 80, 0.0), (1, 30, 0.05)],  # an epoch has 81 steps; one, or some, in a call
)
def test_a_stopped_run_goes_on_to_the_same_end(finished, tmp_path, monkeypatch, epoch, step, call_seconds):
    monkeypatch.setattr("keras_azure.training.loop.CALL_SECONDS", call_seconds)
    folder = tmp_path / "stopped"
    observer = StopAt(epoch, step)
    with pytest.raises(RunInterrupted) as stopped:
        keras_azure.run(config=finished.run_dir / "run.json", output=folder, observer=observer)
    done = observer.stopped_after
    assert done == step + 1 or call_seconds
    assert f"{epoch} of its 3 epochs and {done} steps of the next are finished and kept" in str(stopped.value)
    assert f"kaz resume {folder}" in str(stopped.value)
    assert observer.steps_after == 0
    watcher = Watcher()
    resumed = keras_azure.resume(folder, observer=watcher)
    assert watcher.began_after == (epoch, done)  # no step is done twice
    assert weights(folder) == weights(finished.run_dir)
    assert history(folder) == history(finished.run_dir)
    assert resumed.test_loss == finished.test_loss


def test_a_run_that_was_stopped_in_its_test_only_tests(finished, tmp_path):
    class StopInTest(Observer):
        epochs = 0

        def epoch_started(self, epoch):
            self.epochs += 1

        def advance(self, activity, done, total):
            if activity == "Testing":
                signal.raise_signal(signal.SIGINT)

    folder = tmp_path / "stopped"
    with pytest.raises(RunInterrupted):
        keras_azure.run(config=finished.run_dir / "run.json", output=folder, observer=StopInTest())
    watcher = StopInTest()
    watcher.advance = lambda *arguments: None
    resumed = keras_azure.resume(folder, observer=watcher)
    assert watcher.epochs == 0
    assert resumed.test_loss == finished.test_loss


def test_a_second_interrupt_stops_at_once(tmp_path):
    class Impatient(Observer):
        def step_done(self, step, logs):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second one was not heard")

    with pytest.raises(RunInterrupted):
        keras_azure.run("cnn", output=tmp_path / "run", **FAST | {"observer": Impatient()})


NOISE = """
    import numpy as np
    from keras_azure import ArrayDataset

    def noise():
        rng = np.random.default_rng(0)
        split = (rng.integers(0, 256, (40, 8, 8, 1), np.uint8), rng.integers(0, 2, 40))
        return ArrayDataset(("a", "b"), {"train": split, "test": split}, "noise that can be learnt only by heart")
"""


def test_the_best_epoch_is_kept_when_asked_for(install_plugin, tmp_path):
    install_plugin("noise", {"datasets": "noise = noise:noise"}, NOISE)
    settings = {"data": "noise", "validation_split": 0.5, "keep": "best", "output": tmp_path / "run"}
    settings["learning_rate"] = 0.005
    result = keras_azure.run("cnn", **settings, **FAST | {"epochs": 20})
    best = min(result.history, key=lambda row: row["val_loss"])["epoch"]
    assert best < 19  # what it learns of noise makes it worse on other noise
    assert json.loads((result.run_dir / "metrics.json").read_text())["kept_epoch"] == best
    names = {path.name for path in (result.run_dir / "checkpoints").iterdir()}
    assert names == {f"epoch-{epoch:04d}.npz" for epoch in (best, 19, 20)}
    kept = Checkpoints(result.run_dir).load(f"epoch-{best:04d}.npz")
    assert b"".join(array.tobytes() for array in kept.values.groups["model"]) == weights(result.run_dir)


def test_early_stopping_ends_a_run_and_its_resume(tmp_path):
    heard = []

    class Listener(Observer):
        def message(self, text):
            heard.append(text)

    options = FAST | {"epochs": 30, "observer": Listener()}
    result = keras_azure.run("cnn", output=tmp_path / "run", learning_rate=0.01, early_stopping=1, **options)
    losses = [row["val_loss"] for row in result.history]
    assert result.epochs < 30
    assert losses[-1] >= losses[-2]
    assert all(later < earlier for earlier, later in itertools.pairwise(losses[:-1]))
    assert "Stopped early: no lower validation loss in 1 epochs." in heard


def test_steps_per_epoch_makes_epochs_of_an_endless_stream(tmp_path):
    result = keras_azure.run("cnn", output=tmp_path / "run", steps_per_epoch=7, batch_size=8, **FAST)
    assert result.epochs == 2
    assert int(result.model.optimizer.iterations) == 14


def test_optimizer_loss_and_metrics_can_be_changed(tmp_path):
    result = keras_azure.run(
        "cnn",
        output=tmp_path / "run",
        optimizer="sgd(momentum=0.9, nesterov=True)",
        learning_rate=0.05,
        loss="categorical_focal_crossentropy(gamma=1.0)",
        metrics=["f1_score", "top_k_categorical_accuracy(k=2)"],
        validation_split=0,
        **FAST,
    )
    assert set(result.test_metrics) == {"loss", "accuracy", "f1_score", "top_k_categorical_accuracy"}
    assert 0.5 < result.test_accuracy < result.test_metrics["top_k_categorical_accuracy"]
    assert "val_loss" not in result.history[0]
    assert result.history[0]["learning_rate"] == pytest.approx(0.05)


def test_mixed_precision_leaves_the_users_policy_alone(tmp_path):
    result = keras_azure.run("cnn", output=tmp_path / "run", precision="mixed_bfloat16", **FAST)
    assert result.test_accuracy > 0.7
    assert result.model.layers[2].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "cnn(filter=3)"}, WrongOption, r"(?s)no option 'filter'.*cnn\(.*filters"),
        ({"model": "cnn(dropout=many)"}, WrongOption, "dropout"),
        ({"optimizer": "adam(speed=3)"}, WrongOption, "adam.speed=3. is not accepted by Keras"),
        ({"loss": "kl_divergence(sharpness=3)"}, WrongOption, "is not accepted by Keras"),
    ],
)
def test_wrong_options_leave_nothing_behind(tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        keras_azure.run(**{"model": "cnn", "output": tmp_path / "run", **settings, **FAST})
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_breaks_its_contract_is_named(install_plugin, tmp_path):
    code = """
        import keras

        def scores(input_shape, num_classes):
            return keras.Sequential([keras.layers.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(3)])
    """
    install_plugin("odd-models", {"models": "scores = odd_models:scores"}, code)
    with pytest.raises(BrokenPlugin, match=r"(?s)scores gives outputs of \(None, 3\).*each of 10 classes"):
        keras_azure.run("scores", output=tmp_path / "run", **FAST)


def test_a_loss_that_is_not_a_number_stops_the_run(install_plugin, tmp_path):
    # Without a ReLU, which makes 0 of what is no number on some processors.
    code = """
        from keras import layers, Sequential

        def linear(input_shape, num_classes):
            return Sequential([layers.Input(input_shape), layers.Flatten(), layers.Dense(num_classes, "softmax")])
    """
    install_plugin("linear-models", {"models": "linear = linear_models:linear"}, code)
    with pytest.raises(
        RunFailed,
        match=r"(?s)loss became (nan|inf) in step \d+ of epoch 1, at the learning rate 3e\+38.*"
        r"pictures, by their index.*: \d+, .*smaller --learning-rate",
    ):
        keras_azure.run(
            "linear", output=tmp_path / "run", optimizer="sgd", learning_rate=3e38, **FAST | {"epochs": 1}
        )  # fmt: skip


def test_a_picture_that_breaks_while_training_is_named(picture_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("keras_azure.data.source.SHARE_OF_MEMORY", 0.0)

    class Vandal(Observer):
        def training_started(self, facts):
            for picture in picture_folder.rglob("*.png"):
                picture.write_bytes(b"")

    with pytest.raises(UnreadableFile, match=r"\.png"):
        keras_azure.run("cnn", data=str(picture_folder), output=tmp_path / "run", **FAST | {"observer": Vandal()})


def test_a_model_file_with_code_in_it_is_refused(tmp_path):
    from keras_azure.models.saving import load_model

    hostile = keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x * 2)])
    hostile.save(tmp_path / "hostile.keras")
    with pytest.raises(RunFailed, match=r"hostile\.keras cannot be loaded"):
        load_model(tmp_path / "hostile.keras")
