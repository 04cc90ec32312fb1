"""The registries. Plugins are text until they are used: listing them imports none of them.

A package adds a plugin through an entry point, and first-party ones do just the same; there is no built-in list.

    [options.entry_points]
    keras_azure.models =
        cnn = kaz_cnn:cnn

One entry may stand for many names, which is a *family*: behind its target stands `[family]`, and what stands behind its
name is the value of its first option, as text. With `cloud = kaz_cloud:cloud [family]` and
`def cloud(*, size: str = "small")`, the name `cloud-large` is `cloud(size=large)`. The function refuses what it does
not know. `[family, kaz-sizes]` says too that `kaz sizes` lists the names.

Of what Keras brings itself, optimizers, losses, metrics and callbacks, the names are found behind those of plugins.
"""

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from keras_azure.errors import AmbiguousName, BrokenPlugin, KerasAzureError, UnknownName, WrongOption
from keras_azure.lazy import lazy
from keras_azure.registry import keras_names, specs
from keras_azure.registry.options import coerce_options, option_parameters
from keras_azure.registry.specs import Given, PythonObject, Spec

if TYPE_CHECKING:
    import keras

    from keras_azure.backends import Backend
    from keras_azure.data import Dataset
    from keras_azure.models.classic import FeatureClassifier

Built = TypeVar("Built", covariant=True)

NO_PACKAGE = "(no package)"
KERAS = "keras"  # the package of what Keras has itself
_TARGET = re.compile(r"[\w.]+\s*:\s*[\w.]+\s*(\[.*\])?")
_FAMILY = "family"
_COMMAND = "kaz-"


@dataclass(frozen=True, order=True)
class Entry:
    """What an installed package says of one plugin, read from its metadata without importing it."""

    name: str
    package: str  # as pip knows it: "keras-azure"
    target: str  # "module:attribute", and of a family " [family]" behind it

    @property
    def origin(self) -> str:
        return f"{self.target} in the package {self.package}"

    @property
    def is_family(self) -> bool:
        """Whether it stands for all names that begin with its own and a hyphen."""
        return _FAMILY in self._words

    @property
    def members_command(self) -> str:
        """The command that tells which names a family has: "kaz sizes"."""
        named = (word.removeprefix(_COMMAND) for word in self._words if word.startswith(_COMMAND))
        return f"kaz {next(named, f'show {self.name}')}"

    @property
    def _words(self) -> list[str]:
        return re.findall(r"[\w-]+", self.target.partition("[")[2])


