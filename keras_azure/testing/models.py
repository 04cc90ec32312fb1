"""The contract of models."""

import contextlib
import inspect
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from keras_azure.data import TASKS, TaskName
from keras_azure.data.label_forms import LabelForm
from keras_azure.models.classic import FeatureClassifier
from keras_azure.models.fitting import fit
from keras_azure.models.kinds import CLASSIFIER, Model, kind_of
from keras_azure.registry.options import coerce_options, option_parameters
from keras_azure.registry.registry import MODELS, as_spec
from keras_azure.registry.specs import Literal, Spec
from keras_azure.testing.findings import (
    SUM_TOLERANCE,
    Findings,
    by,
    name_of,
    numbers,
    some_pixels,
    with_article,
)
from keras_azure.training.tasks import task_of

OTHER_SHAPE = (32, 32, 3)  # every model is also built for it, and for so many classes
OTHER_CLASSES = 5
_KERAS_SETTINGS = {
    "dtype policy": (keras.config.dtype_policy, keras.config.set_dtype_policy),
    "floatx": (keras.config.floatx, keras.config.set_floatx),
    "epsilon": (keras.config.epsilon, keras.config.set_epsilon),
    "image data format": (keras.config.image_data_format, keras.config.set_image_data_format),
}
_TELLING = ("black", "white", "random", "random")  # pictures
_SAME = 1e-5  # predictions before saving and after loading
_SAVEABLE = "layers of Keras or with @keras.saving.register_keras_serializable(), and no Lambda"


def check_model(
    plugin: Callable[..., Model] | str | Spec,
    *,
    input_shape: tuple[int, int, int] = (28, 28, 1),
    num_classes: int = 10,
    **options: Literal,
) -> None:
    """Checks `f(input_shape, num_classes, *, options) -> keras.Model`: built, predicting, saved, trained for a step.

    The model gives probabilities or, as an autoencoder, pictures. A FeatureClassifier may be in its place; it is fitted
    to a few pictures.

    Args:
        plugin: the function, or the spec of a registered one.
        input_shape: height, width and channels to build it for; it is built for 32x32x3 and 5 classes as well.
        options: laid over those of a spec.

    Raises:
        ContractError: the model breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.
    """
    if isinstance(plugin, str | Spec):
        spec = as_spec(plugin).with_options(**options)
        function = MODELS.load(spec)
    else:
        spec, function = Spec(name_of(plugin), options), plugin
    findings = Findings(f"The model {spec.name!r}")
    findings.extend(_signature_problems(function))
    findings.settle()
    chosen = coerce_options(spec, function, 2, MODELS.kind)

    def check_built(shape: tuple[int, int, int], classes: int, task: TaskName) -> Model | None:
        called = "" if task == "classify" else f" and the task {task!r}"
        case = f"built for {by(shape)} and {classes} classes{called}"
        with findings.when(case), _keras_unchanged(findings):
            model = function(shape, classes, **chosen, **({"task": task} if takes_task else {}))
            if kind_of(model) is CLASSIFIER:
                findings.extend(_features_problems(model, shape, classes, task, case))
                return model
            if not isinstance(model, keras.Model):
                findings.add(f"{case}, it is {with_article(model)}", "a keras.Model")
                return None
            if model.compiled:
                findings.add(f"{case}, it is compiled", "a model that is not: the run compiles it")
            findings.extend(_output_problems(model, shape, classes, task, case))
            return model
        return None

    def check_used(model: Model, task: TaskName) -> None:
        of = "" if task == "classify" else f" with the task {task!r}"
        if kind_of(model) is CLASSIFIER:
            with findings.when(f"fitted to a few pictures{of}"):
                findings.extend(_fitting_problems(model, input_shape, num_classes, task))
            return
        if task == "classify":  # its layers are the same for all
            with findings.when("saved and loaded again in safe mode", _SAVEABLE):
                findings.extend(_saving_problems(model, input_shape))
        with findings.when(f"trained for a step{of}"):
            findings.extend(_training_problems(model, input_shape, num_classes, task))

    takes_task = "task" in option_parameters(function, 2) and "task" not in chosen
    for task in TASKS if takes_task else TASKS[:1]:
        model = check_built(input_shape, num_classes, task)
        findings.settle()  # a model that cannot predict has nothing to save or to train
        assert model is not None
        check_used(model, task)
    check_built(OTHER_SHAPE, OTHER_CLASSES, "classify")
    findings.settle()


