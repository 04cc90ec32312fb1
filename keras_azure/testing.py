"""Contract checks for plugin writers; `kaz check` runs the same ones over every installed plugin.

    from keras_azure.testing import check_model

    def test_my_net():
        check_model("my-net")

Each check takes the plugin itself or its registered name, and raises a ContractError that lists all it found.
"""

import contextlib
import inspect
import math
import re
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_azure.datasets import Dataset, open_dataset
from keras_azure.errors import BrokenPlugin, DataUnavailable, DeviceError
from keras_azure.observers import Observer
from keras_azure.options import coerce_options, missing_options, option_parameters
from keras_azure.redaction import redacted
from keras_azure.registry import AUGMENTATIONS, BACKENDS, DATASETS, MODELS, REGISTRIES, as_spec
from keras_azure.specs import Literal, Spec
from keras_azure.transfer import FeatureClassifier
from keras_azure.transfer.fitting import fit

OTHER_SHAPE, OTHER_CLASSES = (32, 32, 3), 5  # every model is also built for these
_SUM_TOLERANCE = 1e-4  # float32 probabilities of many classes do not add up to 1 exactly
_SAME = 1e-5  # predictions before saving and after loading
_SAVEABLE = "layers of Keras or with @keras.saving.register_keras_serializable(), and no Lambda"


class ContractError(BrokenPlugin, AssertionError):
    """A plugin does not keep its contract."""


def check_model(
    plugin: Callable[..., keras.Model | FeatureClassifier] | str | Spec,
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
        spec, function = Spec(_name(plugin), options), plugin
    findings = _Findings(f"The model {spec.name!r}")
    findings.extend(_signature_problems(function))
    findings.settle()
    chosen = coerce_options(spec, function, 2, MODELS.kind)

    def check_built(shape: tuple[int, int, int], classes: int) -> keras.Model | FeatureClassifier | None:
        case = f"built for {_by(shape)} and {classes} classes"
        with findings.when(case), _keras_unchanged(findings):
            model = function(shape, classes, **chosen)
            if isinstance(model, FeatureClassifier):
                findings.extend(_features_problems(model, shape, classes, case))
                return model
            if not isinstance(model, keras.Model):
                findings.add(f"{case}, it is {_article(model)}", "a keras.Model")
                return None
            if model.compiled:
                findings.add(f"{case}, it is compiled", "a model that is not: the run compiles it")
            findings.extend(_output_problems(model, shape, classes, case))
            return model
        return None

    model = check_built(input_shape, num_classes)
    findings.settle()  # a model that cannot predict has nothing to save or to train
    if isinstance(model, FeatureClassifier):
        with findings.when("fitted to a few pictures"):
            findings.extend(_fitting_problems(model, input_shape, num_classes))
    else:
        with findings.when("saved and loaded again in safe mode", _SAVEABLE):
            findings.extend(_saving_problems(model, input_shape))
        with findings.when("trained for a step"):
            findings.extend(_training_problems(model, input_shape, num_classes))
    check_built(OTHER_SHAPE, OTHER_CLASSES)
    findings.settle()


def check_augmentation(augmentation: Callable[[Any], Any] | str | Spec) -> None:
    """Checks a Keras layer or a function which takes pictures, or a mapping of "images" and one-hot "labels".

    Args:
        augmentation: the layer or function, or the spec of a registered one.

    Raises:
        ContractError: the augmentation breaks its contract.
        KerasAzureError: there is no such plugin, it cannot be loaded, or does not take the options.
    """
    subject = f"The augmentation {_name(augmentation)!r}"
    if isinstance(augmentation, str | Spec):
        augmentation = AUGMENTATIONS.build(augmentation)
    findings = _Findings(subject)
    images = _pixels((32, 40, 3), count=6)  # (6, 32, 40, 3)
    labels = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]  # (6, 3)

    def augmented(data: Any) -> Any:
        # As in training: traced by tf.data.
        mapped = tf.data.Dataset.from_tensors(data).map(augmentation).get_single_element()
        return tf.nest.map_structure(np.asarray, mapped)

    forms = {
        'a mapping of "images" and "labels"': lambda pixels: {"images": pixels, "labels": labels},
        "pictures alone": lambda pixels: pixels,
    }
    refusals = []
    for form, made in forms.items():
        try:
            augmented(made(images))
        except Exception as error:  # whatever a stranger's code raises for the form that it does not take
            refusals.append((form, error))
            continue
        for pixels in (images, images.astype(np.uint8)):
            case = f"given {form} of {pixels.dtype}"
            with findings.when(case):
                findings.extend(_augmented_problems(augmented(made(pixels)), made(pixels), case))
    if len(refusals) == len(forms):
        for form, error in refusals:
            findings.failed(f"given {form} in tf.data", error)
    findings.settle()


