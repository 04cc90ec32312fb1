import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_azure.data.formats.folder import Folder
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, UnreadableFile

SHARED = Path(__file__).parents[4] / "shared/data"
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")


def draw(root: Path, *paths: str, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> None:
    """Writes a picture at each path, height and width `size`, with a value that depends on the path."""
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        value = sum(path.encode()) % 256
        Image.new(mode, size[::-1], value if mode == "L" else (value, 0, 0)).save(file)


def pictures(class_folder: str, count: int, ending: str = "png") -> list[str]:
    return [f"{class_folder}/{number:03}.{ending}" for number in range(count)]


@pytest.fixture
def cats_and_dogs(tmp_path) -> Path:
    draw(tmp_path, *pictures("cat", 10), *pictures("dog", 5, "bmp"))
    return tmp_path


def opened(root: Path, observer: Observer | None = None, **options) -> Folder:
    data = Folder(path=str(root), **options)
    data.prepare(observer or Observer())
    return data


def samples(data: Folder, split: str) -> list[tuple[int, int]]:
    """The red of the first pixel, which tells the pictures apart, and the label of each sample."""
    read = [data.read(split, index) for index in range(data.split_sizes[split])]
    return [(int(picture[0, 0, 0]), label) for picture, label in read]


def refusal(root: Path, error: type[DataError] = DataError, **options) -> str:
    with pytest.raises(error) as caught:
        opened(root, **options)
    assert type(caught.value) is error
    return str(caught.value)


def test_class_folders_are_divided_into_training_and_test_pictures(cats_and_dogs):
    data = opened(cats_and_dogs)
    assert data.class_names == ("cat", "dog")
    assert data.split_sizes == {"train": 12, "test": 3}
    assert data.image_shape == (8, 6, 3)
    assert data.description == (
        f"image folder {cats_and_dogs}: 12 training and 3 test pictures of 8x6x3 in 2 classes; "
        "the test images are held out of the training images"
    )
    picture, label = data.read("train", 0)
    assert (picture.shape, picture.dtype, type(label)) == ((8, 6, 3), np.uint8, int)
    assert [label for _, label in samples(data, "train")] == [0] * 8 + [1] * 4
    assert sorted(label for _, label in samples(data, "test")) == [0, 0, 1]
    with pytest.raises(IndexError, match="'test' has the samples 0 to 2, and not 3"):
        data.read("test", 3)


def test_the_split_is_always_the_same_and_its_share_can_be_chosen(cats_and_dogs):
    assert samples(opened(cats_and_dogs), "test") == samples(opened(cats_and_dogs), "test")
    assert opened(cats_and_dogs, test_split=0.5).split_sizes == {"train": 7, "test": 8}
    assert opened(cats_and_dogs, test_split=0.001).split_sizes == {"train": 13, "test": 2}
    assert opened(cats_and_dogs, test_split=0.999).split_sizes == {"train": 2, "test": 13}


@pytest.mark.parametrize(
    ("folders", "sizes"),
    [
        (["train", "test"], {"train": 6, "test": 6}),
        (["Train", "TEST"], {"train": 6, "test": 6}),
        (["train", "test", "val"], {"train": 6, "validation": 6, "test": 6}),
        (["train", "test", "validation"], {"train": 6, "validation": 6, "test": 6}),
        (["train", "valid"], {"train": 4, "validation": 6, "test": 2}),
        (["train"], {"train": 4, "test": 2}),
    ],
)
def test_split_folders_are_recognised(tmp_path, folders, sizes):
    for name in folders:
        draw(tmp_path, *pictures(f"{name}/cat", 3), *pictures(f"{name}/dog", 3))
    data = opened(tmp_path)
    assert data.split_sizes == sizes
    assert list(data.split_sizes) == list(sizes)
    assert data.class_names == ("cat", "dog")
    words = (
        f"{sizes['train']} training, 6 validation and" if "validation" in sizes else f"{sizes['train']} training and"
    )
    assert words in data.description


def test_a_class_may_be_called_train(tmp_path):
    draw(tmp_path, *pictures("train", 3), *pictures("plane", 3), *pictures("car", 3))
    assert opened(tmp_path).class_names == ("car", "plane", "train")


def test_a_class_may_be_missing_from_the_test(tmp_path):
    draw(tmp_path, *pictures("train/cat", 1), *pictures("train/dog", 1), *pictures("test/dog", 1))
    assert samples(opened(tmp_path), "test")[0][1] == 1


def test_pictures_may_lie_deeper_and_are_in_the_order_of_their_paths(tmp_path):
    paths = ["cat/b/2.png", "cat/b/10.png", "cat/a.png", "cat/B/x.png", "cat/é.png", "dog/z.png"]
    draw(tmp_path, *(f"{split}/{path}" for split in ("train", "test") for path in paths))
    expected = sorted(f"train/{path}" for path in paths)
    assert [red for red, _ in samples(opened(tmp_path), "train")] == [sum(path.encode()) % 256 for path in expected]


def test_litter_of_systems_is_left_out_in_silence(cats_and_dogs, listener):
    for name in (".DS_Store", "README.txt", ".git/config", "cat/Thumbs.db", "dog/Desktop.ini", "cat/Icon\r"):
        (cats_and_dogs / name).parent.mkdir(exist_ok=True)
        (cats_and_dogs / name).write_text("no picture")
    draw(cats_and_dogs, "cat/.trash/x.png", "__MACOSX/cat/._x.png", "lost+found/x.png")
    draw(cats_and_dogs, *(f"{name}/@eaDir/x.png/SYNOPHOTO_THUMB_M.png" for name in ("cat", "dog")))
    data = opened(cats_and_dogs, listener)
    assert data.class_names == ("cat", "dog")
    assert sum(data.split_sizes.values()) == 15
    assert listener.messages == []


def test_what_is_hidden_and_no_litter_is_left_out_with_a_line(cats_and_dogs, listener):
    draw(cats_and_dogs, "cat/.hidden.png", ".fox/x.png", ".fox/y.png")
    assert sum(opened(cats_and_dogs, listener).split_sizes.values()) == 15
    assert listener.messages == ["Left out, as hidden files and folders are: .fox, cat/.hidden.png"]


def test_images_in_no_class_folder_are_left_out_with_a_line(cats_and_dogs, listener):
    draw(cats_and_dogs, "stray.png", "more.png")
    (cats_and_dogs / "labels.csv").write_text("no image")
    assert sum(opened(cats_and_dogs, listener).split_sizes.values()) == 15
    assert listener.messages == ["Left out, as they are in no class folder: more.png, stray.png"]


def test_links_are_followed_and_those_that_lead_back_are_left_out_with_a_line(cats_and_dogs, tmp_path, listener):
    elsewhere = tmp_path.with_name(f"{tmp_path.name}-elsewhere")
    draw(elsewhere, *pictures("fox", 4))
    (cats_and_dogs / "fox").symlink_to(elsewhere / "fox")
    (cats_and_dogs / "cat/loop").symlink_to(cats_and_dogs)
    (cats_and_dogs / "cat/link.png").symlink_to(cats_and_dogs / "cat/000.png")
    data = opened(cats_and_dogs, listener)
    assert data.class_names == ("cat", "dog", "fox")
    assert sum(data.split_sizes.values()) == 20
    assert listener.messages == ["Left out, as links that lead back to where they are: cat/loop"]


def test_pictures_of_different_sizes_are_brought_to_one_and_the_user_is_told(cats_and_dogs, listener):
    draw(cats_and_dogs, "cat/005.png", "dog/000.bmp", size=(20, 30))
    data = opened(cats_and_dogs, listener)
    assert data.image_shape == data.read("train", 0)[0].shape == (224, 224, 3)
    assert listener.messages == [
        "The pictures differ in size, such as 8x6 (cat/000.png) and 20x30 (cat/005.png): all are brought to 224x224. "
        "Pass --image-size HEIGHT WIDTH for another size."
    ]


def test_a_size_that_is_asked_for_needs_no_message(cats_and_dogs, listener):
    draw(cats_and_dogs, "cat/005.png", size=(20, 30))
    data = opened(cats_and_dogs, listener, image_size=(12, 10))
    assert data.image_shape == data.read("test", 0)[0].shape == (12, 10, 3)
    assert listener.messages == []


def test_channels_follow_the_pictures_unless_they_are_chosen(tmp_path):
    draw(tmp_path, *pictures("a", 3), *pictures("b", 3), mode="L")
    assert opened(tmp_path).image_shape == opened(tmp_path).read("train", 0)[0].shape == (8, 6, 1)
    assert opened(tmp_path, channels=3).read("train", 0)[0].shape == (8, 6, 3)
    draw(tmp_path, "b/colour.png")
    assert opened(tmp_path).image_shape == opened(tmp_path).read("train", 0)[0].shape == (8, 6, 3)
    assert opened(tmp_path, channels=1).read("train", 0)[0].shape == (8, 6, 1)


def test_progress_is_told(cats_and_dogs, listener):
    opened(cats_and_dogs, listener)
    assert listener.progress == [("Looking at pictures", done, 15) for done in range(1, 16)]


def test_threads_read_the_same_samples(cats_and_dogs):
    data = opened(cats_and_dogs)
    expected = samples(data, "train")
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda index: data.read("train", index % 12), range(480)))
    assert [(int(picture[0, 0, 0]), label) for picture, label in read] == expected * 40


