"""The reader of `tfds` and `mnist`: the image classification data sets of TensorFlow Datasets, by their names."""

import contextlib
import difflib
import hashlib
import io
import logging
import math
import re
import sys
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from keras_azure.data.arrays import ArrayDataset, check_classes
from keras_azure.data.formats.options import SPLITS
from keras_azure.data.headers import Headers
from keras_azure.data.images import decode_header, decode_image
from keras_azure.data.memory import require_memory
from keras_azure.data.sizes import DEFAULT_SIZE, LARGEST_KEPT, too_large
from keras_azure.data.splits import check_index, described
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, DataUnavailable, KerasAzureError
from keras_azure.redaction import redacted

_TEST_SPLITS = {"train": "train[:80%]", "test": "train[80%:]"}  # where there is no other; TFDS shuffled when it wrote
_RETRIES = 5  # TFDS's own number is ten, which take minutes to find that there is no network
_RANDOM_ACCESS = "array_record"  # the file format
_NOTE_EVERY = 256  # pictures between two notes of progress
_CATALOG = "https://www.tensorflow.org/datasets/catalog"


class TfdsDataset:
    """A data set of TFDS, which `prepare` fetches if need be and opens; all else is answered by what it opened."""

    def __init__(self, name: str, image_size: tuple[int, int] | None, data_dir: str | None, download: bool):
        self._name = name
        self._image_size = image_size
        self._data_dir = data_dir
        self._download = download

    def prepare(self, observer: Observer) -> None:
        """Opens the data set, and fetches it first where that is needed and allowed.

        Raises:
            DataUnavailable: it is not there and could not be fetched.
            DataError: there is no such data set, it is none of labelled pictures, or does not fit in memory.
        """
        with _quiet():
            builder = _find_builder(self._name, self._data_dir)
            prepared = builder.is_prepared()  # in whatever file format
        _find_features(builder.info, self._name)  # before gigabytes are fetched that are of no use
        if not prepared:
            _fetch(builder, self._name, self._download, observer)
        self._opened = _open(builder, self._name, self._image_size, observer)

    def __getattr__(self, attribute: str) -> Any:
        # Random access or arrays: which of the two it is, with the methods of which, shows when it is opened.
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(self._opened, attribute)


class RecordDataset:
    """The records of a prepared data set, read and decoded one by one."""

    def __init__(
        self,
        layout: "_Layout",
        sources: Mapping[str, Sequence[bytes]],
        split_sizes: Mapping[str, int],
    ):
        self._layout = layout
        self._sources = sources
        self.class_names = layout.class_names
        self.split_sizes = split_sizes
        self.image_shape = layout.image_shape
        self.description = layout.described(split_sizes)

    def read(self, split: str, index: int) -> tuple[np.ndarray, int]:
        check_index(split, index, self.split_sizes)
        with self._naming(split, index):
            example = self._layout.parse(self._sources[split][index])
        return self._layout.sample(example, split, index)

    def fingerprint(self, split: str, observer: Observer) -> str:
        size, source = self.split_sizes[split], self._sources[split]
        content = hashlib.blake2b(repr((self._layout.image_key, self._layout.label_key)).encode(), digest_size=16)
        for index in range(size):
            with self._naming(split, index):
                record = source[index]
            content.update(len(record).to_bytes(8, "little") + record)
            if (index + 1) % _NOTE_EVERY == 0 or index + 1 == size:
                observer.advance(f"Looking for changes in {split} pictures", index + 1, size)
        return content.hexdigest()

    @contextlib.contextmanager
    def _naming(self, split: str, index: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever TFDS and its file formats raise for a damaged record
            raise DataError(f"{self._layout.sample_name(split, index)} cannot be read: {_reason(error)}") from error


@dataclass(frozen=True)
class _Layout:
    """Where the pictures and labels are in the records of a data set, and what they are brought to."""

    name: str
    image_key: str
    label_key: str
    features: Any  # tensorflow_datasets.features.FeaturesDict of these two
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]  # None in it where TFDS does not promise one size

    @property
    def is_sized(self) -> bool:
        return None not in self.image_shape

    def sized(
        self, splits: Iterable[tuple[str, Iterable[Mapping[str, Any]]]], total: int, observer: Observer
    ) -> "_Layout":
        """The same with the size that all pictures have, or are brought to: their headers are looked at.

        Args:
            splits: the parsed records of each.
            total: how many there are.
        """
        headers, done = Headers(), 0
        for split, examples in splits:
            for index, example in enumerate(examples):
                name = self.sample_name(split, index)
                headers.add(f"{split} {index}", decode_header(io.BytesIO(example[self.image_key]), name, hint=""))
                done += 1
                if done % _NOTE_EVERY == 0 or done == total:
                    observer.advance("Looking at pictures", done, total)
        return replace(self, image_shape=headers.image_shape(None, self.image_shape[2], observer))

    def decoders(self) -> dict[str, Any]:
        """Pictures stay as they are in the record: they are decoded as those of all other data sets are."""
        import tensorflow_datasets

        return {self.image_key: tensorflow_datasets.decode.SkipDecoding()}

    def parse(self, record: bytes) -> dict[str, Any]:
        return self.features.deserialize_example_np(record, decoders=self.decoders())

    def sample(self, example: Mapping[str, Any], split: str, index: int) -> tuple[np.ndarray, int]:
        """The picture, uint8 in `image_shape`, and the label of a parsed record."""
        name, label = self.sample_name(split, index), int(example[self.label_key])
        if not 0 <= label < len(self.class_names):  # TFDS writes -1 where a label is kept secret
            raise DataError(f"{name} has no label.", expected="a data set whose splits all have labels")
        height, width, channels = self.image_shape
        return decode_image(io.BytesIO(example[self.image_key]), name, (height, width), channels, hint=""), label

    def sample_name(self, split: str, index: int) -> str:
        return f"The picture {index} of the split {split!r} of the TFDS data set {self.name!r}"

    def described(self, split_sizes: Mapping[str, int]) -> str:
        return described(f"TFDS data set {self.name}", split_sizes, self.image_shape, len(self.class_names))