def check_dataset(dataset: Dataset | str | Spec) -> None:
    """Checks a data set: what it says of itself, and its first, last and some other samples of each split.

    Args:
        dataset: the data set, or the spec of a registered one.

    Raises:
        ContractError: the data set breaks its contract.
        KerasAzureError: it cannot be opened.
    """
    findings = _Findings(f"The data set {_name(dataset)!r}")
    if isinstance(dataset, str | Spec):
        dataset = open_dataset(dataset, Observer())
    missing = [name for name in ("class_names", "split_sizes", "image_shape", "read") if not hasattr(dataset, name)]
    if missing:
        findings.add(f"it has no {' and no '.join(missing)}", "the attributes of keras_azure.datasets.Dataset")
        findings.settle()
    with findings.when("described"):
        findings.extend(_description_problems(dataset))
    findings.settle()
    for split in dataset.split_sizes:
        with findings.when(f"read in the split {split!r}"):
            findings.extend(_sample_problems(dataset, split))
    findings.settle()


def check_plugin(kind: str, spec: Spec) -> str | None:
    """Checks one registered plugin as far as it goes without a network, and options that only a user can give.

    A model with an option `weights` is checked with weights="none", unless the spec has other ones.

    Args:
        kind: the registry's word for it: "model".

    Returns:
        Why not all was checked, or None when it was.

    Raises:
        KerasAzureError: the plugin cannot be loaded or breaks its contract.
    """
    registry = next(registry for registry in REGISTRIES if registry.kind == kind)
    plugin = registry.load(spec)
    if registry is not MODELS:  # a model's options all have defaults, or it breaks the contract
        for name in missing_options(spec, plugin, 0):
            return f"it needs the option {name!r}"
    try:
        if registry is MODELS:
            check_model(_without_weights(spec, plugin))
        elif registry is AUGMENTATIONS:
            check_augmentation(spec)
        elif registry is DATASETS:
            check_dataset(_without_download(spec, plugin))
        elif registry is BACKENDS:
            _check_backend(spec)
    except DataUnavailable:
        return "its data is not on this machine"
    except DeviceError:
        return "its device is not on this machine"
    return None


def _without_download(spec: Spec, plugin: Callable) -> Spec:
    return spec.with_options(download=False) if "download" in option_parameters(plugin, 0) else spec


def _without_weights(spec: Spec, plugin: Callable) -> Spec:
    option = option_parameters(plugin, 2).get("weights")
    if "weights" in spec.options or option is None or not isinstance(option.default, str):
        return spec
    return spec.with_options(weights="none")


def _check_backend(spec: Spec) -> None:
    backend = BACKENDS.build(spec)
    if not callable(getattr(backend, "run", None)):
        findings = _Findings(f"The backend {spec.name!r}")
        findings.add(f"it builds {_article(backend)} without a method run", "a keras_azure.backends.Backend")
        findings.settle()


class _Findings:
    """Gathers what is wrong with a plugin, so that one error tells all of it."""

    def __init__(self, subject: str):
        self._subject = subject
        self._problems: list[str] = []
        self._cause: Exception | None = None

    def add(self, problem: str, expected: str) -> None:
        self._problems.append(f"{problem}; expected {expected}")

    def extend(self, problems: Iterator[tuple[str, str]]) -> None:
        for problem, expected in problems:
            self.add(problem, expected)

    def failed(self, case: str, error: Exception, expected: str = "no error") -> None:
        """Notes that the plugin raised an error in this case."""
        self.add(f"{case}, it raises {type(error).__name__}: {_message(error)}", expected)
        self._cause = self._cause or error

    @contextlib.contextmanager
    def when(self, case: str, expected: str = "no error") -> Iterator[None]:
        """An error in the body is one more finding."""
        try:
            yield
        except (DataUnavailable, DeviceError):
            raise  # not the plugin's fault
        except Exception as error:
            self.failed(case, error, expected)

    def settle(self) -> None:
        """Raises what was found, if anything was."""
        if self._problems:
            listed = "".join(f"\n- {problem}" for problem in self._problems)
            raise ContractError(f"{self._subject} breaks its contract:{listed}") from self._cause


# Each function below yields what is wrong and what was expected.


def _signature_problems(function: Callable) -> Iterator[tuple[str, str]]:
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
    model: keras.Model, input_shape: tuple[int, int, int], num_classes: int, case: str
) -> Iterator[tuple[str, str]]:
    pixels = _telling_pixels(input_shape)
    output = model(pixels, training=False)
    if not hasattr(output, "shape"):
        yield f"{case}, it gives {_article(output)}", "one array of probabilities"
        return
    found = keras.ops.convert_to_numpy(output)
    if found.shape == pixels.shape:
        yield from _level_problems(found, case)
    else:
        yield from _probability_problems(found, num_classes, case)
    if not np.array_equal(found, keras.ops.convert_to_numpy(model(pixels, training=False)), equal_nan=True):
        yield f"{case}, it predicts differently each time", "layers that are random in training only"


