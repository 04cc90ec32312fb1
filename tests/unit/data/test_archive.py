"""The data set `archive`: zip and tar files of class folders, read in place."""

import io
import stat
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fixtures.archives import class_folders, png, write_folder, write_tar, write_zip

from keras_azure.data import open_dataset
from keras_azure.data.local_files import local_files
from keras_azure.data.locate import find_dataset
from keras_azure.errors import DataError, UnreadableFile
from keras_azure.registry.registry import DATASETS

FILES = class_folders()


def stored(path, files):
    return write_zip(path, files, zipfile.ZIP_STORED)


PACK = {"deflated.zip": write_zip, "stored.zip": stored, "plain.tar": write_tar, "DEFLATED.ZIP": write_zip}


def opened(path, listener, **options):
    return open_dataset(find_dataset(str(path)).with_options(**options), listener)


def samples(dataset):
    return {
        split: [(image.tolist(), label) for image, label in (dataset.read(split, index) for index in range(size))]
        for split, size in dataset.split_sizes.items()
    }


@pytest.mark.parametrize("name", PACK)
def test_an_archive_is_the_folder_that_was_packed(tmp_path, listener, name):
    folder = opened(write_folder(tmp_path / "folder", FILES), listener)
    archive = opened(PACK[name](tmp_path / name, FILES), listener)
    assert archive.class_names == folder.class_names == ("bright", "dark")
    assert archive.image_shape == folder.image_shape == (12, 10, 3)
    assert samples(archive) == samples(folder)
    for split in ("train", "test"):
        assert archive.fingerprint(split, listener) == folder.fingerprint(split, listener)
    assert archive.description == (
        f"archive of class folders {tmp_path / name}: 19 training and 5 test pictures of 12x10x3 in 2 classes; "
        "the test images are held out of the training images"
    )
    assert listener.messages == []


@pytest.mark.parametrize("pack", [write_zip, write_tar])
def test_splits_and_an_outer_folder_and_litter(tmp_path, listener, pack):
    files = {f"photos/Training/{name}": content for name, content in FILES.items()}
    files |= {f"photos/test_set/{name}": content for name, content in list(FILES.items())[::3]}
    files |= {"__MACOSX/photos/._1": b"", "README.md": b"Some photos", "photos/.DS_Store": b""}
    dataset = opened(pack(tmp_path / ("a.zip" if pack is write_zip else "a.tar"), files), listener)
    assert dataset.split_sizes == {"train": 24, "test": 8}


def test_names_that_begin_with_a_dot_and_a_slash(tmp_path, listener):
    files = {f"./{name}": content for name, content in FILES.items()}
    assert opened(write_tar(tmp_path / "a.tar", files), listener).split_sizes == {"train": 19, "test": 5}


def test_separators_of_windows(tmp_path, listener):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in FILES.items():
            info = zipfile.ZipInfo("x" * len(name))
            info.filename = name.replace("/", "\\")
            archive.writestr(info, content)
    assert opened(path, listener).class_names == ("bright", "dark")


def test_options_are_those_of_a_folder(tmp_path, listener):
    path = write_zip(tmp_path / "a.zip", FILES | {"dark/bad.png": png(1)[:200]})
    with pytest.raises(UnreadableFile, match=f"The picture dark/bad.png in {path} cannot be read: it is damaged"):
        opened(path, listener)
    dataset = opened(path, listener, skip_unreadable=True, image_size=(6, 5), channels=1, test_split=0.5)
    assert dataset.image_shape == (6, 5, 1)
    assert dataset.split_sizes == {"train": 12, "test": 12}
    assert listener.messages == ["Left out 1 of 25 files, which cannot be read: dark/bad.png"]
    named = write_zip(tmp_path / "b.zip", {f"Lehre/{name}": content for name, content in FILES.items()})
    assert opened(named, listener, split_names="train=Lehre").split_sizes == {"train": 19, "test": 5}


