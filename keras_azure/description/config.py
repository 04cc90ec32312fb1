"""A run, described once: the same fields on the command line, in run.json, in Python and on a cluster's node."""

import dataclasses
import functools
import json
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from keras_azure.data.given import data_as_text
from keras_azure.data.locate import find_dataset
from keras_azure.description.intervals import parse_interval
from keras_azure.description.stages import Stage, parse_stages
from keras_azure.errors import ConfigError, UnknownName
from keras_azure.files import json_text
from keras_azure.redaction import find_secret
from keras_azure.registry import specs
from keras_azure.registry.given import Plugin, as_text, typed_by_user
from keras_azure.registry.options import coerce
from keras_azure.registry.registry import (
    AUGMENTATIONS,
    BACKENDS,
    CALLBACKS,
    DATASETS,
    LOSSES,
    METRICS,
    MODELS,
    OPTIMIZERS,
    Registry,
    as_spec,
)
from keras_azure.registry.specs import Spec

# The fields beside `data` that name plugins, in the order in which wrong names are told of.
PLUGINS = {
    "model": MODELS,
    "backend": BACKENDS,
    "augment": AUGMENTATIONS,
    "optimizer": OPTIMIZERS,
    "loss": LOSSES,
    "metrics": METRICS,
    "callbacks": CALLBACKS,
}
# Options of the data set that are settings of a run, too.
DATA_OPTIONS = (
    *("image_size", "skip_unreadable", "split_names", "bit_depth", "image_column", "label_column", "split_column"),
    *("image_folder", "label_separator", "group_column", "weight_column"),
)
FROM_PYTHON = tuple(name for name in PLUGINS if name != "backend")  # those that take objects in place of names

_TASK = "task"  # the option of a data set that says what its labels are for
_LABELS = "labels"  # the option of a data set that says whether images must have classes