def _probability_problems(probabilities: np.ndarray, num_classes: int, case: str) -> Iterator[tuple[str, str]]:
    """Of the probabilities for `_telling_pixels`."""
    if probabilities.shape != (len(_TELLING), num_classes):
        yield f"{case}, it gives {probabilities.shape} for {len(_TELLING)} pictures", f"{(len(_TELLING), num_classes)}"
        return
    if probabilities.dtype != np.float32:
        yield f"{case}, its probabilities are {probabilities.dtype}", 'float32: dtype="float32" in the last layer'
    for name, row in zip(_TELLING, probabilities.astype(np.float64), strict=True):
        if not np.isfinite(row).all():
            yield f"{case}, a {name} picture gives {_numbers(row)}", "finite numbers"
        elif abs(row.sum() - 1) > _SUM_TOLERANCE or row.min() < 0:
            yield f"{case}, a {name} picture gives {_numbers(row)}", "probabilities: a softmax at the end"
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
    model: FeatureClassifier, input_shape: tuple[int, int, int], num_classes: int, case: str
) -> Iterator[tuple[str, str]]:
    for estimator in (model.estimator, *model.choices):
        if not all(hasattr(estimator, name) for name in ("fit", "predict", "get_params")):
            yield f"{case}, its estimator is {_article(estimator)}", "a classifier of scikit-learn"
    if model.num_classes != num_classes:
        yield f"{case}, its num_classes is {model.num_classes}", f"{num_classes}"
    if not isinstance(model.features, keras.Model):
        yield f"{case}, its features are {_article(model.features)}", "a keras.Model"
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
    model: FeatureClassifier, input_shape: tuple[int, int, int], num_classes: int
) -> Iterator[tuple[str, str]]:
    pixels = _pixels(input_shape, count=3 * num_classes)
    fitted = fit(model, model.vectors(pixels), np.arange(len(pixels)) % num_classes, seed=0).classifier
    before = fitted.predict(_telling_pixels(input_shape))
    yield from _probability_problems(before, num_classes, "fitted to a few pictures")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.zip"
        fitted.save(path)
        after = FeatureClassifier.load(path).predict(_telling_pixels(input_shape))
    yield from _difference(before, after)


def _saving_problems(model: keras.Model, input_shape: tuple[int, int, int]) -> Iterator[tuple[str, str]]:
    pixels = _pixels(input_shape)
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


def _training_problems(
    model: keras.Model, input_shape: tuple[int, int, int], num_classes: int
) -> Iterator[tuple[str, str]]:
    pixels = _pixels(input_shape, count=8)
    loss_name, targets = "categorical_crossentropy", np.eye(num_classes, dtype=np.float32)[np.arange(8) % num_classes]
    if model.output_shape[1:] == pixels.shape[1:]:
        loss_name, targets = "mean_squared_error", pixels / 255
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    model.compile("adam", loss_name)
    loss = model.train_on_batch(pixels, targets, return_dict=True)["loss"]
    if not math.isfinite(loss):
        yield f"trained for a step, its loss is {loss}", "a finite loss"
    after = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    if all(np.array_equal(*pair) for pair in zip(before, after, strict=True)):
        yield "trained for a step, no weight has changed", "a weight that learns"