def _signature_problems(function: Callable[..., object]) -> Iterator[tuple[str, str]]:
    expected = "f(input_shape, num_classes, *, option=default, ...)"
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) != 2:
        yield f"it takes {len(positional)} positional arguments, not 2", expected
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            yield f"its signature has {parameter}, which says nothing of the options", expected
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            yield f"its option {parameter.name!r} has no default", expected


def _output_problems(
    model: keras.Model, input_shape: tuple[int, int, int], num_classes: int, task: TaskName, case: str
) -> Iterator[tuple[str, str]]:
    pixels = _telling_pixels(input_shape)
    output = model(pixels, training=False)
    if not hasattr(output, "shape"):
        yield f"{case}, it gives {with_article(output)}", "one array of probabilities"
        return
    found = keras.ops.convert_to_numpy(output)
    if found.shape == pixels.shape:
        yield from _level_problems(found, case)
    else:
        yield from _probability_problems(found, num_classes, task, case)
    if not np.array_equal(found, keras.ops.convert_to_numpy(model(pixels, training=False)), equal_nan=True):
        yield f"{case}, it predicts differently each time", "layers that are random in training only"


def _probability_problems(
    probabilities: np.ndarray, num_classes: int, task: TaskName, case: str
) -> Iterator[tuple[str, str]]:
    """Of the probabilities, or numbers, for `_telling_pixels`."""
    called = "numbers" if task == "regress" else "probabilities"
    if probabilities.shape != (len(_TELLING), num_classes):
        yield f"{case}, it gives {probabilities.shape} for {len(_TELLING)} pictures", f"{(len(_TELLING), num_classes)}"
        return
    if probabilities.dtype != np.float32:
        yield f"{case}, its {called} are {probabilities.dtype}", 'float32: dtype="float32" in the last layer'
    for name, row in zip(_TELLING, probabilities.astype(np.float64), strict=True):
        if not np.isfinite(row).all():
            yield f"{case}, a {name} picture gives {numbers(row)}", "finite numbers"
        elif task == "classify" and (abs(row.sum() - 1) > SUM_TOLERANCE or row.min() < 0):
            yield f"{case}, a {name} picture gives {numbers(row)}", "probabilities: a softmax at the end"
        elif task == "multilabel" and (row.min() < 0 or row.max() > 1):
            yield f"{case}, a {name} picture gives {numbers(row)}", "a probability for each label: a sigmoid at the end"
        else:
            continue
        return  # one picture shows it


def _level_problems(levels: np.ndarray, case: str) -> Iterator[tuple[str, str]]:
    """Of the pictures that an autoencoder gives."""
    if levels.dtype != np.float32:
        yield f"{case}, its pictures are {levels.dtype}", 'float32: dtype="float32" in the last layer'
    if not (np.isfinite(levels).all() and levels.min() >= 0 and levels.max() <= 1):
        yield f"{case}, its pictures have levels {levels.min():.3g} to {levels.max():.3g}", "levels 0..1"