class Registry(Generic[Built]):
    """The plugins of one kind, each of which makes a `Built`.

    Attributes:
        kind: the word for one of them, for messages: "model".
        plural: the word for all of them, in commands: "models".
        group: the entry-point group: "keras_azure.models".
        of_keras: what Keras has of the kind; a plugin of the same name comes before it.
    """

    def __init__(
        self,
        kind: str,
        plural: str | None = None,
        of_keras: Mapping[str, str] = MappingProxyType({}),
        from_function: str | None = None,
        fresh: str | None = None,
    ):
        """
        Args:
            of_keras: the classes of `keras.<plural>` by name.
            from_function: `module:name` of what makes one from a plain function of labels and predictions, its name and
                its options, where a plugin may also be such a function.
            fresh: `module:name` of what makes another one like an object that was given in Python, where each use
                needs one of its own.
        """
        self.kind = kind
        self.plural = plural or f"{kind.replace(' ', '')}s"
        self.group = f"keras_azure.{self.plural}"
        self.of_keras = tuple(
            Entry(name, KERAS, f"keras.{self.plural}:{class_name}") for name, class_name in of_keras.items()
        )
        self._from_function, self._fresh = from_function, fresh

    def entries(self) -> list[Entry]:
        """All plugins of this kind, by name. Imports nothing and never fails."""
        # A set: an editable install can show the same package twice.
        return sorted({*_entries(self.group, _places())})

    def all_entries(self) -> list[Entry]:
        """The plugins, and those of Keras's own that none of them stands before."""
        plugins = self.entries()
        taken = {entry.name for entry in plugins}
        return sorted([*plugins, *(entry for entry in self.of_keras if entry.name not in taken)])

    def has(self, name: str) -> bool:
        """Whether a plugin or a part of Keras has this name, or a family may have it."""
        return bool(self.matches(name))

    def find(self, spec: str | Spec) -> Entry:
        """The plugin that a spec names, or else what Keras has of that name; still not imported; of a family its entry.

        Raises:
            SpecError: the text is not a spec.
            UnknownName: no plugin has the name.
            AmbiguousName: more than one package claims it.
        """
        spec = as_spec(spec)
        if spec.given is not None:
            return Entry(spec.name, NO_PACKAGE, spec.given.text)
        name = spec.name
        matches = self.matches(name)
        if not matches:
            known = [entry.name for entry in self.all_entries() if specs.is_name(entry.name)]
            raise UnknownName.among(self.kind, name, known, hint=f"kaz list {self.plural}")
        if len(matches) > 1:
            packages = [entry.package for entry in matches]
            raise AmbiguousName(
                f"The {self.kind} {name!r} is claimed by {' and '.join(packages)}.",
                hint=f"uninstall one of them: pip uninstall {packages[-1]}",
            )
        return matches[0]

    def matches(self, name: str) -> list[Entry]:
        """The entries of exactly this name; else the families with the longest name that begins it."""
        entries = self.all_entries()
        exact = [entry for entry in entries if entry.name == name]
        families = [entry for entry in entries if entry.is_family and name.startswith(f"{entry.name}-")]
        longest = max((len(entry.name) for entry in families), default=0)
        return exact or [entry for entry in families if len(entry.name) == longest]

    def as_called(self, spec: str | Spec, positional: int = 0) -> Spec:
        """The spec with the name of its entry: of a family's member "cloud-large" this is "cloud(size=large)".

        Args:
            positional: how many arguments the framework fills.

        Raises:
            WrongOption: what the name says already is given as an option, too.
            BrokenPlugin: the plugin cannot be imported, or has no option for what its names say.
        """
        spec = as_spec(spec)
        entry = self.find(spec)
        if spec.name == entry.name:
            return spec
        option = next(iter(option_parameters(self.load(spec), positional)), None)
        if option is None:
            raise BrokenPlugin(
                f"The family {entry.name!r} of {self.plural} ({entry.origin}) has no option for what its names say.",
                expected="a first option that takes it, as text",
            )
        if option in spec.options:
            raise WrongOption(
                f"The {self.kind} {spec.name!r} has its {option!r} in its name, and {spec.options[option]!r} beside.",
                expected=f"one of them, such as {entry.name}({option}={spec.options[option]!r})",
            )
        member = spec.name.removeprefix(f"{entry.name}-")
        return Spec(entry.name, {option: member, **spec.options})

    def load(self, spec: str | Spec) -> Callable[..., Built]:
        """Imports a plugin and gives its callable.

        Raises:
            BrokenPlugin: the import failed; the original error is its cause.
        """
        spec = as_spec(spec)
        if spec.given is not None:
            return self._load_given(spec.given)
        entry = self.find(spec)
        if not _TARGET.fullmatch(entry.target):
            raise BrokenPlugin(
                f"The {self.kind} {entry.name!r} of the package {entry.package} has the entry point {entry.target!r}.",
                expected="module:function",
                hint=f"repair or remove the package: pip uninstall {entry.package}",
            )
        try:
            plugin: Callable[..., Built] = metadata.EntryPoint(entry.name, entry.target, self.group).load()
        except KeyboardInterrupt:
            raise
        # A plugin that calls sys.exit() while it is imported must not take the command with it.
        except BaseException as error:
            raise BrokenPlugin(
                f"The {self.kind} {entry.name!r} cannot be loaded ({entry.origin}): {type(error).__name__}: {error}",
                hint=f"repair or remove the package: pip uninstall {entry.package}",
            ) from error
        try:
            inspect.signature(plugin)
        except Exception:  # what is no callable may say so in its own way
            raise BrokenPlugin(
                f"The {self.kind} {entry.name!r} ({entry.origin}) is no function or class.",
                expected="an entry point that names a callable with a signature",
            ) from None
        return plugin

    def _load_given(self, given: PythonObject) -> Callable[..., Built]:
        try:
            value = given.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise BrokenPlugin(
                f"The {self.kind} {given.text} cannot be imported: {type(error).__name__}: {error}",
                hint=f"PYTHONPATH=FOLDER, with the folder that {given.text.partition(':')[0].partition('.')[0]} is in",
            ) from error
        made: Callable[..., Built] = value
        if inspect.isclass(value):
            return made
        if is_function(value):
            # A function of images is an augmentation, and a function that needs nothing makes one.
            waits = self.kind == AUGMENTATIONS.kind and required_arguments(value)
            return (lambda: value) if waits else made
        if self is MODELS:
            raise WrongOption(
                f"The model {given.text} is an object.",
                expected="a function (input_shape, num_classes) that builds it, so that it can be built again",
            )
        return functools.partial(lazy(self._fresh), value) if self._fresh else lambda: value

    def check_options(self, spec: str | Spec, positional: int = 0) -> dict[str, Any]:
        """The options of the spec as the plugin's signature wants them, beside `positional` arguments.

        Raises:
            WrongOption: an option is unknown, missing or of the wrong type; the signature is in the message.
            BrokenPlugin: the plugin cannot be imported.
        """
        return coerce_options(self.as_called(spec, positional), self.load(spec), positional, self.kind)

    def options(self, spec: str | Spec, positional: int = 0) -> list[str]:
        """The names of the options that the plugin takes, beside `positional` arguments.

        Raises:
            BrokenPlugin: the plugin cannot be imported.
        """
        return list(option_parameters(self.load(spec), positional))

    def takes(self, spec: str | Spec, option: str) -> bool:
        """Whether the plugin has an option of this name.

        Raises:
            BrokenPlugin: the plugin cannot be imported.
        """
        parameters = self.signature(spec).parameters
        return option in parameters or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())

    def build(self, spec: str | Spec, *arguments: object, **defaults: Any) -> Built:
        """Calls the plugin with `arguments` and the options of the spec, checked against its signature.

        A plain function `(y_true, y_pred, *, options)` is made a loss or a metric of its name.

        Args:
            defaults: options that the spec's own lie over.

        Raises:
            WrongOption: an option is unknown, missing or of the wrong type; the signature is in the message.
            BrokenPlugin: the plugin failed with these options.
        """
        spec = as_spec(spec)
        plugin = self.load(spec)
        laid = self.as_called(Spec(spec.name, {**defaults, **spec.options}, spec.given), len(arguments))
        try:
            if self.find(spec).package == KERAS:  # which tells itself what it does not take
                return plugin(*arguments, **laid.options)
            if self._from_function is not None and takes_labels(plugin):
                options = coerce_options(laid, plugin, 2, self.kind)
                made: Built = lazy(self._from_function)(plugin, spec.name, options)
                return made
            return plugin(*arguments, **coerce_options(laid, plugin, len(arguments), self.kind))
        except KerasAzureError:
            raise
        except (Exception, SystemExit) as error:
            if self.find(spec).package == KERAS and isinstance(error, TypeError | ValueError):
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                raise WrongOption(
                    f"The {self.kind} {spec} is not accepted by Keras: {reason}", hint=f"kaz show {spec.name}"
                ) from error
            if spec.options and isinstance(error, TypeError | ValueError):  # what Python says of a wrong argument
                raise WrongOption(
                    f"The {self.kind} {spec} refuses its options: {error}",
                    expected=f"{self.find(spec).name}{inspect.signature(plugin)}",
                    hint=f"kaz show {spec.name}",
                ) from error
            whose = "" if spec.given else f" ({self.find(spec).origin})"
            raise BrokenPlugin(
                f"The {self.kind} {spec}{whose} failed: {type(error).__name__}: {error}",
                hint="" if spec.given else f"kaz check {spec.name}",
            ) from error

    def signature(self, spec: str | Spec) -> inspect.Signature:
        return inspect.signature(self.load(spec))


