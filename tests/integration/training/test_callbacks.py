"""Keras's callbacks in whole runs: called as `fit` calls them, by name and as objects, and what they can do."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from fixtures.callbacks import Heard, assert_same, history, rates, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_azure
from keras_azure.errors import BrokenPlugin, ConfigError, RunFailed, RunInterrupted, UsageError, WrongOption

HOOKS = [
    *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_train_batch_begin"),
    *("on_train_batch_end", "on_test_begin", "on_test_end", "on_test_batch_begin", "on_test_batch_end"),
]
CNN = "cnn(filters=(2,))"


class Recorder(keras.callbacks.Callback):
    """Keeps what it is called with: (method, number, logs)."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def named(self, hook: str) -> list:
        return [call for call in self.calls if call[0] == hook]


def _recording(hook: str):
    if "batch" in hook or "epoch" in hook:
        return lambda self, number, logs=None: self.calls.append((hook, number, logs))
    return lambda self, logs=None: self.calls.append((hook, None, logs))


for _hook in HOOKS:
    setattr(Recorder, _hook, _recording(_hook))


class AtEpochs(keras.callbacks.Callback):
    """Does something at the end of each epoch."""

    def __init__(self, action):
        super().__init__()
        self.action = action

    def on_epoch_end(self, epoch, logs=None):
        self.action(self, epoch, logs)


def test_callbacks_are_called_as_fit_calls_them(picture_folder, tmp_path):
    ours, theirs = Recorder(), Recorder()
    result = run(CNN, tmp_path / "run", data=str(picture_folder), callbacks=[ours], metrics=["auc"], epochs=2)
    steps, tests = ours.params["steps"], len(ours.named("on_test_batch_end")) // 2
    assert steps > 1
    assert tests >= 1
    network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, "softmax")])
    metrics = [keras.metrics.CategoricalAccuracy(name="accuracy"), keras.metrics.AUC(name="auc")]
    network.compile("adam", "categorical_crossentropy", metrics=metrics)
    labels = np.eye(2)[np.arange(steps) % 2]
    inputs, held_out = np.zeros((steps, 4)), (np.zeros((tests, 4)), labels[:tests])
    network.fit(inputs, labels, 1, epochs=2, verbose=0, callbacks=[theirs], validation_data=held_out)
    assert [call[:2] for call in ours.calls] == [call[:2] for call in theirs.calls]
    for (hook, _, logs), (_, _, expected) in zip(ours.calls, theirs.calls, strict=True):
        added = {"learning_rate"} if hook in ("on_epoch_end", "on_train_end") else set()
        assert set(logs) - added == set(expected), hook
        assert all(type(value) is float for value in logs.values())
    assert ours.params == {"verbose": 0, "epochs": 2, "steps": steps, "run_dir": str(tmp_path / "run")}
    # The numbers are those of the history; a batch's are the means of its epoch so far.
    for row, (_, epoch, logs) in zip(result.history, ours.named("on_epoch_end"), strict=True):
        assert logs.items() <= row.items()
        assert epoch == row["epoch"] - 1
        of_last_step = ours.named("on_train_batch_end")[(epoch + 1) * steps - 1][2]
        assert of_last_step == {name: row[name] for name in ("loss", "accuracy", "auc")}
        of_last_test = ours.named("on_test_batch_end")[(epoch + 1) * tests - 1][2]
        assert of_last_test == {name: row[f"val_{name}"] for name in ("loss", "accuracy", "auc")}


def test_only_a_callback_that_looks_at_batches_is_called_at_each_and_nothing_depends_on_it(tmp_path):
    settings = {"data": "digits", "batch_size": 16, "epochs": 1}
    plain, looking, hearing = Heard(), Heard(), Heard()
    whole = run(CNN, tmp_path / "plain", plain, **settings)
    batches = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    watched = run(CNN, tmp_path / "watched", looking, callbacks=[callback], **settings)
    assert batches == [*range(looking.calls)]
    assert watched.performance["steps_per_call"] == 1
    epochs = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(logs["val_accuracy"]))
    names = ["tensorboard", "model_checkpoint(filepath='best/{epoch}.keras')"]
    heard = run(CNN, tmp_path / "heard", hearing, callbacks=[callback, *names], **settings)
    assert epochs == [heard.history[0]["val_accuracy"]]
    assert plain.calls < looking.calls
    assert hearing.calls < looking.calls
    assert_same(watched, whole)
    assert_same(heard, whole)


def test_a_callback_may_say_that_its_methods_for_batches_are_not_needed(tmp_path):
    class Quiet(Recorder):
        looks_at_batches = False

    quiet, heard = Quiet(), Heard()
    run(CNN, tmp_path / "run", heard, callbacks=[quiet], data="digits", batch_size=16, epochs=1)
    assert quiet.named("on_train_batch_end") == []
    assert len(quiet.named("on_test_end")) == 1
    assert heard.calls < quiet.params["steps"]


