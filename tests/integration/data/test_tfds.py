"""Data sets that TFDS itself writes into a folder of the test, in both kinds of file formats."""

import io
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets
from PIL import Image

from keras_azure.data.named import Mnist, Tfds
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, DataUnavailable, UnreadableFile

FORMATS = ["array_record", "tfrecord"]
NAMES = ["circle", "square", "triangle"]
image, label = tensorflow_datasets.features.Image, tensorflow_datasets.features.ClassLabel


class Shapes(tensorflow_datasets.core.GeneratorBasedBuilder):
    """Pictures whose red is their number and whose label is its remainder; subclasses change one thing each."""

    VERSION = tensorflow_datasets.core.Version("1.0.0")
    FEATURES: ClassVar = {"image": image(shape=(8, 6, 3)), "kind": label(names=NAMES)}
    SUPERVISED = ("image", "kind")
    SIZES: ClassVar = {"train": 30, "test": 6}
    SHUFFLED = True

    def _info(self):
        return tensorflow_datasets.core.DatasetInfo(
            builder=self,
            features=tensorflow_datasets.features.FeaturesDict(dict(self.FEATURES)),
            supervised_keys=self.SUPERVISED,
            disable_shuffling=not self.SHUFFLED,
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(count) for split, count in self.SIZES.items()}

    def _generate_examples(self, count):
        for number in range(count):
            yield number, self.example(number)

    def example(self, number):
        picture = np.zeros((8, 6, 3), np.uint8)
        picture[..., 0] = number
        return {"image": picture, "kind": number % 3}


class GrayShapes(Shapes):
    FEATURES: ClassVar = {"label": label(num_classes=10), "image": image(shape=(8, 6, 1))}
    SUPERVISED = None
    SIZES: ClassVar = {"train": 3, "validation": 2, "test": 2, "extra": 1}

    def example(self, number):
        return {"image": np.full((8, 6, 1), number, np.uint8), "label": number}


class MixedShapes(Shapes):
    FEATURES: ClassVar = {
        **Shapes.FEATURES,
        "image": image(),
        "other": image(),
        "name": tensorflow_datasets.features.Text(),
    }
    SIZES: ClassVar = {"train": 40, "validation": 4}

    def example(self, number):
        picture = np.full((5 + number % 3, 6, 3), number, np.uint8)
        return {"image": picture, "other": 255 - picture, "kind": number % 3, "name": str(number)}


class UnpromisedShapes(Shapes):
    """Of one size, which the features do not say."""

    FEATURES: ClassVar = {**Shapes.FEATURES, "image": image(shape=(None, None, 3))}

    def example(self, number):
        return {"image": np.full((7, 6, 3), number, np.uint8), "kind": number % 3}


class UndividedShapes(Shapes):
    SIZES: ClassVar = {"train": 40}


class OrderedShapes(UndividedShapes):
    SHUFFLED = False


class TinyShapes(Shapes):
    SIZES: ClassVar = {"train": 1}


class UntrainedShapes(Shapes):
    SIZES: ClassVar = {"test": 3}


class DeepShapes(Shapes):
    FEATURES: ClassVar = {"image": image(shape=(8, 6, 1), dtype=np.uint16), "kind": label(names=NAMES)}


class UnlabelledShapes(Shapes):
    FEATURES: ClassVar = {"image": image(shape=(8, 6, 3)), "kind": tensorflow_datasets.features.Text()}


class LonelyShapes(Shapes):
    FEATURES: ClassVar = {"image": image(shape=(8, 6, 3)), "kind": label(num_classes=1)}

    def example(self, number):
        return {**super().example(number), "kind": 0}


class SecretShapes(Shapes):
    def example(self, number):
        return {**super().example(number), "kind": -1}


class DamagedShapes(Shapes):
    def example(self, number):
        return {**super().example(number), "image": io.BytesIO(b"\xff\xd8\xff and no more")}


class RagShapes(Shapes):
    """Files of another size than the features promise, which TFDS does not look at."""

    def example(self, number):
        file = io.BytesIO()
        Image.new("RGB", (10, 10), (number, 0, 0)).save(file, "PNG")
        file.seek(0)
        return {**super().example(number), "image": file}


