"""The data set `webdataset`: shards of samples, found through an index."""

import os

import numpy as np
import pytest
from fixtures.archives import class_folders, png, write_folder, write_shard, write_tar

from keras_azure.data import open_dataset, shard_index
from keras_azure.data.formats.parts import parts_of
from keras_azure.data.formats.shard_keys import are_samples, key_and_ending
from keras_azure.data.local_files import local_files
from keras_azure.data.locate import find_dataset
from keras_azure.data.shard_index import index_of
from keras_azure.data.store import indices_folder
from keras_azure.errors import DataError
from keras_azure.registry.registry import DATASETS

FILES = class_folders()


def opened(path, listener, **options):
    return open_dataset(find_dataset(str(path)).with_options(**options), listener)


def samples(dataset):
    return {
        split: [(image.tolist(), label) for image, label in (dataset.read(split, index) for index in range(size))]
        for split, size in dataset.split_sizes.items()
    }


def test_a_shard_is_the_folder_of_the_same_images(tmp_path, listener):
    folder = opened(write_folder(tmp_path / "folder", FILES), listener)
    shard = opened(write_shard(tmp_path / "shard.tar", FILES), listener)
    assert shard.class_names == folder.class_names
    assert samples(shard) == samples(folder)
    assert shard.description == (
        f"WebDataset shards {tmp_path / 'shard.tar'}: 19 training and 5 test pictures of 12x10x3 in 2 classes; "
        "the test images are held out of the training images"
    )
    assert listener.messages == []


def test_a_folder_of_shards_with_splits_in_their_names(tmp_path, listener):
    folder = tmp_path / "shards"
    folder.mkdir()
    items = list(FILES.items())
    for name, part in {
        "pets-train-000000.tar": items[::2],
        "pets-train-000001.tar": items[1::2],
        "pets-val-000000.tar": items[::4],
        "pets-test-000000.tar": items[1::4],
    }.items():
        write_shard(folder / name, dict(part))
    (folder / "README.md").write_text("Some pets")
    dataset = opened(folder, listener)
    assert dataset.split_sizes == {"train": 24, "validation": 6, "test": 6}
    assert dataset.description.endswith("; the validation images take the place of --validation-split")
    image, label = dataset.read("train", 13)  # the second of the second shard
    expected = opened(write_shard(tmp_path / "one.tar", dict(items[1::2])), listener, test_split=0.01)
    assert np.array_equal(image, expected.read("train", 1)[0]) or label == 0
    spec = find_dataset(str(folder))
    assert len(local_files(spec, DATASETS.build(spec), listener)) == 4


def test_classes_that_are_numbers_go_by_number(tmp_path, listener):
    members = {}
    for number in range(24):
        members |= {f"{number:03}.jpg": png(number), f"{number:03}.cls": str(number % 12).encode()}
    dataset = opened(write_tar(tmp_path / "a.tar", members), listener)
    assert dataset.class_names == tuple(map(str, range(12)))


def test_an_index_is_made_once_and_again_when_the_shard_changes(tmp_path, listener, monkeypatch):
    path = write_shard(tmp_path / "a.tar", FILES)
    made = index_of(path)
    looked = []
    look = shard_index.look_through_tar
    monkeypatch.setattr(shard_index, "look_through_tar", lambda path: looked.append(path) or look(path))
    again = index_of(path)
    assert looked == []
    assert [again.name(number) for number in range(24)] == [made.name(number) for number in range(24)]
    for name in ("starts", "sizes", "labels", "name_ends"):
        assert np.array_equal(getattr(again, name), getattr(made, name))
    assert (again.texts, again.state) == (made.texts, made.state)
    os.utime(path, ns=(0, 1_000_000_000))
    assert index_of(path).state == (path.stat().st_size, 1_000_000_000)
    assert looked == [path]
    write_shard(path, dict(list(FILES.items())[:20]))
    assert len(index_of(path)) == 20


def test_an_index_that_is_damaged_is_made_again(tmp_path):
    path = write_shard(tmp_path / "a.tar", FILES)
    before = set(indices_folder().iterdir()) if indices_folder().exists() else set()
    made = index_of(path)
    (kept,) = set(indices_folder().iterdir()) - before
    content = kept.read_bytes()
    for damaged in (b"", content[:100], content[:-50], bytes(len(content))):
        kept.write_bytes(damaged)
        assert np.array_equal(index_of(path).starts, made.starts)
        assert kept.read_bytes() != damaged


def test_a_cache_folder_that_cannot_be_used_is_done_without(tmp_path, listener, monkeypatch):
    (tmp_path / "cache").write_text("no folder")
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))
    assert opened(write_shard(tmp_path / "a.tar", FILES), listener).split_sizes == {"train": 19, "test": 5}