def test_threads_may_read_at_the_same_time(tmp_path, listener):
    dataset = opened(write_zip(tmp_path / "a.zip", FILES), listener)
    expected = [dataset.read("train", index)[0] for index in range(19)]
    with ThreadPoolExecutor(8) as pool:
        for index, (image, _) in enumerate(pool.map(lambda index: dataset.read("train", index % 19), range(200))):
            assert np.array_equal(image, expected[index % 19])


def test_it_is_uploaded_as_it_is(tmp_path, listener):
    spec = find_dataset(str(write_zip(tmp_path / "a.zip", FILES)))
    assert spec.name == "archive"
    assert [file.name for file in local_files(spec, DATASETS.build(spec), listener)] == ["a.zip"]
    spec = find_dataset(str(write_zip(tmp_path / "b.zip", FILES | {"dark/c.png": b"no image"})))
    with pytest.raises(UnreadableFile, match=r"dark/c.png in .*b.zip cannot be read"):
        local_files(spec, DATASETS.build(spec), listener)


def test_an_archive_that_changes_is_not_read_on(tmp_path, listener):
    dataset = opened(write_zip(tmp_path / "a.zip", FILES), listener)
    write_zip(tmp_path / "a.zip", dict(reversed(FILES.items())) | {"dark/new.png": png(3)})
    with pytest.raises(UnreadableFile, match=r"a.zip has changed since the run began"):
        dataset.read("train", 0)


