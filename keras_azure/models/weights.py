"""What a backbone starts from: ImageNet by download, a file, or nothing. No code in a file is run."""

import contextlib
import contextvars
import io
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import keras

from keras_azure.errors import DataUnavailable, UnusableWeights
from keras_azure.models.outputs import TO_NUMBERS
from keras_azure.models.saving import read_model, reason
from keras_azure.models.untrusted import check_weights

_ENDINGS = "a file that ends with .keras, .weights.h5 or .h5"
# The part of a saved model that others can start from. A backbone first: a model around one may be called "encoder".
_NAMED = ("backbone", "encoder")


_wanted = contextvars.ContextVar("wanted", default=True)


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """Within it, networks are left as they were made: for what only looks at their form, or has their weights already.

    What is read from a file as a whole, such as an encoder, has the file's weights nevertheless.
    """
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


def load_weights(backbone: keras.Model, application: Callable[..., keras.Model] | None, weights: str) -> None:
    """Gives the backbone its weights: "imagenet", "none" (those that it has), or those of a file.

    Args:
        application: the function of keras.applications that made the backbone; None if none of them did.

    Raises:
        DataUnavailable: "imagenet" cannot be fetched.
        UnusableWeights: the file is not there, damaged, unsafe, or of another network.
    """
    if weights == "none" or not _wanted.get():
        return
    name = backbone.name if application is None else application.__name__
    if weights == "imagenet":
        if application is None:
            raise UnusableWeights(
                f"There are no ImageNet weights of {name!r}, which is no network of keras.applications.",
                expected=f"none, or {_ENDINGS}",
            )
        pretrained = _fetch_imagenet(application)
        backbone.set_weights(pretrained.get_weights())
        return
    path = existing(weights)
    if path.suffix == ".keras":
        copy_weights(encoder_in(load_safely(path)), backbone, path)
    else:
        with _refused(path, f"it does not fit {name} without its top"):
            check_weights(path.read_bytes())
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                backbone.load_weights(path)
            for warning in warned:
                if "Skipping" in str(warning.message):  # Keras would leave what it does not find as it is
                    raise ValueError(warning.message)


def load_encoder(weights: str) -> keras.Model:
    """The part of a saved model that makes features, called "backbone".

    Raises:
        UnusableWeights: `weights` names no `.keras` file, or one that is damaged or unsafe.
    """
    if weights in ("none", "imagenet"):
        raise UnusableWeights(
            f"The backbone 'encoder' is read from a file, and weights={weights!r} is none.",
            expected="weights=PATH, where PATH is the folder or model.keras of a run",
        )
    encoder = encoder_in(load_safely(existing(weights)))
    return keras.Model(encoder.inputs[0], encoder.outputs[0], name="backbone")


def start_from(model: keras.Model, weights: str) -> None:
    """Gives the layers of a model the weights of those of the same names in a saved one, all but the last layer.

    Args:
        model: layers with names of their own, one behind the other; the last is for the classes and keeps its weights.
        weights: the folder or model.keras of a run; the saved layers may be within an encoder.

    Raises:
        UnusableWeights: there is no such file, it is damaged or unsafe, or it lacks a layer or has it in another shape.
    """
    if not _wanted.get():
        return
    path = existing(weights)
    if path.suffix != ".keras":
        raise UnusableWeights(f"{model.name!r} cannot start from {path}.", expected="a file that ends with .keras")
    saved = {layer.name: layer for part in _models_in(load_safely(path)) for layer in part.layers}
    for layer in [layer for layer in model.layers[:-1] if layer.weights]:
        ours = [tuple(weight.shape) for weight in layer.weights]
        theirs = [tuple(weight.shape) for weight in saved[layer.name].weights] if layer.name in saved else None
        if theirs != ours:
            has = f"has it as {theirs}" if theirs else "has no such layer"
            raise UnusableWeights(
                f"The weights {path} do not fit: {model.name!r} needs a layer {layer.name!r} of {ours}, and "
                f"the file {has}.",
                expected="a model with the same options, trained on pictures of the same size",
            )
        layer.set_weights(saved[layer.name].get_weights())