def _find_builder(name: str, data_dir: str | None) -> Any:
    """The `tensorflow_datasets.core.DatasetBuilder` of this name."""
    import tensorflow_datasets

    try:
        return tensorflow_datasets.builder(name, data_dir=data_dir)
    except tensorflow_datasets.core.DatasetNotFoundError as error:
        known = tensorflow_datasets.list_builders(with_community_datasets=False)
        nearest = difflib.get_close_matches(re.split("[/:]", name)[0], known)
        question = f" Did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""
        raise DataError(f"TFDS has no data set called {name!r}.{question}", hint=f"a name from {_CATALOG}") from error
    except Exception as error:  # a config or version that is not there, metadata that are damaged, ...
        raise DataError(
            f"The TFDS data set {name!r} cannot be opened: {_reason(error)}", hint=f"a name from {_CATALOG}"
        ) from error


def _fetch(builder: Any, name: str, allowed: bool, observer: Observer) -> None:
    from tensorflow_datasets.core.download import downloader

    hint = "--data FOLDER with IDX files or with pictures, or the option data_dir with a folder of prepared data sets"
    if not allowed:
        raise DataUnavailable(f"The TFDS data set {name!r} is not in {builder.data_dir}.", hint=hint)
    observer.message(f"Fetching the TFDS data set {name} to {builder.data_dir}")
    downloader.MAX_RETRIES = _RETRIES
    # Not put back afterwards: other files' retries go on in threads when the first one has failed.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    file_format = _RANDOM_ACCESS if find_spec(_RANDOM_ACCESS) else None  # the package is there on Linux only
    try:
        with _quiet():
            builder.download_and_prepare(file_format=file_format)
    except Exception as error:  # no network, no space, a file that has to be fetched by hand, ...
        raise DataUnavailable(
            f"The TFDS data set {name!r} could not be fetched: {_reason(error)}", hint=hint
        ) from error


def _open(
    builder: Any, name: str, image_size: tuple[int, int] | None, observer: Observer
) -> RecordDataset | ArrayDataset:
    import tensorflow_datasets

    layout = _find_layout(builder.info, name, image_size, observer)
    splits = _find_splits(builder.info, name)
    sizes = {split: builder.info.splits[instruction].num_examples for split, instruction in splits.items()}
    if 0 in sizes.values():
        raise DataError(f"The TFDS data set {name!r} has an empty split: {sizes}.")
    formats = {file_format.value for file_format in builder.info.available_file_formats()}
    try:
        if _RANDOM_ACCESS not in formats:
            return _load(builder, layout, splits, sizes, observer)
        raw = tensorflow_datasets.decode.DeserializeMethod.RAW_BYTES
        with _quiet():
            sources = {
                split: builder.as_data_source(instruction, deserialize_method=raw)
                for split, instruction in splits.items()
            }
        if not layout.is_sized:
            parsed = (
                map(layout.parse, map(source.__getitem__, range(sizes[split]))) for split, source in sources.items()
            )
            layout = layout.sized(zip(sizes, parsed, strict=True), sum(sizes.values()), observer)
    except KerasAzureError:
        raise
    except Exception as error:  # whatever TFDS and its file formats raise for damaged files
        raise DataError(f"The TFDS data set {name!r} in {builder.data_dir} cannot be read: {_reason(error)}") from error
    return RecordDataset(layout, sources, sizes)