@pytest.fixture
def write(tmp_path):
    def write_as(builder: type[Shapes], file_format: str) -> dict[str, str]:
        """Prepares the data set, and gives the options that name it."""
        builder(data_dir=tmp_path).download_and_prepare(file_format=file_format)
        return {
            "name": tensorflow_datasets.core.naming.camelcase_to_snakecase(builder.__name__),
            "data_dir": str(tmp_path),
        }

    return write_as


def opened(observer: Observer | None = None, **options) -> Tfds:
    data = Tfds(**options)
    data.prepare(observer or Observer())
    return data


def samples(data, split: str) -> list[tuple[int, int]]:
    read = [data.read(split, index) for index in range(data.split_sizes[split])]
    return [(int(picture[0, 0, 0]), label) for picture, label in read]


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_prepared_data_set_is_opened_in_either_format(write, file_format):
    data = opened(**write(Shapes, file_format), download=False)
    assert data.class_names == ("circle", "square", "triangle")
    assert data.split_sizes == {"train": 30, "test": 6}
    assert data.image_shape == (8, 6, 3)
    assert data.description == "TFDS data set shapes: 30 training and 6 test pictures of 8x6x3 in 3 classes"
    picture, label = data.read("train", 29)
    assert (picture.shape, picture.dtype, type(label)) == ((8, 6, 3), np.uint8, int)
    assert sorted(samples(data, "train")) == [(number, number % 3) for number in range(30)]
    assert samples(data, "test") == samples(data, "test")
    for index in (-1, 6):
        with pytest.raises(IndexError, match=f"'test' has the samples 0 to 5, and not {index}"):
            data.read("test", index)


def test_both_formats_have_the_same_samples(tmp_path):
    read = []
    for file_format in FORMATS:
        Shapes(data_dir=tmp_path / file_format).download_and_prepare(file_format=file_format)
        read.append(samples(opened(name="shapes", data_dir=str(tmp_path / file_format)), "train"))
    assert read[0] == read[1]


def test_a_format_without_random_access_is_read_into_memory_with_progress(write, listener):
    data = opened(listener, **write(Shapes, "tfrecord"))
    assert listener.progress[-1] == ("Reading shapes", 36, 36)
    assert listener.messages == []
    pictures, labels = data.arrays("test")
    assert (pictures.shape, pictures.dtype, labels.dtype) == ((6, 8, 6, 3), np.uint8, np.int64)
    assert np.array_equal(pictures[2], data.read("test", 2)[0])


def test_a_format_with_random_access_stays_on_disk(write, listener):
    data = opened(listener, **write(Shapes, "array_record"))
    assert listener.progress == listener.messages == []
    assert not hasattr(data, "arrays")
    expected = samples(data, "train")
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda index: data.read("train", index % 30), range(600)))
    assert [(int(picture[0, 0, 0]), label) for picture, label in read] == expected * 20


def test_a_data_set_that_is_not_there_is_fetched_in_a_format_with_random_access(tmp_path, capfd, listener):
    data = opened(listener, name="shapes", data_dir=str(tmp_path))
    assert data.split_sizes == {"train": 30, "test": 6}
    assert not hasattr(data, "arrays")
    assert listener.messages == [f"Fetching the TFDS data set shapes to {tmp_path}/shapes/1.0.0"]
    assert list(tmp_path.glob("shapes/1.0.0/*.array_record*"))
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_features_are_found_without_supervised_keys_and_unknown_splits_are_left_out(write, file_format):
    data = opened(**write(GrayShapes, file_format))
    assert data.class_names == tuple("0123456789")
    assert data.split_sizes == {"train": 3, "validation": 2, "test": 2}
    assert data.image_shape == data.read("train", 0)[0].shape == (8, 6, 1)
    assert all(red == label for red, label in samples(data, "train"))