def spoil(root: Path) -> None:
    """Two files that are no pictures, and one that only decoding shows to be damaged."""
    (root / "cat/000.png").write_bytes(b"")
    (root / "dog/notes.txt").write_text("good dog")
    whole = (root / "dog/001.bmp").read_bytes()
    (root / "dog/001.bmp").write_bytes(whole[:-20])


def test_the_first_file_that_is_no_picture_is_an_error(cats_and_dogs):
    spoil(cats_and_dogs)
    message = refusal(cats_and_dogs, UnreadableFile)
    assert message.startswith(f"The picture {cats_and_dogs}/cat/000.png cannot be read: it is empty.")
    assert "--skip-unreadable" in message
    (cats_and_dogs / "cat/000.png").unlink()
    assert f"{cats_and_dogs}/dog/notes.txt cannot be read: it is no picture" in refusal(cats_and_dogs, UnreadableFile)


def test_unreadable_files_can_be_left_out_and_are_counted(cats_and_dogs, listener):
    spoil(cats_and_dogs)
    data = opened(cats_and_dogs, listener, skip_unreadable=True)
    assert sum(data.split_sizes.values()) == 13
    assert listener.messages == [
        "Left out 3 of 16 files, which cannot be read: cat/000.png, dog/001.bmp, dog/notes.txt"
    ]
    assert len(samples(data, "train")) == data.split_sizes["train"]
    (cats_and_dogs / "cat/001.png").write_bytes(b"")
    listener.messages.clear()
    opened(cats_and_dogs, listener, skip_unreadable=True)
    assert listener.messages == [
        "Left out 4 of 16 files, which cannot be read: cat/000.png, cat/001.png, dog/001.bmp, ..."
    ]


