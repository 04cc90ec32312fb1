"""Steps in one call are Keras's own steps, however many there are in a call."""

import itertools
import subprocess
import threading
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from fixtures.clock import Clock
from keras import layers

from keras_azure.engines import steps_of

PICTURES = np.random.default_rng(0).integers(0, 256, (44, 6, 6, 1), np.uint8)
LABELS = np.eye(3, dtype=np.float32)[np.arange(44) % 3]
WEIGHTS = np.linspace(0.1, 2, 44, dtype=np.float32)
BATCH = 8  # five full batches, and one of four


def network(base: type[keras.Model] = keras.Model) -> keras.Model:
    keras.utils.set_random_seed(0)
    pixels = layers.Input((6, 6, 1))
    hidden = layers.Conv2D(4, 3, activation="relu", name="convolution")(layers.Rescaling(1 / 255)(pixels))
    hidden = layers.Dropout(0.3)(layers.BatchNormalization()(layers.Flatten()(hidden)))
    return base(pixels, layers.Dense(3, "softmax", dtype="float32", name="probabilities")(hidden))


def compiled(optimizer: str | keras.Optimizer = "adam", base: type[keras.Model] = keras.Model) -> keras.Model:
    model = network(base)
    metrics = [keras.metrics.CategoricalAccuracy(name="accuracy"), keras.metrics.F1Score()]
    model.compile(optimizer, "categorical_crossentropy", metrics=metrics, weighted_metrics=["mean_squared_error"])
    return model


def stream(epochs: int = 3, weighted: bool = True) -> tf.data.Dataset:
    arrays = (PICTURES, LABELS, WEIGHTS) if weighted else (PICTURES, LABELS)
    return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH).repeat(epochs)


def run(model: keras.Model, counts: list[int], **options) -> tuple[dict, list[np.ndarray]]:
    """What calls of so many steps give in the end, and what all variables hold then."""
    steps, batches, losses = steps_of(model), iter(stream(**options)), []
    for count in counts:
        done = steps.run(batches, count)
        assert done.steps == count
        losses += [float(loss) for loss in done.losses]
    steps.synchronize()
    assert steps.traces == 1
    assert len(losses) == sum(counts)
    logs = {name: np.asarray(value) for name, value in done.logs.items()}
    assert losses[-1] == logs["loss"]
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return logs, [np.asarray(variable.value) for variable in variables]


@pytest.mark.parametrize("counts", [[18], [1] * 18, [5, 7, 1, 5]])
def test_the_number_of_steps_in_a_call_changes_nothing(counts):
    logs, variables = run(compiled(), counts)
    expected_logs, expected = run(compiled(), [2, 16])
    assert logs.keys() == {"loss", "accuracy", "f1_score", "mean_squared_error"}
    for name, value in logs.items():
        np.testing.assert_array_equal(value, expected_logs[name])
    for one, other in zip(variables, expected, strict=True):
        np.testing.assert_array_equal(one, other)


class Halving(keras.Model):
    """A model with a training step and a loss of its own."""

    def train_step(self, data):
        pictures, labels, _ = data
        return super().train_step((pictures / 2, labels))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 2 * super().compute_loss(x, y, y_pred, sample_weight, training)


class Slower(keras.optimizers.Adam):
    """Adam with an update of its own."""

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate / 2)


OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "clipped": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.1),
    "averaged": lambda: keras.optimizers.Adam(0.01, use_ema=True),
    "accumulating": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), dynamic_growth_steps=4),
    "cosine": lambda: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.01, 20)),
    "subclass": lambda: Slower(0.01),
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
}


@pytest.mark.parametrize(("optimizer", "base"), [*((name, keras.Model) for name in OPTIMIZERS), ("adam", Halving)])
def test_the_result_is_that_of_fit_within_rounding(optimizer, base):
    model, expected = (compiled(OPTIMIZERS[optimizer](), base) for _ in range(2))
    before = [np.asarray(variable.value) for variable in model.trainable_variables]
    logs, _ = run(model, [7, 11])
    history = expected.fit(stream(), steps_per_epoch=18, shuffle=False, verbose=0).history
    assert logs.keys() == history.keys()
    for name, value in logs.items():
        np.testing.assert_allclose(value, history[name][0], rtol=1e-4)
    assert int(model.optimizer.iterations) == int(expected.optimizer.iterations)
    if optimizer == "averaged":  # what `fit` does at its end
        model.optimizer.finalize_variable_values(model.trainable_weights)
    # Beside the way that the weights have gone: Adam makes whole steps of gradients that are next to nothing.
    for old, mine, theirs in zip(before, model.trainable_variables, expected.trainable_variables, strict=True):
        way = np.linalg.norm(np.asarray(theirs.value) - old)
        assert way > 0
        assert np.linalg.norm(np.asarray(mine.value) - np.asarray(theirs.value)) < 0.03 * way, mine.path


def test_tests_are_those_of_evaluate():
    model = compiled()
    expected = model.evaluate(stream(1), return_dict=True, verbose=0)
    before = [np.asarray(variable.value) for variable in model.variables]
    steps, batches = steps_of(model, "test"), iter(stream())
    for _ in range(2):  # a second round, after the metrics begin anew, is the same
        model.reset_metrics()
        steps.run(batches, 2)
        done = steps.run(batches, 4)
        for name, value in done.logs.items():
            np.testing.assert_allclose(np.asarray(value), expected[name], rtol=1e-5)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(np.asarray(variable.value), value)