@pytest.mark.parametrize("file_format", FORMATS)
def test_pictures_of_different_sizes_are_brought_to_one_and_the_user_is_told(write, file_format, listener):
    options = write(MixedShapes, file_format)
    data = opened(listener, **options)
    assert data.image_shape == data.read("test", 0)[0].shape == (224, 224, 3)
    assert data.split_sizes == {"train": 40, "test": 4}  # the validation split
    assert len(listener.messages) == 1
    sizes = r"such as \d+x6 \(train 0\) and \d+x6 \(train \d+\)"
    expected = rf"The pictures differ in size, {sizes}: all are brought to 224x224\. Pass --image-size HEIGHT WIDTH .*"
    assert re.fullmatch(expected, listener.messages[0])
    assert listener.progress[0] == ("Looking at pictures", 44, 44)
    listener.messages.clear()
    assert opened(listener, **options, image_size=(4, 9)).read("train", 0)[0].shape == (4, 9, 3)
    assert listener.messages == []


@pytest.mark.parametrize("file_format", FORMATS)
def test_pictures_of_one_size_that_is_not_promised_keep_it(write, file_format, listener):
    data = opened(listener, **write(UnpromisedShapes, file_format))
    assert data.image_shape == data.read("test", 0)[0].shape == (7, 6, 3)
    assert listener.messages == []


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_part_of_the_training_pictures_is_the_test_where_there_is_none(write, file_format):
    options = write(UndividedShapes, file_format)
    data = opened(**options)
    assert data.split_sizes == {"train": 32, "test": 8}
    assert sorted(samples(data, "train") + samples(data, "test")) == [(number, number % 3) for number in range(40)]
    assert samples(data, "test") == samples(opened(**options), "test")


def test_files_of_another_size_than_promised_are_brought_to_it(write):
    assert opened(**write(RagShapes, "array_record")).read("train", 0)[0].shape == (8, 6, 3)


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (OrderedShapes, "'ordered_shapes' has no split to test on, and its pictures are in an order of their own"),
        (TinyShapes, "'tiny_shapes' has an empty split: {'train': 1, 'test': 0}"),
        (UntrainedShapes, "'untrained_shapes' has no split 'train', only test"),
        (LonelyShapes, "The classes of the TFDS data set 'lonely_shapes' are '0'"),
    ],
)
def test_a_data_set_that_no_classifier_can_be_trained_on_is_refused(write, builder, message):
    with pytest.raises(DataError, match=message):
        opened(**write(builder, "array_record"))


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (DeepShapes, r"'deep_shapes' has pictures of type uint16 and shape \(8, 6, 1\)"),
        (UnlabelledShapes, "'unlabelled_shapes' is not for image classification: its features are image, kind"),
    ],
)
def test_a_data_set_of_other_things_is_refused_before_it_is_fetched(tmp_path, monkeypatch, builder, message):
    monkeypatch.setattr(builder, "download_and_prepare", lambda *_, **__: pytest.fail("it was fetched"))
    name = tensorflow_datasets.core.naming.camelcase_to_snakecase(builder.__name__)
    with pytest.raises(DataError, match=message):
        opened(name=name, data_dir=str(tmp_path))


@pytest.mark.parametrize("file_format", FORMATS)
def test_samples_without_labels_are_named(write, file_format):
    message = r"The picture \d+ of the split 'train' of the TFDS data set 'secret_shapes' has no label"
    with pytest.raises(DataError, match=message):
        opened(**write(SecretShapes, file_format)).read("train", 3)


@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_pictures_are_named(write, file_format):
    message = (
        r"The picture \d+ of the split 'train' of the TFDS data set 'damaged_shapes' cannot be read: it is damaged"
    )
    with pytest.raises(UnreadableFile, match=message):
        opened(**write(DamagedShapes, file_format)).read("train", 3)


@pytest.mark.parametrize("file_format", FORMATS)
def test_damaged_files_are_named(write, file_format):
    options = write(Shapes, file_format)
    for file in Path(options["data_dir"]).glob(f"shapes/1.0.0/*train.{file_format}*"):
        file.write_bytes(b"\0" * 1000)
    with pytest.raises(DataError, match=r"TFDS data set 'shapes'.* cannot be read: \w+Error"):
        opened(**options).read("train", 3)


