"""What of a disk travels to Azure: what was named, and nothing beside it."""

import io
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_azure.backends.azure import travelling
from keras_azure.backends.azure.travelling import files_of_dataset, files_of_weights, looks_secret, write_pack
from keras_azure.description.events import Observer
from keras_azure.errors import DataError
from keras_azure.registry.specs import Spec


def sent(kind, root, observer=None, **options):
    return files_of_dataset(Spec(kind, {"path": str(root), **options}), observer or Observer())


def names(files):
    return [file.name for file in files.files]


def plant(root):
    """What lies about in folders, and is nobody's business."""
    for name in (".env", ".git/config", ".ssh/id_rsa", "server.pem", "big.bin", "Thumbs.db", "notes.txt"):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0" * (3_000_000 if name == "big.bin" else 10))
    (root.parent / "outside.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "link.png").symlink_to(root.parent / "outside.png")
    (root / "linked").symlink_to(root.parent)


def test_of_an_idx_folder_only_its_four_files_travel(idx_folder):
    plant(idx_folder)
    (idx_folder / "notes-about-idx3-ubyte.txt").write_text("mine")
    (idx_folder / "my-idx1-ubyte.key").write_text("mine")
    assert names(sent("idx", idx_folder)) == [
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ]


@pytest.mark.parametrize("ending", ["-idx{}-ubyte", "-idx{}-ubyte.gz", ".idx{}-ubyte", ".idx{}-ubyte.gz"])
def test_all_names_that_idx_files_have(tmp_path, ending):
    for stem in ("train", "t10k"):
        for content, dimensions in (("images", 3), ("labels", 1)):
            (tmp_path / f"{stem}-{content}{ending.format(dimensions)}").write_bytes(b"x")
    assert len(sent("idx", tmp_path).files) == 4


def test_of_a_folder_of_pictures_only_the_pictures_of_classes_travel(pictures):
    plant(pictures)
    for folder in (pictures / "cats", pictures / "dogs"):
        (folder / ".env").write_text("x")
        (folder / ".hidden").mkdir()
        (folder / ".hidden" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (folder / "Thumbs.db").write_text("x")
        (folder / "link.png").symlink_to(pictures / "cats" / "0000.png")
        (folder / "linked").symlink_to(pictures.parent)
    assert names(sent("folder", pictures)) == [f"{name}/000{i}.png" for name in ("cats", "dogs") for i in range(3)]


@pytest.mark.parametrize("name", ["id_rsa", "notes.txt", "huge.bin", "empty.png", "model.h5"])
def test_what_is_no_picture_is_refused_or_left_out(pictures, name, make_listener):
    (pictures / "cats" / name).write_bytes(b"" if name == "empty.png" else b"-----BEGIN")
    with pytest.raises(DataError, match=f"{name} is no picture, and nothing else is uploaded"):
        sent("folder", pictures)
    listener = make_listener()
    assert len(sent("folder", pictures, listener, skip_unreadable=True).files) == 6
    assert name in listener.messages[0]


def test_a_file_that_cannot_be_read_is_one_message(pictures):
    unreadable = pictures / "cats" / "0000.png"
    unreadable.chmod(0)
    if os.access(unreadable, os.R_OK):
        pytest.skip("the superuser may read everything")
    with pytest.raises(DataError, match="cannot be read"):
        sent("folder", pictures)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "cats").mkdir()
    with pytest.raises(DataError, match="no files to upload"):
        sent("folder", tmp_path)


def test_data_that_goes_by_name_sends_nothing():
    assert files_of_dataset(Spec("digits"), Observer()) is None


def test_another_packages_data_set_sends_the_folder_that_it_names(pictures):
    (pictures / ".env").write_text("x")
    (pictures / "labels.csv").write_text("x")
    assert "labels.csv" in names(sent("theirs", pictures))
    assert ".env" not in names(sent("theirs", pictures))
    assert names(sent("theirs", pictures / "labels.csv")) == ["labels.csv"]


def test_the_digest_is_that_of_content_and_names(pictures, tmp_path):
    before = sent("folder", pictures).digest
    os.utime(pictures / "cats" / "0000.png", (0, 0))
    moved = pictures.rename(tmp_path / "elsewhere")
    assert sent("folder", moved).digest == before
    (moved / "cats" / "0000.png").rename(moved / "cats" / "9.png")
    renamed = sent("folder", moved).digest
    with (moved / "cats" / "9.png").open("ab") as file:
        file.write(b"x")
    assert len({before, renamed, sent("folder", moved).digest}) == 3


@given(
    st.lists(
        st.dictionaries(st.text("ab", min_size=1, max_size=2), st.binary(max_size=3), max_size=3),
        min_size=2,
        max_size=2,
    )
)
def test_different_files_have_different_digests(tmp_path_factory, contents):
    digests = []
    for files in contents:
        folder = tmp_path_factory.mktemp("files")
        for name, content in files.items():
            (folder / name).write_bytes(content)
        digests.append(sent("theirs", folder).digest if files else "")
    assert (digests[0] == digests[1]) == (contents[0] == contents[1])


def test_many_small_files_are_packed_and_others_are_not(pictures, idx_folder, monkeypatch):
    monkeypatch.setattr(travelling, "_MANY_FILES", 6)
    packed = sent("folder", pictures)
    assert packed.is_packed
    assert not sent("idx", idx_folder).is_packed
    monkeypatch.setattr(travelling, "_SMALL_BYTES", 10)
    assert not sent("folder", pictures).is_packed
    assert sent("folder", pictures).digest != packed.digest  # another asset: it has other files


def test_a_pack_is_the_same_whoever_makes_it_and_when(pictures):
    files = sent("folder", pictures).files
    archives = []
    for _ in range(2):
        target = io.BytesIO()
        write_pack(files, target)
        archives.append(target.getvalue())
        os.utime(pictures / "cats" / "0000.png", (0, 0))
        (pictures / "cats" / "0001.png").chmod(0o600)
    assert archives[0] == archives[1]
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as archive:
        assert archive.getnames() == [file.name for file in files]
        assert {(member.uid, member.uname, member.mtime) for member in archive} == {(0, "", 0)}
        assert archive.extractfile("cats/0000.png").read() == (pictures / "cats" / "0000.png").read_bytes()


@given(st.lists(st.integers(0, 300), max_size=30))
def test_packs_hold_each_file_once_and_are_no_larger_than_they_have_to_be(sizes):
    files = tuple(travelling.File(str(index), None, size * 1_000_000) for index, size in enumerate(sizes))
    packs = travelling.FileSet(files, "", True).packs
    assert [file for pack in packs for file in pack] == list(files)
    for pack in packs:
        assert len([file for file in pack if file.size]) <= 1 or sum(f.size for f in pack) <= travelling._PACK_BYTES


@pytest.mark.parametrize(
    "name",
    [
        *(".env", "a/.env.local", "id_rsa", "keys/id_ed25519", "server.pem", "Server.KEY", "my.pfx", ".netrc"),
        *("credentials.json", "aws-credentials", "client_secret.json", "secrets.yaml", "db.password.txt"),
    ],
)
def test_names_that_look_secret(name):
    assert looks_secret(name)


@pytest.mark.parametrize("name", ["cats/0001.png", "environment.yml", "keyboard.jpg", "secretary.png", "run.json"])
def test_names_that_do_not(name):
    assert not looks_secret(name)


def test_the_largest_files_come_first(tmp_path):
    for size in range(8):
        (tmp_path / f"f{size}").write_bytes(b"x" * size)
    assert [file.size for file in sent("theirs", tmp_path).largest] == [7, 6, 5, 4, 3]


@pytest.mark.parametrize(
    ("name", "travels_as"),
    [
        ("model.keras", "weights.keras"),
        ("my.own.weights.h5", "weights.weights.h5"),
        ("v1.2.h5", "weights.h5"),
        ("a.$(touch x); b.h5", "weights.h5"),  # the name is in the job's command
    ],
)
def test_weights_travel_under_a_plain_name(tmp_path, name, travels_as):
    (tmp_path / name).write_bytes(b"x")
    assert names(files_of_weights(tmp_path / name, Observer())) == [travels_as]