def test_a_call_ends_when_its_time_is_over_and_the_stream_goes_on_from_there():
    steps, batches = steps_of(compiled()), iter(stream())
    assert steps.run(batches, 18, longest=0.0).steps == 1  # never none
    assert steps.run(batches, 17).steps == 17
    with pytest.raises(StopIteration):
        steps.run(batches, 1)


class Watched(Clock):
    """A clock that tells how often steps have looked at it: when the first one begins and when its batch is there, then
    in each step whether there is time for one more, when it is over and when the next batch is there."""

    def __init__(self) -> None:
        super().__init__()
        self._looks, self._looked = 0, threading.Condition()

    def perf_counter(self) -> float:
        with self._looked:
            self._looks += 1
            self._looked.notify_all()
        return super().perf_counter()

    def wait_until_over(self, steps: int) -> None:
        with self._looked:
            assert self._looked.wait_for(lambda: self._looks >= 2 + 3 * steps - 1, timeout=300)


def test_waiting_for_a_batch_is_counted_as_such(monkeypatch):
    """A batch is fetched while the step before it is computed, and waited for from that step's end on."""
    clock, fetched = Watched(), itertools.count()
    monkeypatch.setattr("tensorflow.timestamp", clock.timestamp)

    def fetch():
        number = next(fetched)
        clock.wait_until_over(number)
        clock.sleep(number)

    def slowly(*batch):
        with tf.control_dependencies([tf.py_function(fetch, [], [])]):
            return tf.nest.map_structure(tf.identity, batch)

    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False  # nothing is fetched before it is asked for
    steps = steps_of(compiled())
    waiting = steps.run(iter(stream().map(slowly).with_options(options)), 6)
    assert waiting.waited == 0 + 1 + 2 + 3 + 4 + 5
    assert waiting.seconds.tolist() == [0, 1, 2, 3, 4, 5]
    at_once = steps.repeat(next(iter(stream())), 6)
    assert at_once.waited == at_once.seconds.sum() == 0


def test_waiting_for_a_batch_of_any_iterator_is_counted_to_the_second(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("keras_azure.engines.tensorflow.time", clock)

    def slowly(batches):
        for seconds, batch in enumerate(batches):
            clock.sleep(seconds)
            yield batch

    steps, batches = steps_of(compiled()), slowly(stream())
    done = steps.run(batches, 4)
    assert done.waited == 0 + 1 + 2 + 3
    assert done.seconds.tolist() == [0, 1, 2, 3]
    assert steps.run(batches, 6, longest=5).steps == 2  # of 4 and 5 seconds


def test_any_iterator_of_batches_will_do():
    expected, _ = run(compiled(), [6], epochs=1)
    steps, batches = steps_of(compiled()), iter(list(stream(1)))
    assert [steps.run(batches, 1).steps for _ in range(6)] == [1] * 6
    model = compiled()
    done = steps_of(model).run(iter(list(stream(1))), 6)
    assert done.steps == 6
    np.testing.assert_array_equal(done.logs["loss"], expected["loss"])


def test_mixed_precision_scales_the_loss():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled()
    finally:
        keras.config.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    run(model, [4, 4])
    left_out = 8 - int(model.optimizer.iterations)  # steps whose gradients were too large for half precision
    assert left_out < 8
    assert float(model.optimizer.dynamic_scale) == model.optimizer.initial_scale / 2**left_out


def test_the_optimizer_is_as_before_when_a_step_is_traced():
    model = compiled()
    run(model, [3])
    assert model.optimizer.update_step.__func__ is keras.optimizers.Adam.update_step
    assert model.optimizer.apply.__func__ is type(model.optimizer).apply


ON_JAX = """
import sys
import keras
sys.path[:0] = sys.argv[1:]
import test_steps as ours
import numpy as np
from keras_azure.engines import steps_of

def run(counts, at_once=1):
    model = ours.compiled()
    steps, batches = steps_of(model), iter(ours.stream().as_numpy_iterator())
    steps._stack_steps = at_once  # as on a GPU
    losses = [float(loss) for count in counts for loss in steps.run(batches, count).losses]
    steps.synchronize()
    assert len(losses) == 18
    assert steps.traces == 2 + (at_once > 1), steps.traces  # one for the short batch, and one for stacks
    return losses, [np.asarray(each.value) for each in [*model.variables, *model.optimizer.variables]]

losses, variables = run([18])
again, same = run([1, 4, 13])
assert losses == again
stacked, _ = run([18], 3)
np.testing.assert_allclose(stacked, losses, rtol=1e-5)
repeated = steps_of(ours.compiled())
one = tuple(np.asarray(part) for part in next(iter(ours.stream())))
singly = [float(repeated.repeat(one, 1).losses[0]) for _ in range(7)]
repeated = steps_of(ours.compiled())
repeated._stack_steps = 3
np.testing.assert_allclose(repeated.repeat(one, 7).losses, singly, rtol=1e-5)
assert all((one == other).all() for one, other in zip(variables, same, strict=True))
fitted = ours.compiled()
history = fitted.fit(ours.stream(), steps_per_epoch=18, shuffle=False, verbose=0).history
np.testing.assert_allclose(losses[-1], history["loss"][0], rtol=1e-6)
print("the same")
"""


@pytest.mark.slow
def test_on_jax_too(loaded_python_on_jax):
    folder = Path(__file__).parent
    command = [*loaded_python_on_jax, "-c", ON_JAX, str(folder), str(folder.parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.stdout == "the same\n", done.stderr
