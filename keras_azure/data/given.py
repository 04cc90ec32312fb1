"""Data given in Python in place of a name: arrays, a `tf.data.Dataset`, a DataFrame, or a data set of one's own.

It goes where the text goes, as models do: see `keras_azure.registry.given`.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, SupportsInt

from keras_azure.data import Dataset, TaskChoice
from keras_azure.data.formats.frame import Frame, is_frame, table_of
from keras_azure.data.formats.options import SPLITS, check_image_size, check_test_split
from keras_azure.data.opened_later import ReadAtOnce
from keras_azure.description.events import Observer
from keras_azure.errors import ConfigError
from keras_azure.registry.given import as_text
from keras_azure.registry.specs import Given, PythonObject, Spec


class Streamed(Protocol):
    """A `tf.data.Dataset` of (image, label), batched or not."""

    @property
    def element_spec(self) -> Any: ...

    def as_numpy_iterator(self) -> Iterator[Any]: ...

    def cardinality(self) -> SupportsInt: ...


Samples = tuple[Any, Any] | Streamed  # images and labels: NumPy arrays, or what NumPy makes arrays of
Data = str | Path | Spec | Samples | tuple[Samples, ...] | Frame | Dataset | Callable[..., Dataset]
_MOST_COLUMNS = 6  # that are shown
_SPLITS_OF = {2: ("train", "test"), 3: SPLITS}  # by how many are given
_EXPECTED = (
    "(x_train, y_train), ((x_train, y_train), (x_test, y_test)), a tf.data.Dataset of (image, label), a DataFrame, or "
)
"a name"


class GivenArrays(ReadAtOnce):
    """Images and labels of a Python program.

    Args:
        splits: for each split its images and labels.
        image_size: height and width that the images are resized to.
        test_split: the share of each class to test on, where no test split is given.
        task: what labels are for; "auto" is what they are.
    """

    def __init__(
        self,
        splits: Mapping[str, Samples],
        image_size: tuple[int, int] | None,
        test_split: float,
        task: TaskChoice,
    ) -> None:
        check_image_size(image_size)
        check_test_split(test_split)
        super().__init__(
            "keras_azure.data.given_arrays:given_arrays",
            splits=splits,
            image_size=image_size,
            test_split=test_split,
            task=task,
        )

    def files(self, observer: Observer) -> list[Path]:
        return []


def data_as_text(value: Any) -> Any:
    """What the setting `data` holds: text, which carries what was given in place of a name.

    What can be no data, such as a number, comes back as it is, to be refused with all other wrong values.

    Raises:
        ConfigError: these are arrays, but not images and labels.
    """
    if isinstance(value, Path):
        return str(value)
    if is_frame(value):
        shown = f"DataFrame {value.shape} of {', '.join(map(str, [*value.columns][:_MOST_COLUMNS]))}"
        return str(Spec("frame", given=PythonObject(shown, table_of(value), importable=False)))
    splits = _splits(value)
    if splits is None:
        text = as_text(value)
        return _as_object(text.spec) if isinstance(text, Given) else text

    def given(
        *, image_size: tuple[int, int] | None = None, test_split: float = 0.2, task: TaskChoice = "auto"
    ) -> GivenArrays:
        return GivenArrays(splits, image_size, test_split, task)

    shown = "; ".join(f"{split} {_shown(samples)}" for split, samples in splits.items())
    return str(Spec("arrays", given=PythonObject(f"arrays:{shown}", given, importable=False)))


def _as_object(spec: Spec) -> str:
    """The text of what was given, which nothing is imported by: `module:name` would be the text of a data set NAME."""
    assert spec.given is not None
    return str(Spec(spec.name, spec.options, PythonObject(spec.given.text, spec.given.value, importable=False)))


def _splits(value: Any) -> dict[str, Samples] | None:
    """The samples of each split; None for what is no arrays."""
    if _is_streamed(value):
        return {"train": value}
    if isinstance(value, tuple | list):
        if len(value) in _SPLITS_OF and all(map(_is_samples, value)):
            return dict(zip(_SPLITS_OF[len(value)], value, strict=True))
        if len(value) == 2 and all(_is_array(part) or isinstance(part, tuple | list) for part in value):
            return {"train": (value[0], value[1])}
        raise ConfigError(f"The data is a {type(value).__name__} of {len(value)}.", expected=_EXPECTED)
    if _is_array(value):
        raise ConfigError(f"The data is an array {_shape(value)} without labels.", expected=_EXPECTED)
    return None


def _is_samples(value: Any) -> bool:
    return _is_streamed(value) or (isinstance(value, tuple) and len(value) == 2)


def _is_streamed(value: Any) -> bool:
    return hasattr(value, "element_spec") and hasattr(value, "as_numpy_iterator")


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "__array__")


def _shown(samples: Samples) -> str:
    parts = samples if isinstance(samples, tuple) else samples.element_spec
    parts = parts if isinstance(parts, tuple) else (parts,)
    return " and ".join(map(_shape, parts))


def _shape(part: Any) -> str:
    """ "(60000, 28, 28) uint8"."""
    if isinstance(part, tuple | list):
        return f"{len(part)} values"
    if not hasattr(part, "shape"):
        return type(part).__name__
    data_type = str(getattr(getattr(part, "dtype", None), "name", ""))
    return f"{part.shape} {'text' if data_type.startswith(('str', 'bytes')) else data_type}".rstrip()