def _augmented_problems(out: Any, data: Any, case: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        if not isinstance(out, dict) or not data.keys() <= out.keys():
            yield f"{case}, it gives {_article(out)}", 'a mapping of "images" and "labels"'
            return
        yield from _augmented_problems(out["images"], data["images"], case)
        labels, before = np.asarray(out["labels"]), data["labels"]
        if labels.shape != before.shape:
            yield f"{case}, labels {before.shape} become {labels.shape}", "the same shape"
        elif not np.allclose(labels.sum(axis=1), 1, atol=_SUM_TOLERANCE):
            yield f"{case}, a label becomes {_numbers(labels[0])}", "shares that add up to 1"
        return
    shape = getattr(out, "shape", None)
    if shape != data.shape:
        yield f"{case}, pictures {data.shape} become {shape or _article(out)}", "the same shape"
    elif not np.isfinite(np.asarray(out, np.float64)).all():
        yield f"{case}, some pixels are no finite numbers", "finite pixels"


def _description_problems(dataset: Dataset) -> Iterator[tuple[str, str]]:
    names, shape = list(dataset.class_names), tuple(dataset.image_shape)
    if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
        yield f"its class_names are {_short(names)}", "two or more different strings"
    for split in ("train", "test"):
        if not dataset.split_sizes.get(split, 0) > 0:
            yield f"its split_sizes are {_short(dict(dataset.split_sizes))}", f"samples in {split!r}"
    if len(shape) != 3 or not all(_is_whole(size) and size > 0 for size in shape) or shape[-1] not in (1, 3):
        yield f"its image_shape is {shape}", "(height, width, channels) with 1 or 3 channels"


def _sample_problems(dataset: Dataset, split: str) -> Iterator[tuple[str, str]]:
    size, shape, num_classes = dataset.split_sizes[split], tuple(dataset.image_shape), len(dataset.class_names)
    chosen = sorted({0, size // 3, size // 2, size - 1})
    arrays = dataset.arrays(split) if hasattr(dataset, "arrays") else None
    if arrays is not None and [len(array) for array in arrays] != [size, size]:
        yield f"arrays({split!r}) has {[len(array) for array in arrays]} samples", f"{size} pictures and {size} labels"
        return
    for index in chosen:
        called = f"read({split!r}, {index})"
        image, label = dataset.read(split, index)
        if getattr(image, "shape", None) != shape or image.dtype != np.uint8:
            found = f"{image.shape} {image.dtype}" if hasattr(image, "dtype") else _article(image)
            yield f"{called} gives a picture of {found}", f"{shape} uint8"
            return
        if not _is_whole(label) or not 0 <= label < num_classes:
            yield f"{called} gives the label {label!r}", f"an integer from 0 to {num_classes - 1}"
            return
        again = dataset.read(split, index)
        if not np.array_equal(image, again[0]) or label != again[1]:
            yield f"{called} gives something else each time", "the same sample"
            return
        if arrays is not None and not (np.array_equal(arrays[0][index], image) and arrays[1][index] == label):
            yield f"{called} is not the sample that arrays({split!r}) has there", "the same sample"
            return
    try:
        dataset.read(split, size)
    except IndexError:
        return
    yield f"read({split!r}, {size}) gives a sample, although {split!r} has {size}", "an IndexError"


@contextlib.contextmanager
def _keras_unchanged(findings: _Findings) -> Iterator[None]:
    """What the body changes of Keras's global settings is a finding, and is put back."""
    before = {name: read() for name, (read, _) in _KERAS_SETTINGS.items()}
    try:
        yield
    finally:
        for name, (read, write) in _KERAS_SETTINGS.items():
            if read() != before[name]:
                findings.add(f"building it changes Keras's {name} for everyone", "a build that leaves Keras as it is")
                write(before[name])


_KERAS_SETTINGS = {
    "dtype policy": (keras.config.dtype_policy, keras.config.set_dtype_policy),
    "floatx": (keras.config.floatx, keras.config.set_floatx),
    "epsilon": (keras.config.epsilon, keras.config.set_epsilon),
    "image data format": (keras.config.image_data_format, keras.config.set_image_data_format),
}


def _name(plugin: Any) -> str:
    if isinstance(plugin, Spec):
        return plugin.name
    return plugin if isinstance(plugin, str) else getattr(plugin, "__name__", type(plugin).__name__)


def _pixels(shape: tuple[int, int, int], count: int = 2) -> np.ndarray:
    """Random pictures, (count, height, width, channels) float32, 0..255, the same ones each time."""
    return np.random.default_rng(0).integers(0, 256, (count, *shape)).astype(np.float32)


_TELLING = ("black", "white", "random", "random")  # pictures


def _telling_pixels(shape: tuple[int, int, int]) -> np.ndarray:
    """The pictures that `_TELLING` names, (4, height, width, channels) float32, 0..255."""
    black, white = np.zeros((1, *shape), np.float32), np.full((1, *shape), 255, np.float32)
    return np.concatenate([black, white, _pixels(shape)])


def _message(error: Exception) -> str:
    """The one line of an error that tells what happened; TensorFlow and Keras put it between others."""
    text = str(error).rpartition("Exception encountered: ")[2]  # Keras's loading: the whole config, and the error last
    if bold := re.search(r"\x1b\[1m(.+?)\x1b\[0m", text, re.DOTALL):  # Keras's layers: the error is in bold
        text = bold[1]
    elif text.startswith("in user code:"):  # AutoGraph: the traceback, and the error last
        text = text.strip().splitlines()[-1].strip().removeprefix(f"{type(error).__name__}: ")
    return textwrap.shorten(redacted(text), 300, placeholder=" ...")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _article(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _numbers(row: np.ndarray) -> str:
    return f"[{', '.join(f'{number:.3g}' for number in row[:4])}{', ...' if len(row) > 4 else ''}]"


def _short(value: Any) -> str:
    text = redacted(repr(value))
    return text if len(text) <= 80 else text[:77] + "..."