def test_a_picture_that_only_decoding_shows_to_be_damaged_is_named_when_it_is_read(tmp_path):
    draw(tmp_path, *(f"{split}/{name}/x.bmp" for split in ("train", "test") for name in ("a", "b")))
    damaged = tmp_path / "train/b/x.bmp"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    data = opened(tmp_path)
    data.read("train", 0)
    with pytest.raises(UnreadableFile, match=f"The picture {damaged} cannot be read: it is damaged"):
        data.read("train", 1)


def test_a_picture_that_has_gone_since_is_named(cats_and_dogs):
    data = opened(cats_and_dogs)
    (cats_and_dogs / "cat/000.png").unlink()
    data_or_error = []
    for split in data.split_sizes:
        for index in range(data.split_sizes[split]):
            try:
                data_or_error.append(data.read(split, index))
            except UnreadableFile as error:
                data_or_error.append(str(error))
    assert (
        sum(isinstance(found, str) and "cat/000.png cannot be read: no such file" in found for found in data_or_error)
        == 1
    )


def test_a_folder_without_class_folders_is_refused(tmp_path):
    assert f"The image folder {tmp_path} holds no class folders" in refusal(tmp_path)
    draw(tmp_path, "a.png", "b.png")
    assert f"The image folder {tmp_path} holds no class folders" in refusal(tmp_path)
    draw(tmp_path, "train/a.png", "test/b.png")
    assert f"The image folder {tmp_path}/train holds no class folders" in refusal(tmp_path)