def existing(weights: str) -> Path:
    """The file of weights; of a run's folder, its model.

    Raises:
        UnusableWeights: there is no such file.
    """
    try:
        path = Path(weights).expanduser()
        if (path / "model.keras").is_file():
            return path / "model.keras"
    except (OSError, RuntimeError) as error:  # a path that is too long, or an unknown ~user
        raise UnusableWeights(f"There are no weights called {weights!r}: {reason(error)}.") from error
    if not path.name.endswith((".keras", ".h5")):
        raise UnusableWeights(f"There are no weights called {weights!r}.", expected=f"imagenet, none, or {_ENDINGS}")
    if not path.is_file():
        raise UnusableWeights(f"There is no file of weights {path}.", hint="the path of one, or weights=none")
    return path


def load_safely(path: Path) -> keras.Model:
    """A `.keras` file, in safe mode: one that would run code of its own is refused.

    Raises:
        UnusableWeights: it is damaged or unsafe.
    """
    with _refused(path, "it is damaged, or of a plugin that is not installed"):
        return read_model(path, compile=False)


def encoder_in(model: keras.Model) -> keras.Model:
    """What a saved model makes its features with: its part "encoder" or "backbone", or all but its last layer."""
    for name in _NAMED:
        for part in _models_in(model):
            if part.name == name:
                return part
    before = -3 if model.layers[-1].name == TO_NUMBERS else -2  # which is behind the last one of a model for numbers
    return keras.Model(model.inputs[0], model.layers[before].output, name="encoder")


def copy_weights(source: keras.Model, target: keras.Model, path: Path) -> None:
    """Copies all weights between two networks of the same form.

    Raises:
        UnusableWeights: their weights differ in number or shape.
    """
    theirs, ours = ([tuple(weight.shape) for weight in model.weights] for model in (source, target))
    if theirs != ours:
        raise UnusableWeights(
            f"The weights {path} do not fit: they are {_counted(theirs)}.",
            expected=f"{_counted(ours)}, as the network has them",
        )
    target.set_weights(source.get_weights())


def _fetch_imagenet(application: Callable[..., keras.Model]) -> keras.Model:
    try:
        # Keras writes of its progress to where results go.
        shown = sys.stderr if sys.stderr.isatty() else io.StringIO()
        with contextlib.redirect_stdout(shown), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MobileNets warn of the size that they take for granted
            return application(include_top=False, weights="imagenet", pooling="avg")
    except Exception as error:  # get_file raises a plain Exception
        address = re.search(r"https?://\S+?(?=[:,]?(\s|$))", str(error))
        source = f" from {address[0]}" if address else ""
        problem = reason(error).rpartition(" -- ")[2]
        raise DataUnavailable(
            f"The ImageNet weights of {application.__name__} cannot be fetched{source}: {problem}.",
            expected="a network, or the file in Keras's folder (~/.keras/models)",
            hint="fetch the file elsewhere and pass it: --set weights=PATH; or train without: --set weights=none",
        ) from error


def _models_in(model: keras.Model) -> Iterator[keras.Model]:
    """The model and all models within it, outer ones first."""
    yield model
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _models_in(layer)


@contextlib.contextmanager
def _refused(path: Path, otherwise: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # Keras and HDF5 raise what the damaged part happened to cause
        problem = "it is damaged or incomplete" if isinstance(error, OSError) else otherwise
        raise UnusableWeights(
            f"The weights {path} are refused: {problem} ({reason(error)}).", expected=_ENDINGS
        ) from error


def _counted(shapes: list[tuple[int, ...]]) -> str:
    return f"{sum(map(math.prod, shapes)):,} numbers in {len(shapes)} arrays"