def _load(
    builder: Any, layout: _Layout, splits: Mapping[str, str], sizes: Mapping[str, int], observer: Observer
) -> ArrayDataset:
    """Reads all splits into memory: the way for file formats that are read from beginning to end only."""
    total = sum(sizes.values())
    if not layout.is_sized:
        layout = layout.sized(
            ((split, _examples(builder, layout, instruction)) for split, instruction in splits.items()), total, observer
        )
    require_memory(
        total * math.prod(layout.image_shape),
        f"The TFDS data set {layout.name!r}, which was prepared without random access,",
        hint=f"a smaller image_size, or another data_dir: it is prepared there as {_RANDOM_ACCESS}",
    )
    arrays, done = {}, 0
    for split, instruction in splits.items():
        pictures = np.empty((sizes[split], *layout.image_shape), np.uint8)
        labels = np.empty(sizes[split], np.int64)
        for index, example in enumerate(_examples(builder, layout, instruction)):
            pictures[index], labels[index] = layout.sample(example, split, index)
            done += 1
            if done % _NOTE_EVERY == 0 or done == total:
                observer.advance(f"Reading {layout.name}", done, total)
        arrays[split] = pictures, labels
    return ArrayDataset(layout.class_names, arrays, layout.described(sizes))


def _examples(builder: Any, layout: _Layout, instruction: str) -> Iterable[Mapping[str, Any]]:
    """The parsed records of a split, from beginning to end."""
    import tensorflow_datasets

    decoding = tensorflow_datasets.decode.PartialDecoding(
        {layout.image_key: True, layout.label_key: True}, decoders=layout.decoders()
    )
    with _quiet():
        return tensorflow_datasets.as_numpy(
            builder.as_dataset(
                instruction, decoders=decoding, read_config=tensorflow_datasets.ReadConfig(try_autocache=False)
            )
        )


def _find_features(info: Any, name: str) -> tuple[str, str]:
    """The names of the features that hold the picture and the label."""
    from tensorflow_datasets import features as kinds

    features = dict(info.features) if isinstance(info.features, kinds.FeaturesDict) else {}
    named = [key for key in info.supervised_keys or () if isinstance(key, str)]  # the builder's own choice comes first
    keys = [*(key for key in named if key in features), *features]
    image_key = next((key for key in keys if type(features[key]) is kinds.Image), None)
    label_key = next((key for key in keys if type(features[key]) is kinds.ClassLabel), None)
    if image_key is None or label_key is None:
        raise DataError(
            f"The TFDS data set {name!r} is not for image classification: its features are {', '.join(features)}.",
            expected="a feature of type Image and one of type ClassLabel",
        )
    image = features[image_key]
    if image.np_dtype != np.uint8 or len(image.shape) != 3:
        raise DataError(
            f"The TFDS data set {name!r} has pictures of type {np.dtype(image.np_dtype)} and shape {image.shape}.",
            expected="uint8 (height, width, channels)",
        )
    return image_key, label_key


def _find_layout(info: Any, name: str, image_size: tuple[int, int] | None, observer: Observer) -> _Layout:
    from tensorflow_datasets import features

    image_key, label_key = _find_features(info, name)
    image, label = info.features[image_key], info.features[label_key]
    size = image_size or image.shape[:2]
    if image_size is None and None not in size and max(size) > LARGEST_KEPT:
        observer.message(too_large(size))
        size = DEFAULT_SIZE
    channels = 1 if image.shape[-1] in (1, 2) else 3  # 2 and 4: with transparency, which is dropped
    class_names = tuple(label.names) if label.num_classes else ()
    check_classes(class_names, f"the TFDS data set {name!r}")
    both = features.FeaturesDict({image_key: image, label_key: label})
    return _Layout(name, image_key, label_key, both, class_names, (*size, channels))


def _find_splits(info: Any, name: str) -> dict[str, str]:
    """For each split the text that makes TFDS read it."""
    splits = {split: split for split in SPLITS if split in info.splits}
    if "train" not in splits:
        raise DataError(f"The TFDS data set {name!r} has no split 'train', only {', '.join(info.splits) or 'none'}.")
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    if "test" not in splits and info.disable_shuffling:
        raise DataError(
            f"The TFDS data set {name!r} has no split to test on, and its pictures are in an order of their own.",
            expected="a split 'test' or 'validation', or shuffled pictures",
        )
    return splits if "test" in splits else dict(_TEST_SPLITS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what TFDS prints, logs and warns of to itself, and its progress bars where nobody watches a terminal.

    Observers must not be told anything within: they may print.
    """
    log = logging.getLogger("absl")
    level = log.level
    watched = sys.stderr is not None and sys.stderr.isatty()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.setLevel(logging.CRITICAL)
        import tensorflow_datasets

        tensorflow_datasets.display_progress_bar(watched)
        try:
            yield
        finally:
            tensorflow_datasets.enable_progress_bar()
            log.setLevel(level)


def _reason(error: Exception) -> str:
    """The kind of an error and the first line that it says; TFDS adds screens of advice."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    first = re.sub(r'^Failed to construct dataset .*?}": ', "", first)  # which the message says anyway
    return textwrap.shorten(redacted(f"{type(error).__name__}: {first}"), 200, placeholder=" ...")