def _setting(default: Any, description: str, *, at_least: float | None = None, below: float | None = None) -> Any:
    return field(default=default, metadata={"help": description, "at_least": at_least, "below": below})


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's result, flat and JSON-safe.

    Raises:
        ConfigError: a field has a value that it cannot have.
    """

    model: str = field(
        metadata={"help": "The model plugin: cnn, or with options: 'cnn(filters=(16, 32), dropout=0.2)'."}
    )
    data: str = _setting(
        "digits",
        "The data set: a name, tfds:NAME, or the path of a folder or a file: pictures, IDX, zip, tar, npz, parquet, "
        "a table such as .csv.",
    )
    task: Literal["auto", "classify", "multilabel", "regress"] = _setting(
        "auto",
        "What is learned: a class for each image, several labels, or numbers; auto: what the labels say.",
    )
    augment: tuple[str, ...] = _setting((), "An augmentation; may be given several times and keeps its order.")
    augment_on: Literal["auto", "host", "device"] = _setting(
        "auto", "Where augmentations run; auto: on the host, or in the step of a GPU that it cannot keep up with."
    )
    standardize: Literal["none", "featurewise", "samplewise"] = _setting(
        "none", "Bring pixels to mean 0 and deviation 1: over the training pictures, or each picture by itself."
    )
    cache: Literal["auto", "memory", "disk", "none"] = _setting(
        "auto", "Where decoded pictures are kept; auto: in memory if they fit, else on the disk, else not at all."
    )
    backend: str = _setting("local", "Where to run.")
    epochs: int = _setting(10, "Epochs: how often training goes through the training images.", at_least=1)
    batch_size: int = _setting(16, "The batch size: images per step.", at_least=1)
    steps_per_epoch: int | None = _setting(
        None, "Steps that make an epoch of an endless stream. By default the whole data set makes an epoch.", at_least=1
    )
    fine_tune: str | None = _setting(
        None, "Stages after the head's: 'blocks=2,epochs=3;blocks=4,epochs=2', or auto. By default none."
    )
    learning_rate: float | None = _setting(None, "The learning rate. By default the optimizer's own.", at_least=0.0)
    optimizer: str = _setting("adam", "The optimizer: adam, or with options: 'sgd(momentum=0.9)'.")
    schedule: Literal["auto", "constant", "cosine"] = _setting(
        "auto", "How the learning rate goes; cosine: up, then down to 0; auto: cosine in fine-tuning, else constant."
    )
    warmup: float = _setting(0.1, "The share of the steps in which a cosine schedule goes up.", at_least=0.0, below=1.0)
    clip_norm: float | None = _setting(None, "Gradients are scaled down to this norm over all weights.", at_least=0.0)
    loss: str | None = _setting(
        None,
        "The loss. By default categorical_crossentropy, for several labels binary_crossentropy, and mean_squared_error "
        "for numbers and for an autoencoder.",
    )
    label_smoothing: float = _setting(
        0.0, "The share of each label that is spread over all classes in the loss.", at_least=0.0, below=1.0
    )
    class_weights: Literal["none", "balanced"] = _setting(
        "none", "Balanced: pictures of rare classes count more in the loss, so that all classes count the same."
    )
    metrics: tuple[str, ...] = _setting((), "A metric beside those of the task; may be given several times.")
    callbacks: tuple[str, ...] = _setting(
        (), "A Keras callback: 'reduce_lr_on_plateau(patience=3)'; may be given several times."
    )
    validation_split: float = _setting(
        0.1, "The share of the training pictures to validate on after each epoch.", at_least=0.0, below=1.0
    )
    early_stopping: int | None = _setting(
        None, "Stop after so many epochs without a lower validation loss, or a better --monitor.", at_least=1
    )
    keep: Literal["last", "best"] = _setting(
        "last", "The epoch whose weights are saved; best: lowest validation loss, or best --monitor."
    )
    monitor: str = _setting(
        "val_loss", "What epochs are judged by: val_loss, val_accuracy, or val_ and the name of a metric."
    )
    checkpoint_every: str | None = _setting(
        None, "Checkpoints within epochs too, such as 500steps or 10min. By default after each epoch alone."
    )
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = _setting("float32", "The Keras dtype policy.")
    engine: Literal["auto", "tensorflow", "jax"] = _setting(
        "auto", "What Keras computes with; auto: KERAS_BACKEND if it is set, else tensorflow."
    )
    seed: int = _setting(0, "The random seed.", at_least=0, below=2**31)
    tracking: bool = _setting(True, "Record the run with MLflow.")

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for setting in dataclasses.fields(self):
            value, hint = getattr(self, setting.name), hints[setting.name]
            value = _as_text(setting.name, value)
            try:
                value = coerce(value, hint)
            except ValueError:
                raise ConfigError(
                    f"The setting {setting.name!r} cannot be {value!r}.", expected=_described(hint)
                ) from None
            _check_range(setting, value)
            _refuse_secret(setting.name, value)
            object.__setattr__(self, setting.name, value)
        parse_stages(self.fine_tune, self.epochs)
        parse_interval(self.checkpoint_every)
        monitored = as_spec(self.monitor).name
        if self.validation_split == 0 and (self.early_stopping or self.keep == "best" or monitored != "val_loss"):
            by = "validation loss" if monitored == "val_loss" else monitored
            wanted = "early_stopping" if self.early_stopping else "keep='best'" if self.keep == "best" else "monitor"
            raise ConfigError(
                f"{wanted} judges epochs by their {by}, and validation_split is 0.",
                hint="a validation_split of 0.1",
            )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is trained one after another; without `fine_tune` one stage, which is all."""
        return parse_stages(self.fine_tune, self.epochs)

    @property
    def total_epochs(self) -> int:
        """Of all stages."""
        return sum(stage.epochs for stage in self.stages)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """The config with these fields; the others have their defaults.

        Raises:
            ConfigError: a field is unknown or has a wrong value, or there is no model.
        """
        known = [setting.name for setting in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise ConfigError(str(UnknownName.among("setting", name, known)))
        if "model" not in values:
            raise ConfigError("No model is named.", hint="kaz run cnn; kaz list models shows them all")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> "RunConfig":
        """The config of a run.json.

        Raises:
            ConfigError: the text is not a JSON object of known fields.
        """
        return cls.from_dict(_json_object(text))

    def to_json(self) -> str:
        return json_text(dataclasses.asdict(self))

    def resolved(self) -> "RunConfig":
        """The same run with every name found and the data's folder recognised. Imports no plugin.

        Raises:
            SpecError, UnknownName, AmbiguousName: a name is not one, or not one alone.
            DataError: the data folder is not there or is no data set.
        """
        for name, specs_of_field in self.specs.items():
            for spec in specs_of_field:
                PLUGINS[name].find(spec)
        model, data = _with_absolute_weights(self.model_spec), find_dataset(self.data)
        text = self.model if model is self.model_spec else str(model)  # as it was written, where nothing is found
        found = dataclasses.replace(self, model=text, data=str(data))
        found.__dict__.update(specs={**self.specs, "model": (model,)}, data_spec=data)  # not to be parsed again
        return found

    @functools.cached_property
    def specs(self) -> Mapping[str, tuple[Spec, ...]]:
        """The plugins that each field but `data` names, parsed once; a path of data is no spec before it is looked at.

        Raises:
            SpecError: a text is none.
        """
        values = {name: getattr(self, name) for name in PLUGINS}
        texts = {name: (value,) if isinstance(value, str) else value or () for name, value in values.items()}
        return {name: tuple(map(as_spec, of_field)) for name, of_field in texts.items()}

    @functools.cached_property
    def data_spec(self) -> Spec:
        """
        Raises:
            SpecError: the data is not found yet, see `resolved`.
        """
        return as_spec(self.data)

    @functools.cached_property
    def data_to_open(self) -> Spec:
        """The data set as this run reads it: its labels for the task, where one is named; and images without classes
        will do where the model is trained without labels.

        Raises:
            SpecError: the data is not found yet, see `resolved`.
            UnknownName, AmbiguousName: the model or the data set is none, or not one alone.
        """
        data = self.data_spec
        if self.task != "auto" and DATASETS.takes(data, _TASK):
            data = data.with_options(**{_TASK: self.task, **data.options})
        if MODELS.find(self.model_spec).needs_labels or not DATASETS.takes(data, _LABELS):
            return data
        return data.with_options(**{_LABELS: False, **data.options})

    def python_texts(self) -> list[str]:
        """What was given in Python in place of names, in the words of the description."""
        values = [getattr(self, name) for name in FROM_PYTHON]
        texts = [text for value in values for text in ((value,) if isinstance(value, str) else value or ())]
        # Of data, `tfds:name` is no import.
        return [*filter(specs.is_object, (self.data,)), *filter(specs.is_python, texts)]

    @property
    def model_spec(self) -> Spec:
        return self.specs["model"][0]

    @property
    def backend_spec(self) -> Spec:
        return self.specs["backend"][0]

    def plugins(self) -> Iterator[tuple[Registry[object], Spec]]:
        """What the run uses wherever it runs: all plugins that it names but the backend."""
        yield DATASETS, self.data_spec
        for name, specs_of_field in self.specs.items():
            if name != "backend":
                yield from ((PLUGINS[name], spec) for spec in specs_of_field)


def lay_over(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a run with `changes` laid over them, where None means unchanged.

    Some changes are no fields but sugar for options: `set` (texts `option=value` for the model), those of DATA_OPTIONS
    (for the data set, also among `values`), and what is no field at all is an option of the backend.

    Raises:
        ConfigError: the backend has no such option either.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    values = {name: value for name, value in values.items() if name not in DATA_OPTIONS or value is not None}
    changes = {**{name: values.pop(name) for name in DATA_OPTIONS if name in values}, **changes}
    options = changes.pop("set", ())
    model_options = dict(map(specs.parse_option, [options] if isinstance(options, str) else options))
    data_options = {name: changes.pop(name) for name in DATA_OPTIONS if name in changes}
    fields = [setting.name for setting in dataclasses.fields(RunConfig)]
    backend_options = {name: changes.pop(name) for name in [*changes] if name not in fields}
    merged = {**values, **changes}
    # What is no text at all is refused with all other wrong values, by RunConfig.
    if model_options and isinstance(merged.get("model"), str):
        merged["model"] = str(as_spec(merged["model"]).with_options(**model_options))
    data = merged.get("data", RunConfig.data)
    if "image_size" in data_options:  # as everybody writes it, so that equal runs have equal descriptions
        data_options["image_size"] = height_and_width(data_options["image_size"])
    if isinstance(columns := data_options.get("label_column"), list | tuple):
        data_options["label_column"] = columns[0] if len(columns) == 1 else tuple(columns)
    if data_options and isinstance(data, str):
        merged["data"] = str(find_dataset(data).with_options(**data_options))
    backend = merged.get("backend", RunConfig.backend)
    if backend_options and isinstance(backend, str):
        known = [*fields, *BACKENDS.options(backend)]
        for name in backend_options:
            if name not in known:
                raise ConfigError(str(UnknownName.among("setting", name, known)))
        merged["backend"] = str(as_spec(backend).with_options(**backend_options))
    return merged


def height_and_width(image_size: Any) -> Any:
    """A number as both, and a list as JSON has it as a tuple; what is neither stays as it is."""
    if isinstance(image_size, int):
        return (image_size, image_size)
    return tuple(image_size) if isinstance(image_size, list) else image_size


def describe_run(model: Plugin | None, config: str | Path | None, settings: Mapping[str, Any]) -> RunConfig:
    """The run of a model, a file of settings and settings that lie over it, with every name found.

    Raises:
        KerasAzureError: they make no run.
    """
    values = read_config_file(Path(config)) if config is not None else {}
    named = {"model": model} if model is not None else {}
    given = {
        name: typed_by_user(_as_text(name, value)) if name in FROM_PYTHON else _as_text(name, value)
        for name, value in {**settings, **named}.items()
    }
    return RunConfig.from_dict(lay_over(values, given)).resolved()


def read_config_file(path: Path) -> dict[str, Any]:
    """The fields that a JSON file sets, unchecked.

    Raises:
        ConfigError: there is no such file, or no JSON object in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"The config file {path} cannot be read: it is not UTF-8 text.") from error
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"The config file {path} cannot be read: {reason}.") from error
    return _json_object(text, f"The config file {path}")


def _as_text(name: str, value: Any) -> Any:
    """The text of a setting that may be given in Python in place of a name; any other value as it is."""
    if name == "data":
        return data_as_text(value)
    return as_text(value) if name in FROM_PYTHON else value


def _with_absolute_weights(model: Spec) -> Spec:
    """The model with the path of its weights made absolute, so that run.json repeats the run from anywhere."""
    weights = model.options.get("weights")
    if not isinstance(weights, str) or weights in ("imagenet", "none"):
        return model
    path = Path(weights).expanduser()
    return model.with_options(weights=str(path.absolute())) if path.exists() else model


def _json_object(text: str, source: str = "The run description") -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source} is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{source} is not a JSON object.", expected='an object such as {"model": "cnn"}')
    return values


def _check_range(setting: "dataclasses.Field[Any]", value: Any) -> None:
    low, high = setting.metadata.get("at_least"), setting.metadata.get("below")
    if value is None or low is None:
        return
    if not low <= value < (math.inf if high is None else high):  # neither infinity nor NaN, which JSON can bring
        expected = f"{low} or more" + (f", and below {high}" if high is not None else "")
        raise ConfigError(f"The setting {setting.name!r} cannot be {value!r}.", expected=expected)


def _refuse_secret(name: str, value: object) -> None:
    texts = [value] if isinstance(value, str) else value if isinstance(value, tuple) else []
    if kind := next(filter(None, map(find_secret, texts)), None):
        raise ConfigError(
            f"The setting {name!r} holds a secret ({kind}), which run.json and the tracking server would keep.",
            expected="a value that anyone may read",
            hint="leave it to a login, a mounted folder, or an environment variable that the library itself reads",
        )


def _described(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(typing.get_args(hint))
    return getattr(hint, "__name__", str(hint)) if isinstance(hint, type) else str(hint)