def damaged_packages() -> list[str]:
    """The installed packages whose entry points cannot be read: whatever plugins they have are left out."""
    try:
        metadata.entry_points(group=MODELS.group)
    except Exception:
        return sorted({_name_of(package) for package in metadata.distributions() if _sections_of(package) is None})
    return []


def _places() -> tuple[tuple[str, int], ...]:
    """Where packages may be, and when one was last added to each place, or removed."""
    return tuple((place, _last_change(place)) for place in sys.path)


def _last_change(place: str) -> int:
    try:
        return Path(place).stat().st_mtime_ns
    except OSError:  # it is not there
        return 0


@functools.lru_cache  # a run asks some forty times, and each time the files of all packages would be read again
def _entries(group: str, places: tuple[tuple[str, int], ...]) -> Iterable[Entry]:
    """What the packages in these places have of a group."""
    try:
        return [Entry(point.name, _name_of(point.dist), point.value) for point in metadata.entry_points(group=group)]
    except Exception:  # one package with damaged metadata takes all others along: they are read one by one
        packages: dict[str, metadata.Distribution] = {}
        for package in metadata.distributions():
            packages.setdefault(_name_of(package), package)  # of two versions Python uses the first
        return [
            Entry(name, package_name, target)
            for package_name, package in packages.items()
            for name, target in (_sections_of(package) or {}).get(group, {}).items()
        ]


