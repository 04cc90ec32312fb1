"""The data set `parquet`: images in files as Hugging Face writes them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from fixtures.archives import class_folders, png, write_folder, write_parquet

from keras_azure.data import open_dataset, row_groups
from keras_azure.data.local_files import local_files
from keras_azure.data.locate import find_dataset
from keras_azure.errors import DataError, UnreadableFile
from keras_azure.registry.registry import DATASETS

FILES = class_folders()


def opened(path, listener, **options):
    return open_dataset(find_dataset(str(path)).with_options(**options), listener)


def samples(dataset):
    return {
        split: [(image.tolist(), label) for image, label in (dataset.read(split, index) for index in range(size))]
        for split, size in dataset.split_sizes.items()
    }


def write(path, **columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=5)
    return path


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}, {"compression": "none"}, {"row_group_size": 1000}])
def test_a_file_is_the_folder_of_the_same_images(tmp_path, listener, options):
    folder = opened(write_folder(tmp_path / "folder", FILES), listener)
    parquet = opened(write_parquet(tmp_path / "a.parquet", FILES, **options), listener)
    assert parquet.class_names == folder.class_names
    assert samples(parquet) == samples(folder)
    assert parquet.description == (
        f"Parquet file {tmp_path / 'a.parquet'}: 19 training and 5 test pictures of 12x10x3 in 2 classes; "
        "the test images are held out of the training images"
    )
    assert listener.messages == []


def test_classes_are_sorted_as_folders_are_and_that_is_said(tmp_path, listener):
    folder = opened(write_folder(tmp_path / "folder", FILES), listener)
    parquet = opened(write_parquet(tmp_path / "a.parquet", FILES, ["dark", "bright"]), listener)
    assert parquet.class_names == ("bright", "dark")
    assert samples(parquet) == samples(folder)
    assert listener.messages == ["The classes are sorted by name: the first is bright, not dark"]


def test_a_data_set_as_hugging_face_has_it(tmp_path, listener):
    items, folder = list(FILES.items()), tmp_path / "pets"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---")
    (folder / ".gitattributes").write_text("*.parquet filter=lfs")
    for name, part in (
        ("train-00000-of-00002", items[::2]),
        ("train-00001-of-00002", items[1::2]),
        ("validation-00000-of-00001", items[::4]),
        ("test-00000-of-00001", items[1::4]),
    ):
        write_parquet(folder / "data" / f"{name}.parquet", dict(part), ["bright", "dark"])
    assert find_dataset(str(folder)).name == "parquet"
    dataset = opened(folder, listener)
    assert dataset.split_sizes == {"train": 24, "validation": 6, "test": 6}
    assert samples(dataset) == samples(opened(folder / "data", listener))
    spec = find_dataset(str(folder))
    travels = {file.name for file in local_files(spec, DATASETS.build(spec), listener)}
    assert travels == {f"data/{file.name}" for file in (folder / "data").iterdir()}


def test_many_files_with_splits_in_their_names(tmp_path, listener):
    folder = tmp_path / "data"
    folder.mkdir()
    items = list(FILES.items())
    for name, part in {
        "train-00000-of-00002.parquet": items[::2],
        "train-00001-of-00002.parquet": items[1::2],
        "validation-00000-of-00001.parquet": items[::4],
        "test-00000-of-00001.parquet": items[1::4],
    }.items():
        write_parquet(folder / name, dict(part))
    dataset = opened(folder, listener)
    assert dataset.split_sizes == {"train": 24, "validation": 6, "test": 6}
    spec = find_dataset(str(folder))
    assert len(local_files(spec, DATASETS.build(spec), listener)) == 4


@pytest.mark.parametrize("labels", ["text", "number", "bool", "dictionary"])
def test_other_labels_and_columns(tmp_path, listener, labels):
    texts = [name.split("/")[0] for name in FILES]
    columns = {
        "text": pyarrow.array(texts),
        "number": pyarrow.array([int(text == "dark") for text in texts], pyarrow.uint8()),
        "bool": pyarrow.array([text == "dark" for text in texts]),
        "dictionary": pyarrow.array(texts).dictionary_encode(),
    }
    path = write(tmp_path / "a.parquet", img=pyarrow.array(list(FILES.values())), kind=columns[labels])
    dataset = opened(path, listener)
    assert dataset.class_names == (("bright", "dark") if labels in ("text", "dictionary") else ("0", "1"))
    assert dataset.split_sizes == {"train": 19, "test": 5}


def test_test_images_without_labels_are_left_out_and_that_is_said(tmp_path, listener):
    folder = tmp_path / "data"
    folder.mkdir()
    write_parquet(folder / "train.parquet", FILES)
    table = pyarrow.parquet.read_table(folder / "train.parquet")
    unknown = pyarrow.array([-1] * 24, pyarrow.int64())
    pyarrow.parquet.write_table(table.set_column(1, table.schema.field(1), unknown), folder / "test.parquet")
    assert opened(folder, listener).split_sizes == {"train": 19, "test": 5}
    assert listener.messages == ["The test images have no labels (-1), and are left out."]


def test_threads_may_read_at_the_same_time_and_few_row_groups_are_kept(tmp_path, listener, monkeypatch):
    monkeypatch.setattr(row_groups, "_MOST_BYTES", 1000)
    dataset = opened(write_parquet(tmp_path / "a.parquet", FILES), listener)
    expected = [dataset.read("train", index)[0] for index in range(19)]
    with ThreadPoolExecutor(8) as pool:
        for index, (image, _) in enumerate(pool.map(lambda index: dataset.read("train", index * 7 % 19), range(200))):
            assert np.array_equal(image, expected[index * 7 % 19])
    assert len(dataset._opened._files._groups._kept) == 2


def test_a_file_that_changes_is_not_read_on(tmp_path, listener, monkeypatch):
    monkeypatch.setattr(row_groups, "_MOST_BYTES", 1000)
    dataset = opened(write_parquet(tmp_path / "a.parquet", FILES), listener)
    write_parquet(tmp_path / "a.parquet", dict(reversed(FILES.items())))
    with pytest.raises(UnreadableFile, match="it has changed since the run began"):
        [dataset.read("train", index) for index in (0, 9, 18)]


def test_images_that_are_not_there_can_be_left_out(tmp_path, listener):
    path = write_parquet(tmp_path / "a.parquet", FILES | {"dark/98.png": None, "dark/99.png": b"no image"})
    with pytest.raises(UnreadableFile, match=r"The picture in row 24 of .*: its bytes are not in the file"):
        opened(path, listener)
    assert sum(opened(path, listener, skip_unreadable=True).split_sizes.values()) == 24
    assert listener.messages == ["Left out 2 of 26 files, which cannot be read: a.parquet row 24, a.parquet row 25"]


IMAGES = pyarrow.array([png(number) for number in range(6)])
NUMBERS = pyarrow.array([0, 1] * 3)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": IMAGES}, "No column of .* can be the labels; its columns are image"),
        ({"label": NUMBERS}, "No column of .* can be the images; its columns are label"),
        ({"page": pyarrow.array(["a.png"] * 6), "label": NUMBERS}, "can be the images; its columns are page .text"),
        ({"image": IMAGES, "label": pyarrow.array([0.5] * 6)}, "can be the labels"),
        ({"image": IMAGES, "label": pyarrow.array([0, None] * 3)}, "3 labels in .* are missing"),
        ({"image": IMAGES, "label": pyarrow.array([[0]] * 6)}, "can be the labels"),
        ({"image": IMAGES, "a": NUMBERS, "b": NUMBERS}, "Several columns of .* may be the labels: a, b"),
        ({"a": IMAGES, "b": IMAGES, "label": NUMBERS}, "Several columns of .* may be the images: a, b"),
        ({"image": IMAGES, "label": pyarrow.array([1] * 6)}, "training images of 1 classes"),
        ({"image": IMAGES[:0], "label": NUMBERS[:0]}, "no images to train on"),
        ({"image": IMAGES, "label": pyarrow.array(["a\x1b", "b"] * 3)}, "control characters"),
    ],
)
def test_files_with_a_wrong_schema_are_refused(tmp_path, listener, columns, message):
    with pytest.raises(DataError, match=message):
        opened(write(tmp_path / "a.parquet", **columns), listener)


def test_a_column_that_is_called_as_a_field_is_not_taken_for_it(tmp_path, listener):
    images = pyarrow.array([{"bytes": image.as_py(), "path": ""} for image in IMAGES])
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": images, "label": NUMBERS, "image.bytes": NUMBERS}), path)
    dataset = opened(path, listener, label="label")
    assert sum(dataset.split_sizes.values()) == 6


def test_columns_can_be_named(tmp_path, listener):
    path = write(tmp_path / "a.parquet", a=IMAGES, b=IMAGES, coarse=NUMBERS, fine=NUMBERS)
    dataset = opened(path, listener, image="b", label="fine")
    assert dataset.class_names == ("0", "1")
    with pytest.raises(DataError, match=r"The column 'c' of .* cannot be the labels; its columns are a"):
        opened(path, listener, image="b", label="c")


def test_labels_beyond_the_names_of_classes_are_refused(tmp_path, listener):
    path = write_parquet(tmp_path / "a.parquet", FILES)
    table = pyarrow.parquet.read_table(path)
    wrong = pyarrow.array([7] * 24, pyarrow.int64())
    pyarrow.parquet.write_table(table.set_column(1, table.schema.field(1), wrong), path)
    with pytest.raises(DataError, match=r"A label of the train images in .* is 7, of 2 classes"):
        opened(path, listener)


def test_files_that_do_not_agree_are_refused(tmp_path, listener):
    folder = tmp_path / "data"
    folder.mkdir()
    write_parquet(folder / "a.parquet", FILES)
    write_parquet(folder / "b.parquet", FILES, ["bright", "dark", "more"])
    with pytest.raises(DataError, match=r"b.parquet has other columns or classes than .*a.parquet"):
        opened(folder, listener)


def test_files_that_are_cut_off_or_none_are_refused(tmp_path, listener):
    path = write_parquet(tmp_path / "a.parquet", FILES)
    content = path.read_bytes()
    for damaged in (b"", b"no Parquet", content[:1000], content[: len(content) // 2], content[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFile, match=r"The Parquet file .*a.parquet cannot be read"):
            opened(path, listener)
        spec = find_dataset(str(path))
        with pytest.raises(UnreadableFile, match=r"it is cut off|it is no Parquet file"):
            DATASETS.build(spec).files(listener)