def test_what_does_not_fit_in_memory_is_refused(write, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 100})())
    with pytest.raises(DataError, match="'shapes', which was prepared without random access, needs") as caught:
        opened(**write(Shapes, "tfrecord"))
    assert "another data_dir" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shaeps", "TFDS has no data set called 'shaeps'. Did you mean 'shapes'"),
        ("qqqqqqqqq", "TFDS has no data set called 'qqqqqqqqq'\\.\\n"),
        ("mnist/unknown", "'mnist/unknown' cannot be opened: ValueError: .*BuilderConfig unknown not found"),
        ("../mnist", "'../mnist' cannot be opened: ValueError: Parsing builder name string"),
        ("", "'' cannot be opened: ValueError"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(tmp_path, name, message):
    with pytest.raises(DataError, match=message) as caught:
        opened(name=name, data_dir=str(tmp_path))
    assert "\n" not in caught.value.problem
    assert "https://www.tensorflow.org/datasets/catalog" in caught.value.hint


def test_what_is_not_there_and_must_not_be_fetched_is_unavailable(tmp_path):
    data = Mnist(data_dir=str(tmp_path), download=False)
    with pytest.raises(DataUnavailable, match=f"The TFDS data set 'mnist' is not in {tmp_path}/mnist/") as caught:
        data.prepare(Observer())
    assert "--data FOLDER" in caught.value.hint
    assert "data_dir" in caught.value.hint


@pytest.mark.parametrize(
    "error",
    [ConnectionError("no route to host\nand much advice"), AssertionError("fetch it by hand"), OSError(28, "full")],
)
def test_what_cannot_be_fetched_is_unavailable_whatever_the_reason(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(Shapes, "_split_generators", fail)
    with pytest.raises(DataUnavailable, match=f"'shapes' could not be fetched: {type(error).__name__}: ") as caught:
        opened(name="shapes", data_dir=str(tmp_path))
    assert "\n" not in caught.value.problem
    assert "--data FOLDER" in caught.value.hint
    assert not list(tmp_path.glob("shapes/1.0.0"))


def test_mnist_is_the_one_of_tfds(tmp_path, monkeypatch):
    def generate(self, count):
        for number in range(count):
            yield number, {"image": np.full((28, 28, 1), number, np.uint8), "label": number % 10}

    builder = tensorflow_datasets.image_classification.MNIST
    monkeypatch.setattr(
        builder, "_split_generators", lambda self, _: {"train": generate(self, 20), "test": generate(self, 10)}
    )
    data = Mnist(data_dir=str(tmp_path))
    data.prepare(Observer())
    assert data.class_names == tuple("0123456789")
    assert data.image_shape == (28, 28, 1)
    assert data.split_sizes == {"train": 20, "test": 10}
    assert sorted(samples(data, "test")) == [(number, number) for number in range(10)]


SILENCE = """
import sys
from keras_azure.keras_engine import native_messages_held_back, silence_libraries

silence_libraries()
with native_messages_held_back():
    import tensorflow

    tensorflow.constant(0)
from keras_azure.data import named, tfds
from keras_azure.errors import DataUnavailable
from keras_azure.description.events import Observer

name, data_dir = sys.argv[1:]
data = named.Tfds(name=name, data_dir=data_dir, download=False)
data.prepare(Observer())
print(data.description)
tfds._RETRIES = 1
try:
    named.Mnist(data_dir=data_dir).prepare(Observer())
except DataUnavailable as error:
    print(error.problem)
"""


def test_nothing_is_printed_not_even_when_there_is_no_network(write):
    options = write(Shapes, "tfrecord")
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SILENCE, options["name"], options["data_dir"]],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "https_proxy": "http://127.0.0.1:9", "no_proxy": ""},  # where nobody answers
    )
    description, problem = done.stdout.splitlines()
    assert description == "TFDS data set shapes: 30 training and 6 test pictures of 8x6x3 in 3 classes"
    assert problem.startswith("The TFDS data set 'mnist' could not be fetched: ProxyError: ")
    assert done.stderr == ""