def _features_problems(
    model: FeatureClassifier, input_shape: tuple[int, int, int], num_classes: int, task: TaskName, case: str
) -> Iterator[tuple[str, str]]:
    for estimator in (model.estimator, *model.choices):
        if not all(hasattr(estimator, name) for name in ("fit", "predict", "get_params")):
            kind = "a regressor" if task == "regress" else "a classifier"
            yield f"{case}, its estimator is {with_article(estimator)}", f"{kind} of scikit-learn"
    if model.task != task:
        yield f"{case}, its task is {model.task!r}", f"{task!r}"
    if model.num_classes != num_classes:
        yield f"{case}, its num_classes is {model.num_classes}", f"{num_classes}"
    if not isinstance(model.features, keras.Model):
        yield f"{case}, its features are {with_article(model.features)}", "a keras.Model"
        return
    pixels = _telling_pixels(input_shape)
    vectors = keras.ops.convert_to_numpy(model.features(pixels, training=False))
    if vectors.ndim != 2 or len(vectors) != len(pixels):
        yield f"{case}, its features are {vectors.shape} for {len(pixels)} pictures", "a vector for each"
    elif not np.isfinite(vectors).all():
        yield f"{case}, its features are not all finite", "finite numbers"
    elif not np.array_equal(vectors, keras.ops.convert_to_numpy(model.features(pixels, training=False))):
        yield f"{case}, its features differ each time", "layers that are random in training only"


def _fitting_problems(
    model: FeatureClassifier, input_shape: tuple[int, int, int], num_classes: int, task: TaskName
) -> Iterator[tuple[str, str]]:
    pixels = some_pixels(input_shape, count=3 * num_classes)
    labels = LabelForm(task, num_classes).from_targets(_targets(len(pixels), num_classes))
    fitted = fit(model, model.vectors(pixels), labels, seed=0).classifier
    before = fitted.predict(_telling_pixels(input_shape))
    yield from _probability_problems(before, num_classes, task, "fitted to a few pictures")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.zip"
        fitted.save(path)
        after = FeatureClassifier.load(path).predict(_telling_pixels(input_shape))
    yield from _difference(before, after)


def _saving_problems(model: keras.Model, input_shape: tuple[int, int, int]) -> Iterator[tuple[str, str]]:
    pixels = some_pixels(input_shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    before, after = (keras.ops.convert_to_numpy(each(pixels, training=False)) for each in (model, loaded))
    yield from _difference(before, after)


def _difference(before: np.ndarray, after: np.ndarray) -> Iterator[tuple[str, str]]:
    if not np.allclose(before, after, rtol=0, atol=_SAME):
        difference = float(np.abs(before - after).max())
        yield f"saved and loaded again, its predictions differ by {difference:.1g}", "the same predictions"


def _targets(count: int, num_classes: int) -> np.ndarray:
    """One-hot labels, (count, num_classes) float32, which will do for each task."""
    return np.eye(num_classes, dtype=np.float32)[np.arange(count) % num_classes]


def _training_problems(
    model: keras.Model, input_shape: tuple[int, int, int], num_classes: int, labels: TaskName
) -> Iterator[tuple[str, str]]:
    task = task_of(model, labels)
    pixels, targets = task.batch(some_pixels(input_shape, count=8), _targets(8, num_classes))
    if not model.trainable_weights:
        yield "it has no trainable weight", "a weight that learns"
        return
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    # As a run on a CPU; XLA would take a minute to compile a step of a large network, only to make it once.
    model.compile("adam", task.loss, jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
    loss = model.train_on_batch(pixels, targets, return_dict=True)["loss"]
    if not math.isfinite(loss):
        yield f"trained for a step, its loss is {loss}", "a finite loss"
    after = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    if all(np.array_equal(*pair) for pair in zip(before, after, strict=True)):
        yield "trained for a step, no weight has changed", "a weight that learns"


@contextlib.contextmanager
def _keras_unchanged(findings: Findings) -> Iterator[None]:
    """What the body changes of Keras's global settings is a finding, and is put back."""
    before = {name: read() for name, (read, _) in _KERAS_SETTINGS.items()}
    try:
        yield
    finally:
        for name, (read, write) in _KERAS_SETTINGS.items():
            if read() != before[name]:
                findings.add(f"building it changes Keras's {name} for everyone", "a build that leaves Keras as it is")
                write(before[name])


def _telling_pixels(shape: tuple[int, int, int]) -> np.ndarray:
    """The pictures that `_TELLING` names, (4, height, width, channels) float32, 0..255."""
    black, white = np.zeros((1, *shape), np.float32), np.full((1, *shape), 255, np.float32)
    return np.concatenate([black, white, some_pixels(shape)])