def test_a_folder_that_is_not_there_or_may_not_be_read_is_named(cats_and_dogs, monkeypatch):
    assert (
        refusal(cats_and_dogs / "x") == f"The image folder {cats_and_dogs}/x cannot be read: no such file or directory."
    )
    file = cats_and_dogs / "cat/000.png"
    assert refusal(file) == f"The image folder {file} cannot be read: not a directory."
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "dog":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    assert refusal(cats_and_dogs) == f"The image folder {cats_and_dogs}/dog cannot be read: permission denied."


def test_a_class_folder_without_images_is_left_out_with_a_line(cats_and_dogs, listener):
    (cats_and_dogs / "fox").mkdir()
    assert opened(cats_and_dogs, listener).class_names == ("cat", "dog")
    assert listener.messages == ["Left out, as there is nothing in it: fox"]
    (cats_and_dogs / "fox/notes.txt").write_text("shy")
    assert f"{cats_and_dogs}/fox/notes.txt cannot be read" in refusal(cats_and_dogs, UnreadableFile)
    listener.messages.clear()
    assert opened(cats_and_dogs, listener, skip_unreadable=True).class_names == ("cat", "dog")
    assert listener.messages == [
        "Left out 1 of 16 files, which cannot be read: fox/notes.txt",
        "Left out, as no image in it can be read: fox",
    ]


def test_a_single_class_is_refused(tmp_path):
    draw(tmp_path, *pictures("cat", 4))
    assert f"The image folder {tmp_path} has only one class, 'cat'" in refusal(tmp_path)