def test_a_callback_sets_the_learning_rate_and_replaces_weights(picture_folder, tmp_path):
    def action(callback, epoch, logs):
        callback.model.optimizer.learning_rate = 0.5 ** (epoch + 1)
        if epoch == 2:
            callback.model.set_weights([np.full_like(value, 0.25) for value in callback.model.get_weights()])

    result = run(CNN, tmp_path / "run", data=str(picture_folder), callbacks=[AtEpochs(action)], learning_rate=1.0)
    assert rates(result) == [1.0, 0.5, 0.25]
    assert all(np.all(value == 0.25) for value in result.model.get_weights())


def test_reduce_lr_on_plateau_by_name(picture_folder, tmp_path):
    callback = "reduce_lr_on_plateau(factor=0.5, patience=1, min_delta=1000)"
    result = run(CNN, tmp_path / "run", data=str(picture_folder), callbacks=[callback], learning_rate=1.0, epochs=4)
    assert rates(result) == [1.0, 1.0, 0.5, 0.25]
    assert json.loads((result.run_dir / "run.json").read_text())["callbacks"] == [callback]


@pytest.mark.parametrize("at", ["batch", "epoch"])
def test_a_callback_that_stops_training_ends_the_run_in_order(picture_folder, tmp_path, at):
    class Stop(keras.callbacks.Callback):
        if at == "batch":

            def on_train_batch_end(self, batch, logs=None):
                self.model.stop_training = (self.epoch, batch) == (1, 2)

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = self.model.stop_training or epoch == 1

    heard, recorder = Heard(), Recorder()
    result = run(CNN, tmp_path / "run", heard, data=str(picture_folder), callbacks=[Stop(), recorder])
    assert result.epochs == 2
    where = "in epoch 2, after 3 steps" if at == "batch" else "after epoch 2"
    assert f"Stopped by the callback Stop {where}." in heard.lines
    assert [call[:2] for call in recorder.calls][-2:] == [("on_epoch_end", 1), ("on_train_end", None)]
    if at == "batch":
        assert [number for _, number, _ in recorder.named("on_train_batch_end")][-3:] == [0, 1, 2]
    assert np.isfinite(result.test_loss)
    assert json.loads((result.run_dir / "metrics.json").read_text())["kept_epoch"] == 2


def test_terminate_on_nan_ends_the_run_in_order(picture_folder, tmp_path, kaz):
    arguments = [CNN, "--data", str(picture_folder), "--optimizer", "sgd", "--learning-rate", "1e30", "--no-tracking"]
    arguments += ["--output", str(tmp_path / "run"), "--batch-size", "4"]
    code, out, err = kaz("run", *arguments, "--callback", "terminate_on_nan", "--json")
    assert code == 0, err
    assert json.loads(out)["epochs"] == 1  # what Keras prints is not on stdout
    assert "Stopped by the callback terminate_on_nan in epoch 1, after" in err
    assert "Invalid loss, terminating training" in err
    assert keras_azure.load(tmp_path / "run") is not None
    code, _, err = kaz("run", *arguments[:-4], "--output", str(tmp_path / "other"))
    assert code == 1
    assert "The loss became" in err


def test_a_callback_that_fails_ends_the_run_with_its_name_and_keeps_the_checkpoint(picture_folder, tmp_path):
    whole = run(CNN, tmp_path / "whole", data=str(picture_folder))

    def fail(callback, epoch, logs):
        if epoch == 1:
            raise ZeroDivisionError("no luck")

    heard = Heard()
    with pytest.raises(RunFailed, match="The callback AtEpochs failed in on_epoch_end: ZeroDivisionError: no luck"):
        run(CNN, tmp_path / "run", heard, data=str(picture_folder), callbacks=[AtEpochs(fail)])
    assert "1 of its 3 epochs are finished and kept; when this is mended: kaz resume" in heard.lines[-1]
    mended = AtEpochs(lambda *arguments: None)
    resumed = run(CNN, tmp_path / "run", heard, data=str(picture_folder), callbacks=[mended])
    assert "Without get_state and set_state the state of these callbacks begins anew: AtEpochs." in heard.lines
    assert_same(resumed, whole)


@pytest.mark.parametrize("error", [SystemExit("bye"), MemoryError("too much")])
def test_what_a_callback_raises_is_an_error_of_the_run(picture_folder, tmp_path, error):
    class Fails(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise error

    with pytest.raises(
        RunFailed, match=f"The callback Fails failed in on_train_begin: {type(error).__name__}: {error}"
    ):
        run(CNN, tmp_path / "run", data=str(picture_folder), callbacks=[Fails()])


def test_a_keyboard_interrupt_of_a_callback_is_a_stop_request(picture_folder, tmp_path):
    def interrupt(batch, logs):
        if batch == 2:
            raise KeyboardInterrupt

    whole = run(CNN, tmp_path / "whole", data=str(picture_folder))
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=interrupt)
    with pytest.raises(RunInterrupted, match=r"0 of its 3 epochs and 3 steps of the next are finished and kept"):
        run(CNN, tmp_path / "run", data=str(picture_folder), callbacks=[callback])
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    assert_same(run(CNN, tmp_path / "run", data=str(picture_folder), callbacks=[callback]), whole)


