"""Callbacks in runs that are stopped and resumed: to the bit what they are in one that was not."""

import signal

import keras
import numpy as np
import pytest
from fixtures.callbacks import Heard, assert_same, rates, run

import keras_azure
from keras_azure.errors import BrokenPlugin, RunInterrupted, SpecError, UsageError
from keras_azure.training.checkpoints import Checkpoints

CNN = "cnn(filters=(2,), dropout=0.3)"
PLATEAU = "reduce_lr_on_plateau(factor=0.5, patience=2, min_delta=1000)"
AVERAGED = {"optimizer": "adam(use_ema=True, ema_momentum=0.5)"}
NAMED = {
    "plateau": {"callbacks": [PLATEAU], "learning_rate": 1.0},
    "early stopping": {"callbacks": ["early_stopping(patience=3, min_delta=1000, restore_best_weights=True)"]},
    "best model": {"callbacks": ["model_checkpoint(filepath='best/one.keras', save_best_only=True)"]},
    "csv": {"callbacks": ["csv_logger(filename='epochs.csv')"]},
    "averages": {"callbacks": ["swap_ema_weights"], **AVERAGED},
    "averages by epoch": {"callbacks": ["swap_ema_weights(swap_on_epoch=True)"], **AVERAGED},
    "nan": {"callbacks": ["terminate_on_nan"]},
    "board": {"callbacks": ["tensorboard(update_freq=1)"]},
}
STOPS = {"after an epoch": (1, None), "within an epoch": (2, 1), "after the last epoch": (4, None)}


@pytest.mark.parametrize("name", NAMED)
def test_a_stopped_and_resumed_run_is_the_same_to_the_bit(shared_pictures, tmp_path, name):
    settings = {"data": str(shared_pictures), "epochs": 5, **NAMED[name]}
    whole = run(CNN, tmp_path / "whole", **settings)
    if name == "plateau":
        assert rates(whole) == [1.0, 1.0, 1.0, 0.5, 0.5]
    if name == "early stopping":
        assert whole.epochs == 4
    for number, (when, stop) in enumerate(STOPS.items()):
        stop = (3, None) if name == "early stopping" and stop[0] == 4 else stop
        folder = tmp_path / f"run{number}"
        with pytest.raises(RunInterrupted):
            run(CNN, folder, Heard(*stop), **settings)
        heard = Heard()
        resumed = keras_azure.resume(folder, observer=heard)
        assert_same(resumed, whole)
        assert not any("begins anew" in line for line in heard.lines), when
        if name == "csv":
            assert (folder / "epochs.csv").read_bytes() == (whole.run_dir / "epochs.csv").read_bytes(), when
        if name == "best model":
            models = [keras.saving.load_model(each / "best" / "one.keras") for each in (folder, whole.run_dir)]
            for ours, theirs in zip(*(model.get_weights() for model in models), strict=True):
                assert np.array_equal(ours, theirs), when


class Counts(keras.callbacks.Callback):
    """Has numbers and arrays, which change in each of its methods, and sets weights by them."""

    def __init__(self):
        super().__init__()
        self.calls, self.sums = {"epochs": [], "batches": 0, "tests": 0}, np.zeros((2, 3), np.float32)

    def on_train_begin(self, logs=None):
        self.model.optimizer.learning_rate = 0.25

    def on_epoch_begin(self, epoch, logs=None):
        self.calls["epochs"].append(epoch)
        self.model.optimizer.learning_rate = float(np.array(self.model.optimizer.learning_rate)) / 2

    def on_train_batch_end(self, batch, logs=None):
        self.calls["batches"] += 1
        self.sums += logs["loss"]

    def on_test_end(self, logs=None):
        self.calls["tests"] += 1
        weights = self.model.get_weights()
        weights[-1] = weights[-1] + self.sums[0, 0] / 1000
        self.model.set_weights(weights)

    def get_state(self):
        return {"calls": self.calls, "sums": [self.sums]}

    def set_state(self, state):
        self.calls, (self.sums,) = state["calls"], state["sums"]


@pytest.mark.parametrize("stop", [(0, 0), (1, None), (1, 2), (2, None)])
def test_a_callback_with_a_state_of_its_own_is_resumed_with_it(shared_pictures, tmp_path, stop):
    settings = {"data": str(shared_pictures), "learning_rate": 1.0}
    whole, first, second = Counts(), Counts(), Counts()
    one = run(CNN, tmp_path / "whole", callbacks=[whole, PLATEAU], **settings)
    with pytest.raises(RunInterrupted):
        run(CNN, tmp_path / "run", Heard(*stop), callbacks=[first, PLATEAU], **settings)
    heard = Heard()
    resumed = run(CNN, tmp_path / "run", heard, callbacks=[second, PLATEAU], **settings)
    assert_same(resumed, one)
    assert rates(one) == [0.125, 0.0625, 0.03125]
    assert second.calls == whole.calls == {"epochs": [0, 1, 2], "batches": whole.calls["batches"], "tests": 3}
    assert np.array_equal(second.sums, whole.sums)
    assert not any("begins anew" in line for line in heard.lines)


