"""Keras's callbacks as one listener of a run's events.

A callback sees the run's model, compiled with the optimizer in use: in fine-tuning each stage has a fresh one, with a
learning rate of its own. Epochs count over all stages, and training begins and ends once. `self.params` has what
Keras's `fit` gives ("epochs", "steps", "verbose") and "run_dir", the run folder.

When a run is resumed, `on_train_begin` is called again, and within an epoch `on_epoch_begin`; then the callbacks, the
model and the optimizer are given what they had at the checkpoint.
"""

import contextlib
import copy
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.callbacks import Callback

from keras_azure.description.events import Listener, PhaseFacts, RunFacts
from keras_azure.engines import StepResult
from keras_azure.errors import BrokenPlugin, KerasAzureError, RunFailed, UsageError
from keras_azure.training.checkpoints import ARRAY_TYPES

_NOT_LOGS = ("epoch", "stage", "stage_learning_rate", "images_per_second", "seconds")  # of the history's columns
_TRAIN_BATCHES = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
_TEST_BATCHES = ("on_test_batch_begin", "on_test_batch_end")
_BATCHES = (*_TRAIN_BATCHES, *_TEST_BATCHES)
_TESTS = ("on_test_begin", "on_test_end", *_TEST_BATCHES)
# Of Keras's own callbacks: what a checkpoint keeps of them.
_STATES: dict[type[Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: ("best", "wait", "stopped_epoch", "best_epoch", "best_weights"),
    keras.callbacks.ModelCheckpoint: ("best", "_batches_seen_since_last_saving", "_last_batch_seen"),
    keras.callbacks.ReduceLROnPlateau: ("best", "wait", "cooldown_counter"),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.TensorBoard: ("_global_train_batch", "_global_test_batch"),
    keras.callbacks.History: ("epoch", "history"),
}
# Of those of them that have methods for batches but need them only with some options: whether they do.
_LOOKS_AT_BATCHES: dict[type[Callback], Callable[[Any], bool]] = {
    keras.callbacks.ModelCheckpoint: lambda callback: callback.save_freq != "epoch",
    keras.callbacks.TensorBoard: lambda callback: callback.update_freq != "epoch" or callback._should_trace,
}


class Callbacks(Listener):
    """Calls a run's callbacks, in their order.

    Args:
        callbacks: by the names that lines and errors call them by.
        run_dir: the run folder.
        tell: shows a line to the user.
        interrupt: asks the run to stop, as Ctrl-C does; gives whether it was asked before.
        earlier: what a checkpoint has of them, of a run that is resumed.
        ended: whether one of them has ended training before.

    Raises:
        UsageError: a run that is resumed has other callbacks.
    """

    def __init__(
        self,
        callbacks: Mapping[str, Callback],
        run_dir: Path,
        tell: Callable[[str], None],
        interrupt: Callable[[], bool],
        earlier: Mapping[str, Any] | None = None,
        ended: bool = False,
    ):
        if earlier is not None and [*earlier] != [*callbacks]:
            before, now = (", ".join(names) or "none" for names in (earlier, callbacks))
            raise UsageError(
                f"The run in {run_dir} was begun with other callbacks: {before} then, {now} now.",
                expected="the same ones, in the same order",
            )
        self.stop_training = ended
        self._callbacks = callbacks
        self._run_dir = run_dir
        self._tell = tell
        self._interrupt = interrupt
        self._earlier = earlier
        self._at_train_batches = {name for name, each in callbacks.items() if _looks_at(each, _TRAIN_BATCHES)}
        self._at_test_batches = {name for name, each in callbacks.items() if _looks_at(each, _TEST_BATCHES)}
        self._at_tests = {name for name, each in callbacks.items() if _looks_at(each, _TESTS)}
        self._model: keras.Model | None = None
        self._facts: RunFacts  # when training has started
        self._logs: dict[str, float] = {}
        self._testing = False
        self._epoch = self._step = 0

    @property
    def every_step(self) -> bool:  # type: ignore[override]  # of training or of validation, whichever is going on
        return bool(self._at_test_batches if self._testing else self._at_train_batches)

    @property
    def whole_validations(self) -> bool:  # type: ignore[override]  # who has heard of its begin is to hear of its end
        return bool(self._at_tests)

    def training_started(self, facts: RunFacts) -> None:
        self._facts = facts
        self._epoch = facts.first_epoch

    def phase_started(self, phase: PhaseFacts, model: keras.Model) -> None:
        if self._model is None:
            self.begin(model)

    def epoch_started(self, epoch: int) -> None:
        self._epoch, self._step = epoch, 0
        if self._earlier is not None and self._facts.first_step:
            self._step = self._facts.first_step
            with _unchanged(self._model):
                self._call("on_epoch_begin", epoch, {})
            self._set_states(self._earlier)
        else:
            self._call("on_epoch_begin", epoch, {})
        self._earlier = None

    def steps_started(self, step: int) -> None:
        if self._at_train_batches:
            self._call("on_train_batch_begin", step, logs={}, among=self._at_train_batches)

    def steps_done(self, step: int, result: StepResult, compiled: bool) -> None:
        self._step = step + 1
        if self._at_train_batches:
            self._call("on_train_batch_end", step, logs=_numbers(result.logs), among=self._at_train_batches)

    def validation_started(self, epoch: int) -> None:
        self._testing = True
        self._call("on_test_begin", {})

    def validation_steps_started(self, step: int) -> None:
        if self._at_test_batches:
            self._call("on_test_batch_begin", step, logs={}, among=self._at_test_batches)

    def validation_steps_done(self, step: int, result: StepResult) -> None:
        if self._at_test_batches:
            self._call("on_test_batch_end", step, logs=_numbers(result.logs), among=self._at_test_batches)

    def validation_done(self, epoch: int, scores: Mapping[str, float]) -> None:
        self._call("on_test_end", dict(scores))
        self._testing = False

    def epoch_done(self, epoch: int, row: Mapping[str, Any]) -> None:
        self._step = self._facts.steps_per_epoch
        self._logs = {name: value for name, value in row.items() if name not in _NOT_LOGS}
        self._call("on_epoch_end", epoch, dict(self._logs))

    def training_done(self) -> None:
        self._call("on_train_end", dict(self._logs))

    def steps_until_due(self) -> int:
        # What was stopped before an epoch's first step ends with it, as in Keras, and not whenever a call does.
        return 1 if self.stop_training else sys.maxsize

    def get_state(self) -> dict[str, Any]:
        """
        Raises:
            BrokenPlugin: a callback gives what no checkpoint can keep.
        """
        states = {name: self._state_of(name, callback) for name, callback in self._callbacks.items()}
        return {"callbacks": states}

    def begin(self, model: keras.Model) -> None:
        """Training begins, or, in a run that is resumed, is over already."""
        self._model = model
        model.stop_training = self.stop_training
        facts = self._facts
        params = {"verbose": 0, "epochs": facts.epochs, "steps": facts.steps_per_epoch, "run_dir": str(self._run_dir)}
        self._call("set_params", params)
        self._call("set_model", model)
        if self._earlier is None:
            self._call("on_train_begin", {})
            return
        with _unchanged(model):
            self._call("on_train_begin", {})
        self._set_states(self._earlier)
        anew = [name for name, callback in self._callbacks.items() if not _keeps_state(callback)]
        if anew:
            self._tell(f"Without get_state and set_state the state of these callbacks begins anew: {', '.join(anew)}.")

    def _call(self, hook: str, *arguments: object, among: Collection[str] | None = None, **keywords: object) -> None:
        """Calls a method of all callbacks, or of those `among` them, with the same arguments, as Keras does.

        Raises:
            RunFailed: one fails.
        """
        for name, callback in self._callbacks.items():
            if among is not None and name not in among:
                continue
            with self._failures(name, hook):
                getattr(callback, hook)(*arguments, **keywords)
            if self._model is not None and self._model.stop_training and not self.stop_training:
                self.stop_training = True
                within = hook != "on_epoch_end" and self._step < self._facts.steps_per_epoch
                where = f"in epoch {self._epoch + 1}, after {self._step} steps" if within else ""
                self._tell(f"Stopped by the callback {name} {where or f'after epoch {self._epoch + 1}'}.")

    @contextlib.contextmanager
    def _failures(self, name: str, hook: str) -> Iterator[None]:
        try:
            yield
        except KerasAzureError:
            raise
        except KeyboardInterrupt:
            if self._interrupt():
                raise
        except (Exception, SystemExit) as error:
            raise RunFailed(f"The callback {name} failed in {hook}: {type(error).__name__}: {error}") from error

    def _state_of(self, name: str, callback: Callback) -> object:
        state: object = None
        if _has_state(callback):
            with self._failures(name, "get_state"):
                state = callback.get_state()
        elif attributes := _attributes(callback):
            state = {
                attribute: getattr(callback, attribute) for attribute in attributes if hasattr(callback, attribute)
            }
        try:
            return storable(state)
        except ValueError as error:
            raise BrokenPlugin(
                f"The state of the callback {name} cannot be kept in a checkpoint: it has {error}.",
                expected="numbers, texts, None, arrays, and lists and dictionaries of them",
            ) from None

    def _set_states(self, states: Mapping[str, Any]) -> None:
        for name, callback in self._callbacks.items():
            state = copy.deepcopy(states[name])  # which a callback may go on to change
            if state is None:
                continue
            if _has_state(callback):
                with self._failures(name, "set_state"):
                    callback.set_state(state)
            elif isinstance(state, dict):
                for attribute in _attributes(callback):
                    if attribute in state:
                        setattr(callback, attribute, state[attribute])


@contextlib.contextmanager
def _unchanged(model: keras.Model) -> Iterator[None]:
    """Gives the variables of a model and its optimizer what they had before."""
    before = [(variable, np.array(variable)) for variable in [*model.variables, *model.optimizer.variables]]
    yield
    for variable, value in before:
        variable.assign(value)


def _looks_at(callback: Callback, hooks: Collection[str]) -> bool:
    """Whether a callback has one of these methods of its own, or says whether it looks at batches."""
    says = getattr(callback, "looks_at_batches", None)
    if says is not None and set(hooks) <= {*_BATCHES}:
        return bool(says)
    return any(_has(callback, hook) for hook in hooks)


def _has(callback: Callback, hook: str) -> bool:
    # LambdaCallback has functions of the instance, which are no methods.
    function = getattr(getattr(callback, hook), "__func__", None)
    if function is getattr(Callback, hook):
        return False
    for kind, looks in _LOOKS_AT_BATCHES.items():
        if hook in _BATCHES and function is getattr(kind, hook):
            return looks(callback)
    return True


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """As in the history: a metric with a value for each class is their mean."""
    return {name: float(np.mean(value)) for name, value in logs.items()}


def _has_state(callback: Callback) -> bool:
    return hasattr(callback, "get_state") and hasattr(callback, "set_state")


def _keeps_state(callback: Callback) -> bool:
    return _has_state(callback) or is_of_keras(callback)


def is_of_keras(callback: Callback) -> bool:
    """Whether it is one that Keras brings, and no subclass of one."""
    return type(callback).__module__.startswith("keras.")


def _attributes(callback: Callback) -> tuple[str, ...]:
    return next((names for kind, names in _STATES.items() if isinstance(callback, kind)), ())


def storable(value: object) -> object:
    """A copy of a state as a checkpoint keeps it.

    Raises:
        ValueError: it has something else.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, Mapping) and all(type(name) is str for name in value):
        return {name: storable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [storable(each) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "__array__") and (array := np.array(value, order="C")).dtype.name in ARRAY_TYPES:
        return array
    raise ValueError(f"a {type(value).__name__}")
