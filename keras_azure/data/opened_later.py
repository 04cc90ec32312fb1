"""What is light of a data set: its options and its files, while the libraries that read it are not loaded."""

from typing import TYPE_CHECKING, Any

from keras_azure.lazy import lazy

if TYPE_CHECKING:
    from keras_azure.data import Dataset
    from keras_azure.data.originals import Originals
    from keras_azure.description.events import Observer

_ORIGINALS_OF = "keras_azure.data.originals:originals_of"


class OpenedLater:
    """A data set whose reader is loaded by `prepare`; all that is asked of it then is answered by what the reader gave.

    Args:
        reader: "module:function", which takes the options and gives a data set.
        options: of the reader.
    """

    def __init__(self, reader: str, **options: object) -> None:
        self._reader = reader
        self._options = options

    def prepare(self, observer: "Observer") -> None:
        opened: Dataset = lazy(self._reader)(**self._options)
        if hasattr(opened, "prepare"):
            opened.prepare(observer)
        self._opened = opened

    def originals(self, observer: "Observer") -> "Originals":
        """In place of `prepare`: the images as they are stored."""
        found: Originals = lazy(_ORIGINALS_OF)(lazy(self._reader)(**self._options), observer)
        return found

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # nothing is opened yet
            raise AttributeError(attribute)
        return getattr(self._opened, attribute)


class ReadAtOnce(OpenedLater):
    """One whose reader takes the options and `observer`, and gives a data set that is ready."""

    def prepare(self, observer: "Observer") -> None:
        self._opened = lazy(self._reader)(observer=observer, **self._options)

    def originals(self, observer: "Observer") -> "Originals":
        self.prepare(observer)
        found: Originals = lazy(_ORIGINALS_OF)(self._opened, observer)
        return found