def test_links_within_a_tar_are_followed(tmp_path, listener):
    path = write_tar(tmp_path / "a.tar", FILES)
    with tarfile.open(path, "a") as archive:
        for name, kind, target in (
            ("dark/hard.png", tarfile.LNKTYPE, "dark/00.png"),
            ("dark/soft.png", tarfile.SYMTYPE, "../dark/hard.png"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            archive.addfile(member)
    dataset = opened(path, listener, test_split=0.01)
    assert dataset.split_sizes["train"] + dataset.split_sizes["test"] == 26


def test_links_within_a_zip_are_followed(tmp_path, listener):
    path = write_zip(tmp_path / "a.zip", FILES | {"dark/soft.png": b"00.png"})
    _make_links(path, "dark/soft.png")
    dataset = opened(path, listener)
    assert sum(dataset.split_sizes.values()) == 25


def _make_links(path, *names):
    with zipfile.ZipFile(path) as archive:
        contents = {info: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w") as archive:
        for info, content in contents.items():
            made = zipfile.ZipInfo(info.filename)
            if info.filename in names:
                made.create_system, made.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(made, content)


def _link_in_tar(path, name, target, kind=tarfile.SYMTYPE):
    write_tar(path, FILES)
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        archive.addfile(member)


def _link_in_zip(path, name, target):
    write_zip(path, FILES | {name: target.encode()})
    _make_links(path, name)


def _overlapping(path):
    write_zip(path, FILES)
    content = bytearray(path.read_bytes())
    first, second = (content.rindex(b"PK\1\2", 0, content.rindex(name)) for name in (b"dark/00.png", b"dark/01.png"))
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    path.write_bytes(content)


def _encrypted(path):
    write_zip(path, FILES)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)


def _joined(path):
    write_tar(path, FILES)
    path.write_bytes(path.read_bytes() * 2)


def _cut(pack, share):
    def write(path):
        pack(path, FILES)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return write


def _twice(path):
    with tarfile.open(path, "w") as archive:
        for name, content in [*FILES.items(), ("dark/00.png", png(9))]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.zip", lambda path: write_zip(path, FILES | {"../out.png": b""}), "'../out.png' would lie outside"),
        ("a.zip", lambda path: write_zip(path, FILES | {"/etc/out.png": b""}), "'/etc/out.png' would lie outside"),
        ("a.zip", lambda path: write_zip(path, FILES | {"C:/out.png": b""}), "'C:/out.png' would lie outside"),
        ("a.zip", lambda path: write_zip(path, FILES | {"dark\\..\\..\\out.png": b""}), "would lie outside"),
        ("a.tar", lambda path: write_tar(path, FILES | {"../out.png": b""}), "'../out.png' would lie outside"),
        ("a.tar", lambda path: write_tar(path, FILES | {"/etc/out.png": b""}), "'/etc/out.png' would lie outside"),
        ("a.tar", lambda path: _link_in_tar(path, "dark/x.png", "../../secret.png"), "'dark/x.png' leads out of it"),
        ("a.tar", lambda path: _link_in_tar(path, "dark/x.png", "/etc/passwd"), "'dark/x.png' leads out of it"),
        ("a.tar", lambda path: _link_in_tar(path, "dark/x.png", "../x", tarfile.LNKTYPE), "would lie outside"),
        ("a.tar", lambda path: _link_in_tar(path, "dark/x.png", "no.png"), "leads to 'dark/no.png', which is no file"),
        ("a.tar", lambda path: _link_in_tar(path, "dark/x.png", "x.png"), "leads to 'dark/x.png', which is no file"),
        ("a.tar", lambda path: _link_in_tar(path, "dark/x.png", "", tarfile.FIFOTYPE), "'dark/x.png' is no ordinary"),
        ("a.zip", lambda path: _link_in_zip(path, "dark/x.png", "/etc/passwd"), "'dark/x.png' leads out of it"),
        ("a.zip", lambda path: _link_in_zip(path, "dark/x.png", "../../x.png"), "'dark/x.png' leads out of it"),
        ("a.zip", _overlapping, "lie one in the other"),
        ("a.zip", _encrypted, "it is encrypted"),
        ("a.zip", lambda path: write_zip(path, FILES, zipfile.ZIP_LZMA), "is compressed with lzma"),
        ("a.zip", _cut(write_zip, 0.5), "it is damaged"),
        ("a.zip", lambda path: path.write_bytes(b""), "it is damaged"),
        ("a.tar", _cut(write_tar, 0.5), "it is (damaged|cut off)"),
        ("a.tar", lambda path: path.write_bytes(b"no tar"), "it is no tar file, or is compressed"),
        ("a.tar", lambda path: write_tar(path, FILES, "w:gz"), "it is no tar file, or is compressed"),
        ("a.tar", _joined, "goes on behind its end mark"),
        ("a.tar", _twice, "two members called 'dark/00.png'"),
        ("a.tar.gz", lambda path: write_tar(path, FILES, "w:gz"), "it is compressed as a whole"),
        ("a.tgz", lambda path: write_tar(path, FILES, "w:gz"), "it is compressed as a whole"),
        ("a.7z", lambda path: path.write_bytes(b"7z"), "it is compressed as a whole"),
        ("a.zip", lambda path: write_zip(path, {"only/1.png": png(1)}), "has only one class"),
        ("a.zip", lambda path: write_zip(path, {}), "holds no class folders"),
    ],
)
def test_what_is_refused(tmp_path, listener, name, write, message):
    write(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=message):
        opened(tmp_path / name, listener)
    spec = find_dataset(str(tmp_path / name))
    with pytest.raises(DataError, match=message):
        DATASETS.build(spec).files(listener)
    assert sorted(tmp_path.rglob("*")) == before


def _says_size(path, size):
    write_zip(path, FILES | {"dark/bomb.png": png(1) + bytes(1 << 20)})
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2", 0, content.rindex(b"dark/bomb.png"))
    content[at + 24 : at + 28] = size.to_bytes(4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (600 << 20, "dark/bomb.png in .*: it would unpack to 629145600 bytes, far more than an image has"),
        (1000, "dark/bomb.png in .*: its checksum in the archive is wrong"),
    ],
)
def test_an_image_that_unpacks_to_more_is_refused(tmp_path, listener, size, message):
    path = _says_size(tmp_path / "a.zip", size)
    with pytest.raises(UnreadableFile, match=message):
        opened(path, listener)
    assert sum(opened(path, listener, skip_unreadable=True).split_sizes.values()) == 24