def test_a_class_that_is_only_tested_is_named(tmp_path):
    draw(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/cat/1.png", "test/fox/1.png")
    assert f"The class folder {tmp_path}/test/fox has none of the same name in {tmp_path}/train" in refusal(tmp_path)


def test_a_class_with_one_image_is_trained_and_not_tested_on(cats_and_dogs, listener):
    draw(cats_and_dogs, "fox/1.png")
    data = opened(cats_and_dogs, listener)
    assert data.class_names == ("cat", "dog", "fox")
    assert 2 in [label for _, label in samples(data, "train")]
    assert 2 not in [label for _, label in samples(data, "test")]
    assert listener.messages == ["There are no test images of fox, which have one image each."]


def test_where_each_class_has_one_image_a_test_must_be_brought(tmp_path):
    draw(tmp_path, "cat/1.png", "dog/1.png")
    assert "has just one image, which cannot be both trained and tested on" in refusal(tmp_path)
    draw(tmp_path, *(f"split/{split}/{name}/1.png" for split in ("train", "test") for name in ("cat", "dog")))
    assert opened(tmp_path / "split").split_sizes == {"train": 2, "test": 2}


def test_folders_that_would_be_the_same_split_are_named(tmp_path):
    draw(tmp_path, *(f"{split}/{name}/1.png" for split in ("train", "test", "val", "valid") for name in "ab"))
    message = refusal(tmp_path)
    assert f"The folders {tmp_path}/val and {tmp_path}/valid would both be the validation split." in message
    assert "--split-names train=train,validation=val,test=test" in message
    data = opened(tmp_path, split_names="train=train,validation=valid,test=test")
    assert data.split_sizes == {"train": 2, "validation": 2, "test": 2}


def test_a_class_folder_beside_train_and_test_is_named(tmp_path):
    draw(tmp_path, *(f"{split}/{name}/1.png" for split in ("train", "test") for name in "ab"), "cat/1.png")
    assert f"The image folder {tmp_path} holds the split folder train, and beside it cat" in refusal(tmp_path)


def test_a_class_folder_whose_name_is_not_utf8_is_refused(cats_and_dogs):
    strange = os.fsencode(cats_and_dogs) + b"/caf\xe9"
    os.mkdir(strange)  # noqa: PTH102
    shutil.copy(cats_and_dogs / "cat/000.png", os.fsdecode(strange))
    assert r"caf\udce9 has a name that is not UTF-8" in refusal(cats_and_dogs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_split": 0.0}, "test_split is a share above 0 and below 1, and not 0.0"),
        ({"test_split": 1.0}, "test_split is a share above 0 and below 1, and not 1.0"),
        ({"test_split": float("nan")}, "test_split is a share above 0 and below 1, and not nan"),
        ({"channels": 2}, "channels is 1 or 3, and not 2"),
        ({"image_size": (0, 5)}, "image_size is height and width"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Folder(path="/", **options)


def fingerprints(root: Path, **options) -> tuple[str, str]:
    data = opened(root, **options)
    return data.fingerprint("train", Observer()), data.fingerprint("test", Observer())


def test_the_fingerprint_stays_while_nothing_changes(cats_and_dogs, tmp_path_factory, listener):
    before = fingerprints(cats_and_dogs)
    assert before[0] != before[1]
    assert fingerprints(cats_and_dogs) == before
    for file in cats_and_dogs.glob("*/*"):
        os.utime(file, (0, 0))
    (cats_and_dogs / "cat/.hidden").write_text("not looked at")
    moved = cats_and_dogs.rename(tmp_path_factory.mktemp("elsewhere") / "animals")
    assert fingerprints(moved) == before
    listener.progress.clear()
    opened(moved).fingerprint("train", listener)
    assert listener.progress == [("Looking for changes in train pictures", done, 12) for done in range(1, 13)]


def test_the_fingerprint_changes_with_each_byte_name_and_class(tmp_path):
    draw(
        tmp_path,
        *(f"{split}/{path}" for split in ("train", "test") for path in ("cat/1.png", "cat/2.png", "dog/1.png")),
    )
    seen = [fingerprints(tmp_path)]

    def changed() -> bool:
        seen.append(fingerprints(tmp_path))
        assert seen[-1][1] == seen[0][1]  # that of the other split stays
        return seen[-1][0] not in [train for train, _ in seen[:-1]]

    file = tmp_path / "train/cat/1.png"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert changed()
    (tmp_path / "train/cat/2.png").rename(tmp_path / "train/cat/0.png")
    assert changed()
    (tmp_path / "train/cat/0.png").rename(tmp_path / "train/dog/0.png")
    assert changed()
    draw(tmp_path, "train/dog/9.png")
    assert changed()


def test_the_fingerprint_names_a_file_that_has_gone(cats_and_dogs):
    data = opened(cats_and_dogs)
    for file in cats_and_dogs.glob("cat/*"):
        file.unlink()
    with pytest.raises(UnreadableFile, match=r"cat/00\d\.png cannot be read: no such file or directory"):
        data.fingerprint("train", Observer())


@needs_shared_data
def test_cifar10(listener):
    data = opened(SHARED / "cifar10", listener)
    assert len(data.class_names) == 10
    assert data.image_shape == data.read("train", 0)[0].shape == (32, 32, 3)
    assert set(data.split_sizes) == {"train", "test"}
    assert listener.messages == []


@needs_shared_data
def test_photos(listener):
    data = opened(SHARED / "photos", listener)
    assert data.class_names == tuple(f"group{number}" for number in range(6))
    assert data.image_shape == data.read("test", 0)[0].shape == (224, 224, 3)
    assert len(listener.messages) == 1
    assert "--image-size HEIGHT WIDTH" in listener.messages[0]