def test_the_cache_is_cleared_with_its_indices(tmp_path, monkeypatch):
    from keras_azure.data.store import clear

    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))
    index_of(write_shard(tmp_path / "a.tar", FILES))
    assert len([*indices_folder().iterdir()]) == 1
    clear()
    assert not indices_folder().exists()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a.jpg", "a.cls"], True),
        (["x/1.png", "x/1.json"], True),
        (["cat/1.jpg", "cat/2.jpg", "dog/1.jpg"], False),
        (["cat/1.jpg", "cat/1.png"], False),
        (["cat/photo.1.jpg", "cat/photo.2.jpg"], False),
        ([".hidden.jpg", ".hidden.cls"], False),
        ([], False),
    ],
)
def test_members_that_share_keys_are_samples(names, found):
    assert are_samples(names) is found


def test_keys():
    assert key_and_ending("a/b.c/1.seg.PNG") == ("a/b.c/1", "seg.png")
    assert key_and_ending("README") == ("README", "")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["test-0.tar"], "no files to train on"),
        (["train-test-0.tar"], "says two splits, test and train"),
        (["a.txt"], "no files to train on in .*, among none"),
    ],
)
def test_names_of_shards_that_are_refused(tmp_path, names, message):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=message):
        parts_of(tmp_path, ".tar")


@pytest.mark.parametrize(
    "names",
    [
        ("train/00000.tar", "train/00001.tar", "val/00000.tar", "test/00000.tar"),
        ("data/pets-train-0.tar", "data/pets-train-1.tar", "data/pets-val-0.tar", "data/pets-test-0.tar"),
        ("data/Training/0.tar", "data/Training/1.tar", "data/valid/0.tar", "data/Testing/0.tar"),
    ],
)
def test_shards_in_folders_of_splits_are_the_splits(tmp_path, listener, names):
    items, folder = list(FILES.items()), tmp_path / "shards"
    parts = (items[::2], items[1::2], items[::4], items[1::4])
    for name, part in zip(names, parts, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_shard(folder / name, dict(part))
    (folder / "README.md").write_text("Some pets")
    assert find_dataset(str(folder)).name == "webdataset"
    dataset = opened(folder, listener)
    assert dataset.split_sizes == {"train": 24, "validation": 6, "test": 6}
    flat = tmp_path / "flat"
    flat.mkdir()
    for split, part in zip(("train-0", "train-1", "val", "test"), parts, strict=True):
        write_shard(flat / f"{split}.tar", dict(part))
    assert samples(dataset) == samples(opened(flat, listener))
    spec = find_dataset(str(folder))
    travels = [file.name for file in local_files(spec, DATASETS.build(spec), listener)]
    assert sorted(travels) == sorted(names)


def test_shards_in_several_folders_that_are_no_splits_are_refused(tmp_path, listener):
    for name in ("english/train/0.tar", "my french/train/0.tar"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_shard(tmp_path / name, FILES)
    with pytest.raises(DataError, match="in english/train, my french/train, which may be several data sets") as refusal:
        opened(tmp_path, listener)
    assert refusal.value.hint == f"--data {tmp_path / 'english' / 'train'}"


def test_a_folder_of_images_with_a_shard_beside_them_is_one_of_images(tmp_path):
    write_folder(tmp_path, FILES)
    write_shard(tmp_path / "all.tar", FILES)
    assert find_dataset(str(tmp_path)).name == "folder"


SAMPLE = {"1.png": png(1), "1.cls": b"a", "2.png": png(2), "2.cls": b"b"}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (SAMPLE | {"3.png": png(3)}, "The sample '3' of the shard .* has png"),
        (SAMPLE | {"3.png": png(3), "3.json": b"{}"}, "has json, png"),
        (SAMPLE | {"3.png": png(3), "3.jpg": png(3), "3.cls": b"a"}, "has cls, jpg, png"),
        (SAMPLE | {"3.png": png(3), "3.cls": b"\xff"}, "The class of '3.png' in .* cannot be read"),
        (SAMPLE | {"3.png": png(3), "3.cls": b"a" * 2000}, "it has 2000 bytes"),
        (SAMPLE | {"3.png": png(3), "3.cls": b"a\x1bb"}, "control characters"),
        (SAMPLE | {"3.png": png(3), "3.cls": b""}, "is empty"),
        (SAMPLE | {"../3.png": png(3), "../3.cls": b"a"}, "would lie outside of it"),
        ({"1.png": png(1), "1.cls": b"a", "2.png": png(2), "2.cls": b"a"}, "training images of 1 classes"),
    ],
)
def test_shards_that_are_refused(tmp_path, listener, members, message):
    path = write_tar(tmp_path / "a.tar", members)
    with pytest.raises(DataError, match=message):
        opened(path, listener)


def test_a_shard_that_is_cut_off_is_refused(tmp_path, listener):
    path = write_shard(tmp_path / "a.tar", FILES)
    content = path.read_bytes()
    for share in (0.3, 0.5, 0.7, 0.9):
        path.write_bytes(content[: int(share * len(content)) // 512 * 512])
        with pytest.raises(DataError, match=r"it is (damaged|cut off)|it ends before"):
            opened(path, listener)
