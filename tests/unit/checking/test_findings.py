"""What people read of a check."""

import json

import numpy as np
import pytest
from fixtures.photographs import photograph

from keras_azure.checking.duplicates import exact_duplicates
from keras_azure.checking.findings import DataCheck, WrongLabel, spread
from keras_azure.checking.looking import UNKNOWN, look
from keras_azure.checking.quality import poor_images
from keras_azure.data.arrays import ArrayDataset
from keras_azure.data.originals import as_read
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile


def dataset(classes: int = 2, size: int = 12) -> ArrayDataset:
    images = np.stack([np.asarray(photograph(seed, (30, 40))) for seed in range(size)])
    images[size - 1] = images[0]
    labels = np.arange(size) % classes
    half = size // 2
    splits = {"train": (images[:half], labels[:half]), "test": (images[half:], labels[half:])}
    return ArrayDataset([f"class {number:03}" for number in range(classes)], splits, "made up")


def checked(data: ArrayDataset, **more) -> DataCheck:
    looked = look(as_read(data), Observer())
    exact = exact_duplicates(looked.measures)
    splits = [looked.split(number) for number in range(len(looked.places))]
    leakage, in_two = spread(exact, splits), spread(exact, looked.labels)
    return DataCheck(looked, exact, [], leakage, in_two, poor_images(looked.measures), **more)


def test_leakage_fails_and_duplicates_alone_do_not():
    check = checked(dataset())
    assert check.leakage == check.in_two_classes == check.exact == [[0, 11]]
    assert check.failed
    assert not DataCheck(check.looked, check.exact, [], [], [], check.poor).failed


def test_text_names_classes_sizes_and_findings():
    check = checked(dataset(), wrong_labels=[WrongLabel(3, 1, 0, 0.97)], judged_by="judged by a friend")
    lines = str(check).splitlines()
    assert lines[0] == "made up"
    assert "class 000" in lines[3]
    assert "sizes  30x40 12" in lines
    assert "modes  colour 12" in lines
    assert "leakage                2  train 0 = test 5" in lines
    assert "wrong labels           1  train 3 is class 001, looks like class 000" in lines
    assert lines[-1] == "Labels: judged by a friend."


def test_a_short_form_names_what_was_found():
    check = checked(dataset(), wrong_labels=[WrongLabel(3, 1, 0, 0.97)])
    assert repr(check) == (
        "<DataCheck of 12 images: {'exact duplicates': 2, 'leakage': 2, 'in two classes': 2, 'wrong labels': 1}>"
    )
    nothing = DataCheck(check.looked, [], [], [], [], {})
    assert repr(nothing) == "<DataCheck of 12 images: nothing was found>"


def test_of_many_classes_the_largest_and_the_smallest_are_named():
    lines = str(checked(dataset(classes=45, size=120))).splitlines()
    assert "and 25 classes between these" in lines
    assert sum(line.startswith("class 0") for line in lines) == 20


def test_json_is_json_and_has_all_of_it():
    report = json.loads(json.dumps(checked(dataset(), wrong_labels=[WrongLabel(3, 1, 0, 0.97)]).to_json()))
    assert report["leakage"] == [[{"image": "train 0", "split": "train"}, {"image": "test 5", "split": "test"}]]
    assert report["wrong_labels"] == [
        {"image": "train 3", "split": "train", "class": "class 001", "suggested": "class 000", "probability": 0.97}
    ]
    assert report["classes"] == {"train": {"class 000": 3, "class 001": 3}, "test": {"class 000": 3, "class 001": 3}}
    assert report["sizes"] == [{"height": 30, "width": 40, "images": 12}]


class Damaged:
    """A data set of which some images cannot be read."""

    class_names, split_sizes, image_shape, description = ("a", "b"), {"train": 4, "test": 2}, (8, 8, 3), "damaged"

    def __init__(self, sound: bool):
        self._sound = sound

    def read(self, split, index):
        if not self._sound or index == 1:
            raise UnreadableFile(f"The picture {split} {index}\x1b[31m cannot be read.")
        return np.asarray(photograph(index, (8, 8))), index % 2


def test_what_cannot_be_read_is_named_and_the_rest_is_measured():
    looked = look(as_read(Damaged(sound=True)), Observer())
    assert looked.readable == [0, 2, 3, 4]
    assert looked.labels.tolist() == [0, UNKNOWN, 0, 1, 0, UNKNOWN]
    assert sorted(looked.problems) == [1, 5]
    check = DataCheck(looked, [], [], [], [], poor_images(looked.measures))
    assert check.failed
    assert "\x1b" not in str(check)
    assert "\x1b" not in json.dumps(check.to_json())


def test_nothing_that_can_be_read_is_an_error():
    with pytest.raises(DataError, match="No image of damaged can be read"):
        look(as_read(Damaged(sound=False)), Observer())


@pytest.mark.parametrize(
    ("values", "found"),
    [([0, 0, 1], [[1, 2]]), ([0, UNKNOWN, 0], []), ([0, UNKNOWN, 1], []), ([0, 1, 2], [[0, 1], [1, 2]])],
)
def test_groups_that_are_spread(values, found):
    assert spread([[0, 1], [1, 2]], values) == found