def test_tensorboard_writes_into_the_run_folder(picture_folder, tmp_path):
    heard = Heard()
    board = "tensorboard(histogram_freq=1, update_freq=1)"
    result = run(CNN, tmp_path / "run", heard, data=str(picture_folder), callbacks=[board])
    assert f"For the callback {board}: tensorboard --logdir {result.run_dir / 'logs'}" in heard.lines
    for folder, prefix in (("train", ""), ("validation", "val_")):
        scalars = scalars_of(result.run_dir / "logs" / folder)
        losses = [np.float32(row[f"{prefix}loss"]) for row in result.history]
        assert scalars["epoch_loss"] == list(zip(range(3), losses, strict=True))
    assert len(scalars_of(result.run_dir / "logs" / "train")["batch_loss"]) == 3 * result.history[0]["epoch"] * 5


def scalars_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    events.Reload()
    from tensorboard.util.tensor_util import make_ndarray

    return {
        tag: [(event.step, float(make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if make_ndarray(events.Tensors(tag)[0].tensor_proto).ndim == 0 and "loss" in tag
    }


def test_tensorboard_without_its_package_is_refused_in_a_sentence(picture_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError, match=r"tensorboard needs the package(.|\n)*pip install 'tensorboard>=2.20,<2.22'"):
        run(CNN, tmp_path / "run", data=str(picture_folder), callbacks=["tensorboard"])
    assert not (tmp_path / "run").exists()


def test_relative_paths_are_of_the_run_folder_and_an_object_keeps_its_own(picture_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logger = keras.callbacks.CSVLogger("logs/epochs.csv")
    absolute = f"csv_logger(filename={str(tmp_path / 'elsewhere.csv')!r})"
    for name in ("first", "second"):
        run(CNN, tmp_path / name, data=str(picture_folder), callbacks=[logger, absolute])
        assert len((tmp_path / name / "logs" / "epochs.csv").read_text().splitlines()) == 4
    assert logger.filename == "logs/epochs.csv"
    assert not (tmp_path / "logs").exists()
    assert (tmp_path / "elsewhere.csv").exists()


REFUSED = [
    ({"callbacks": ["reduce_lr_on_plateau"], "schedule": "cosine"}, UsageError, "which follows a schedule here"),
    ({"callbacks": ["early_stopping(monitor=val_auc)"]}, UsageError, "monitors 'val_auc', which the run does not have"),
    ({"callbacks": ["early_stopping"], "validation_split": 0}, UsageError, "monitors 'val_loss'"),
    ({"callbacks": ["model_checkpoint(filepath='model.keras')"]}, UsageError, "which the run itself writes"),
    ({"callbacks": ["reduce_lr_on_plateau(factor=2.0)"]}, WrongOption, "does not support a factor >= 1.0"),
    ({"callbacks": [keras.callbacks.BackupAndRestore("x")]}, UsageError, "kaz resume"),
    ({"callbacks": [keras.losses.Poisson()]}, BrokenPlugin, "is a Poisson"),
    (
        {"callbacks": ["terminate_on_nan"], "model": "features(weights=none, classifier=knn)"},
        UsageError,
        "fitted without steps",
    ),
    ({"monitor": "val_auc"}, ConfigError, "The run has no 'val_auc' to monitor"),
    ({"monitor": "val_accuracy", "model": "autoencoder"}, ConfigError, "The run has no 'val_accuracy' to monitor"),
]


@pytest.mark.parametrize(("settings", "error", "message"), REFUSED, ids=[message for *_, message in REFUSED])
def test_what_cannot_work_is_refused_before_training(picture_folder, tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        run(**{"model": CNN, "output": tmp_path / "run", "data": str(picture_folder)} | settings)
    assert not (tmp_path / "run").exists()


def test_a_monitor_decides_the_epoch_that_is_kept_and_early_stopping(tmp_path):
    heard = Heard()
    settings = {"data": "digits", "batch_size": 64, "learning_rate": 0.05, "epochs": 8, "metrics": ["auc"]}
    result = run(CNN, tmp_path / "run", heard, **settings, keep="best", monitor="val_auc", early_stopping=2)
    values = [row["val_auc"] for row in result.history]
    best = values.index(max(values)) + 1
    assert json.loads((result.run_dir / "metrics.json").read_text())["kept_epoch"] == best
    if result.epochs < 8:
        assert "Stopped early: no higher val_auc in 2 epochs." in heard.lines
        assert result.epochs == best + 2


PLUGIN = """
    import keras

    class Counter(keras.callbacks.Callback):
        def __init__(self, start: int = 0):
            super().__init__()
            self.epochs = start

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1
            with open(self.params["run_dir"] + "/counted.txt", "a") as file:
                print(self.epochs, file=file)

        def get_state(self):
            return {"epochs": self.epochs}

        def set_state(self, state):
            self.epochs = state["epochs"]

    def no_callback():
        return 1
"""


def test_a_callback_of_another_package_on_the_command_line(install_plugin, picture_folder, tmp_path, kaz):
    entry_points = {"callbacks": "counter = their_callbacks:Counter\nno_callback = their_callbacks:no_callback"}
    install_plugin("their-callbacks", entry_points, PLUGIN)
    code, out, _ = kaz("list", "callbacks")
    assert code == 0
    assert "counter" in out
    assert "reduce_lr_on_plateau" in out
    common = [CNN, "--data", str(picture_folder), "--batch-size", "4", "--epochs", "3"]
    callbacks = ["--callback", "counter(start=7)", "--callback", "early_stopping(patience=100)"]
    code, out, err = kaz("plan", *common, *callbacks)
    assert code == 0, err
    folder = tmp_path / "run"
    code, _, err = kaz("run", *common, *callbacks, "--output", str(folder), "--no-tracking")
    assert code == 0, err
    assert (folder / "counted.txt").read_text().split() == ["8", "9", "10"]
    assert json.loads((folder / "run.json").read_text())["callbacks"] == [callbacks[1], callbacks[3]]
    code, _, err = kaz("run", *common, "--callback", "reduce_on_plateau", "--output", str(tmp_path / "other"))
    assert code == 2
    assert "There is no callback called 'reduce_on_plateau'. Did you mean 'reduce_lr_on_plateau'?" in err
    code, _, err = kaz("run", *common, "--callback", "counter(stop=1)", "--output", str(tmp_path / "other"))
    assert code == 2
    assert "has no option 'stop'" in err
    code, _, err = kaz("run", *common, "--callback", "no_callback", "--output", str(tmp_path / "other"))
    assert code == 1
    assert "is a int" in err
    assert not (tmp_path / "other").exists()


def test_history_of_keras_is_filled(picture_folder, tmp_path):
    callback = keras.callbacks.History()
    result = run(CNN, tmp_path / "run", data=str(picture_folder), callbacks=[callback])
    assert callback.history["val_loss"] == [row["val_loss"] for row in history(result)]
    assert callback.epoch == [0, 1, 2]


ON_JAX = """
import sys
import keras
import numpy as np
from fixtures.callbacks import Heard, assert_same, run, rates
from keras_azure.errors import RunInterrupted

class Looks(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_begin(self, batch, logs=None):
        self.seen.append(int(self.model.optimizer.iterations))

    def on_train_batch_end(self, batch, logs=None):
        self.model.layers[-1].bias.assign_add(np.arange(10) / 100)
        assert self.seen[-1] + 1 == int(self.model.optimizer.iterations)

    def get_state(self):
        return {"seen": np.array(self.seen)}

    def set_state(self, state):
        self.seen = state["seen"].tolist()

from pathlib import Path
folder = Path(sys.argv[1])
settings = {"data": "digits", "batch_size": 256, "engine": "jax", "learning_rate": 2**-7}
plateau = "reduce_lr_on_plateau(factor=0.5, patience=1, min_delta=1000)"
looks = Looks()
whole = run("cnn(filters=(2,))", folder / "whole", callbacks=[looks, plateau], **settings)
steps = looks.params["steps"]
assert looks.seen == [*range(3 * steps)], looks.seen
assert rates(whole) == [2**-7, 2**-7, 2**-8], rates(whole)
plain = run("cnn(filters=(2,))", folder / "plain", callbacks=[plateau], **settings)
assert plain.history[0]["loss"] != whole.history[0]["loss"]
try:
    run("cnn(filters=(2,))", folder / "run", Heard(1, 2), callbacks=[Looks(), plateau], **settings)
except RunInterrupted:
    looks = Looks()
    resumed = run("cnn(filters=(2,))", folder / "run", callbacks=[looks, plateau], **settings)
assert_same(resumed, whole)
assert looks.seen == [*range(3 * steps)], looks.seen
print("the same")
"""


@pytest.mark.slow
def test_callbacks_on_jax_see_and_change_the_variables_of_the_moment(tmp_path):
    command = [sys.executable, "-c", ON_JAX, str(tmp_path)]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "KERAS_BACKEND": "jax"}
    import os

    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, timeout=300)
    assert done.stdout == "the same\n", done.stderr
