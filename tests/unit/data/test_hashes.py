"""Images of equal content, by their digests."""

import io

import numpy as np
from fixtures.archives import class_folders, write_folder, write_zip

from keras_azure.data import open_dataset
from keras_azure.data.hashes import Hashes, repeated
from keras_azure.data.locate import find_dataset
from keras_azure.description.events import Observer


def hashes(*contents: str) -> Hashes:
    found = Hashes(len(contents))
    for index, content in enumerate(contents):
        found.of_file(index, io.BytesIO(content.encode()))
    return found


def test_nothing_is_said_of_images_that_differ():
    assert repeated({"train": hashes("a", "b", "c"), "test": hashes("d")}) == ""
    assert repeated({"train": Hashes(3), "test": Hashes(1)}) == ""


def test_copies_are_counted_and_those_across_splits():
    line = repeated({"train": hashes("a", "b", "a", "c"), "test": hashes("b", "d")})
    assert line == (
        "4 images have a copy that is equal to the byte, 2 of them in more than one of train, test. "
        "kaz data check says which."
    )
    assert "more than one" not in repeated({"train": hashes("a", "a"), "test": hashes("b")})


def test_a_data_set_tells_it_when_it_was_hashed(tmp_path):
    files = class_folders(12)
    for way in (write_folder(tmp_path / "folder", files), write_zip(tmp_path / "images.zip", files)):
        assert _copies(way) == ""
    files["dark/copy.png"] = files["dark/03.png"]
    for way in (write_folder(tmp_path / "more", files), write_zip(tmp_path / "more.zip", files)):
        assert _copies(way).startswith("2 images have a copy")


def _copies(path) -> str:
    dataset = open_dataset(find_dataset(str(path)), Observer())
    for split in dataset.split_sizes:
        dataset.fingerprint(split, Observer())
    assert np.sum([*dataset.split_sizes.values()]) >= 24
    return dataset.copies()