def _sections_of(package: metadata.Distribution) -> Mapping[str, Mapping[str, str]] | None:
    """The names and targets of each group; None where the file has no UTF-8, or lines that are no entry points.

    The backport importlib_metadata, where it is installed, refuses a whole package for one target that is none.
    """
    sections = ConfigParser(delimiters="=", interpolation=None, strict=False, default_section="")
    sections.optionxform = str  # type: ignore[assignment, method-assign]  # as ConfigParser's page says
    try:
        sections.read_string(package.read_text("entry_points.txt") or "")
        return {group: dict(sections[group]) for group in sections.sections()}
    except Exception:
        return None


def _name_of(package: metadata.Distribution | None) -> str:
    try:
        name = package and package.name
    except Exception:  # the metadata are damaged; the backport importlib_metadata has an error of its own for that
        name = None
    return str(name or NO_PACKAGE)  # what is no ASCII can be an email.header.Header


def takes_labels(plugin: Callable[..., object]) -> bool:
    """Whether a loss or a metric is a plain function of labels and predictions, and nothing that makes one."""
    return is_function(plugin) and len(required_arguments(plugin)) == 2


def is_function(value: object) -> bool:
    return inspect.isroutine(value) or isinstance(value, functools.partial)


def required_arguments(function: Callable[..., object]) -> list[str]:
    """The names of those that have no default and can be given by place."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]


def as_spec(spec: str | Spec) -> Spec:
    """
    Raises:
        SpecError: the text is not one.
    """
    if isinstance(spec, Given):
        return spec.spec
    return spec if isinstance(spec, Spec) else specs.parse(spec)


_MEASURES = "keras_azure.models.measures"
MODELS: "Registry[keras.Model | FeatureClassifier]" = Registry("model")
AUGMENTATIONS: "Registry[Callable[[keras.KerasTensor], keras.KerasTensor]]" = Registry("augmentation")
DATASETS: "Registry[Dataset]" = Registry("data set")
BACKENDS: "Registry[Backend]" = Registry("backend")
CALLBACKS: "Registry[keras.callbacks.Callback]" = Registry("callback", of_keras=keras_names.CALLBACKS)
LOSSES: "Registry[keras.Loss]" = Registry(
    "loss", "losses", keras_names.LOSSES, f"{_MEASURES}:FunctionLoss", f"{_MEASURES}:fresh"
)
METRICS: "Registry[keras.Metric]" = Registry(
    "metric", None, keras_names.METRICS, f"{_MEASURES}:FunctionMetric", f"{_MEASURES}:fresh"
)
OPTIMIZERS: "Registry[keras.Optimizer]" = Registry(
    "optimizer", of_keras=keras_names.OPTIMIZERS, fresh=f"{_MEASURES}:fresh"
)
REGISTRIES = (MODELS, AUGMENTATIONS, DATASETS, BACKENDS, CALLBACKS, LOSSES, METRICS, OPTIMIZERS)