def test_a_stop_in_a_validation_that_callbacks_hear_of_waits_for_its_end(shared_pictures, tmp_path):
    class Interrupts(Counts):
        stops = True

        def on_test_begin(self, logs=None):
            if self.stops and self.calls["tests"] == 1:
                signal.raise_signal(signal.SIGINT)

    settings = {"data": str(shared_pictures), "learning_rate": 1.0}
    whole, first, second = Interrupts(), Interrupts(), Interrupts()
    whole.stops = second.stops = False
    one = run(CNN, tmp_path / "whole", callbacks=[whole], **settings)
    with pytest.raises(RunInterrupted, match="2 of its 3 epochs are finished"):
        run(CNN, tmp_path / "run", callbacks=[first], **settings)
    assert_same(run(CNN, tmp_path / "run", callbacks=[second], **settings), one)
    assert second.calls == whole.calls


def test_a_run_that_a_callback_has_stopped_is_not_trained_further(shared_pictures, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    settings = {"data": str(shared_pictures)}
    whole = run(CNN, tmp_path / "whole", callbacks=[Stop()], **settings)
    with pytest.raises(RunInterrupted):
        run(CNN, tmp_path / "run", Heard(1), callbacks=[Stop()], **settings)
    resumed = run(CNN, tmp_path / "run", callbacks=[Stop()], **settings)
    assert resumed.epochs == 2
    assert_same(resumed, whole)


def test_a_run_is_resumed_with_the_callbacks_that_it_was_begun_with(shared_pictures, tmp_path):
    settings, folder = {"data": str(shared_pictures)}, tmp_path / "run"
    with pytest.raises(RunInterrupted):
        run(CNN, folder, Heard(0), callbacks=[Counts()], **settings)
    with pytest.raises((UsageError, SpecError), match=r"(?s)object.*again from Python|callbacks"):
        keras_azure.resume(folder, observer=Heard())
    with pytest.raises(UsageError, match="callbacks"):
        run(CNN, folder, callbacks=["terminate_on_nan"], **settings)
    with pytest.raises(UsageError, match="callbacks"):
        run(CNN, folder, **settings)
    assert run(CNN, folder, callbacks=[Counts()], **settings).epochs == 3


def test_a_state_that_no_checkpoint_can_keep_is_an_error_with_the_name(shared_pictures, tmp_path):
    class Odd(keras.callbacks.Callback):
        def get_state(self):
            return {"function": print}

        def set_state(self, state):
            pass

    with pytest.raises(BrokenPlugin, match="callback Odd cannot be kept in a checkpoint: it has a builtin"):
        run(CNN, tmp_path / "run", data=str(shared_pictures), callbacks=[Odd()])


def test_arrays_of_callbacks_are_kept_beside_the_variables(shared_pictures, tmp_path):
    result = run(CNN, tmp_path / "run", data=str(shared_pictures), callbacks=[Counts()])
    checkpoint = Checkpoints(result.run_dir).load("epoch-0003.npz")
    state = checkpoint.state.callbacks["Counts"]
    assert state["calls"]["epochs"] == [0, 1, 2]
    assert state["sums"][0].dtype == np.float32
    assert state["sums"][0].shape == (2, 3)


@pytest.mark.parametrize("stop", [None, (1, None), (3, 1)])
def test_callbacks_in_the_stages_of_fine_tuning(shared_pictures, tmp_path, install_plugin, stop):
    """The stages' optimizers are new, the callbacks' counters are not; features are computed once in the first one."""
    code = """
        import keras
        from keras import layers
        import keras_azure

        def staged(input_shape, num_classes):
            backbone = keras.Sequential([
                layers.Input(input_shape), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Conv2D(4, 3),
                layers.GlobalAveragePooling2D(),
            ], name="backbone")
            return keras_azure.transfer_model(backbone, input_shape, num_classes)
    """
    install_plugin("staged", {"models": "staged = staged:staged"}, code)
    settings = {
        "data": str(shared_pictures),
        "epochs": 2,
        "fine_tune": "blocks=1,epochs=2",
        "learning_rate": 0.5,
        "schedule": "constant",
        "callbacks": ["reduce_lr_on_plateau(factor=0.5, patience=1, min_delta=1000)", "csv_logger(filename='e.csv')"],
    }
    whole = run("staged", tmp_path / "whole", **settings)
    assert rates(whole) == pytest.approx([0.5, 0.5, 0.05, 0.025])
    assert len((whole.run_dir / "e.csv").read_text().splitlines()) == 5
    if stop is not None:
        with pytest.raises(RunInterrupted):
            run("staged", tmp_path / "run", Heard(*stop), **settings)
        assert_same(keras_azure.resume(tmp_path / "run", observer=Heard()), whole)
        assert (tmp_path / "run" / "e.csv").read_bytes() == (whole.run_dir / "e.csv").read_bytes()
