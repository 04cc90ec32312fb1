"""What of a disk is uploaded to Azure: what was named, as a run here reads it, and nothing beside it."""

import io
import os
import shutil
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_azure.backends.azure import manifest
from keras_azure.backends.azure.manifest import files_of_dataset, files_of_weights, looks_secret, write_pack
from keras_azure.data import open_dataset
from keras_azure.data.local_files import moved
from keras_azure.description.events import Observer
from keras_azure.errors import BrokenPlugin, DataError, UnreadableFile
from keras_azure.registry.registry import DATASETS
from keras_azure.registry.specs import Spec


def sent(kind, root, observer=None, **options):
    return taken(Spec(kind, {"path": str(root), **options}), observer)


def taken(spec, observer=None):
    return files_of_dataset(spec, DATASETS.build(spec), observer or Observer())


@pytest.fixture
def theirs(install_plugin):
    """A data set of another package that does not say which files are its own."""
    install_plugin("their-data", {"datasets": "theirs = their_data:theirs"}, "def theirs(*, path): return object()")


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
def test_all_names_that_idx_files_have(idx_folder, ending):
    for file in [*idx_folder.iterdir()]:
        stem, content, dimensions, _ = file.name.replace("-idx", "-").split("-")
        file.rename(idx_folder / f"{stem}-{content}{ending.format(dimensions)}")
    assert len(sent("idx", idx_folder).files) == 4


@pytest.mark.parametrize(
    "content", [b"-----BEGIN", b"", b"\x1f\x8bno gzip", bytes([0, 0, 8, 1]) + b"\0\0\0\1", b"\0\0"]
)
def test_a_link_to_something_else_than_an_idx_file_is_refused_as_by_the_reader(idx_folder, tmp_path, content):
    images = idx_folder / "t10k-images-idx3-ubyte"
    images.unlink()
    (tmp_path / "id_rsa").write_bytes(content)
    images.symlink_to(tmp_path / "id_rsa")
    with pytest.raises(UnreadableFile) as here:
        open_dataset(Spec("idx", {"path": str(idx_folder)}), Observer())
    with pytest.raises(UnreadableFile) as there:
        sent("idx", idx_folder)
    assert str(there.value) == str(here.value)


def test_links_to_idx_files_are_followed_and_of_two_spellings_that_which_is_read_is_taken(idx_folder, tmp_path):
    labels = idx_folder / "train-labels-idx1-ubyte"
    elsewhere = labels.rename(tmp_path / "labels")
    labels.symlink_to(elsewhere)
    (idx_folder / "train-images-idx3-ubyte.gz").write_bytes(b"an older one")
    assert names(sent("idx", idx_folder)) == [
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
    ]


def test_of_a_folder_of_images_only_the_images_of_classes_are_taken(pictures):
    plant(pictures)
    for folder in (pictures / "cats", pictures / "dogs"):
        (folder / ".env").write_text("x")
        (folder / ".hidden").mkdir()
        (folder / ".hidden" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (folder / "Thumbs.db").write_text("x")
        (folder / "linked").symlink_to(pictures.parent)
    assert names(sent("folder", pictures)) == [f"{name}/000{i}.png" for name in ("cats", "dogs") for i in range(3)]


def test_links_to_images_are_followed_as_by_a_run_here(make_pictures, tmp_path):
    """Eight images, of which four are links."""
    root, elsewhere = make_pictures(tmp_path / "data", 4), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("cats", "dogs"):
        for file in sorted((root / name).iterdir())[:2]:
            file.symlink_to(file.rename(elsewhere / f"{name}-{file.name}"))
    made = sent("folder", root)
    assert len(names(made)) == 8
    assert names(made) == sorted(path.relative_to(root).as_posix() for path in root.glob("*/*"))
    here = open_dataset(Spec("folder", {"path": str(root)}), Observer())
    assert sum(here.split_sizes.values()) == len(made.files)
    target = io.BytesIO()
    write_pack(made.files, target)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        assert all(member.isreg() for member in archive)
        assert archive.extractfile("cats/0000.png").read() == (elsewhere / "cats-0000.png").read_bytes()


def test_links_to_folders_are_followed_as_by_a_run_here(make_pictures, tmp_path, make_listener):
    pictures, root = make_pictures(tmp_path / "data", 3), tmp_path / "links"
    root.mkdir()
    for name in ("cats", "dogs"):
        (root / name).symlink_to(pictures / name)
    (pictures / "cats" / "again").symlink_to(root)
    here, there = make_listener(), make_listener()
    made = sent("folder", root, there)
    assert names(made) == [f"{name}/000{index}.png" for name in ("cats", "dogs") for index in range(3)]
    assert sum(open_dataset(Spec("folder", {"path": str(root)}), here).split_sizes.values()) == 6
    assert here.messages == there.messages == ["Left out, as links that lead back to where they are: cats/again"]


@pytest.mark.parametrize("kind", ["nowhere", "itself", "pipe", "device", "text", "empty"])
@pytest.mark.parametrize("split", ["", "train/"])
def test_what_the_reader_refuses_is_refused_in_the_same_words(make_pictures, tmp_path, kind, split):
    root = tmp_path / "data"
    make_pictures(root / split, 2)
    odd = root / split / "cats" / "odd.png"
    match kind:
        case "nowhere":
            odd.symlink_to("nowhere")
        case "itself":
            odd.symlink_to("odd.png")
        case "pipe":
            os.mkfifo(tmp_path / "pipe")
            odd.symlink_to(tmp_path / "pipe")
        case "device":
            odd.symlink_to("/dev/zero")
        case "text":
            (tmp_path / "id_rsa").write_text("-----BEGIN")
            odd.symlink_to(tmp_path / "id_rsa")
        case "empty":
            odd.touch()
    with pytest.raises(UnreadableFile) as here:
        open_dataset(Spec("folder", {"path": str(root)}), Observer())
    with pytest.raises(UnreadableFile) as there:
        sent("folder", root)
    assert str(there.value) == str(here.value)
    assert str(odd) in str(there.value)
    made = sent("folder", root, skip_unreadable=True)
    left = open_dataset(Spec("folder", {"path": str(root), "skip_unreadable": True}), Observer())
    assert len(made.files) == sum(left.split_sizes.values()) == 4


@pytest.mark.parametrize("layout", ["one class", "splits as classes", "beside", "nothing", "not there"])
def test_a_layout_that_the_reader_refuses_is_refused_in_the_same_words(pictures, layout, tmp_path):
    root = pictures
    match layout:
        case "one class":
            (pictures / "dogs").rename(tmp_path / "dogs")
        case "splits as classes":
            for name in ("fold1", "fold2"):
                shutil.copytree(pictures, tmp_path / "folds" / name)
            root = tmp_path / "folds"
        case "beside":
            (pictures / "cats").rename(pictures / "train")
            (pictures / "train" / "cats").mkdir()
            (pictures / "dogs").rename(pictures / "test")
            (pictures / "birds").mkdir()
        case "nothing":
            root = tmp_path / "nothing"
            root.mkdir()
        case "not there":
            root = tmp_path / "gone"
    refused = []
    for look in (lambda: open_dataset(Spec("folder", {"path": str(root)}), Observer()), lambda: sent("folder", root)):
        with pytest.raises(DataError) as caught:
            look()
        refused.append(str(caught.value))
    assert refused[0] == refused[1]


@pytest.mark.parametrize("name", ["id_rsa", "notes.txt", "huge.bin", "empty.png", "model.h5"])
def test_what_is_no_image_is_refused_or_left_out(pictures, name, make_listener):
    (pictures / "cats" / name).write_bytes(b"" if name == "empty.png" else b"-----BEGIN")
    with pytest.raises(DataError, match=f"{name} cannot be read: it is (no picture|empty)"):
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


def test_an_empty_folder_is_refused(tmp_path, theirs):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no files to upload"):
        sent("theirs", tmp_path / "empty")


def test_an_idx_folder_without_one_of_its_files_is_refused(idx_folder):
    (idx_folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="has no file t10k-labels-idx1-ubyte"):
        sent("idx", idx_folder)


@pytest.mark.parametrize("spec", [Spec("digits"), Spec("mnist"), Spec("tfds", {"name": "cifar10"})])
def test_data_that_goes_by_name_sends_nothing(spec):
    assert taken(spec) is None


def test_another_packages_data_set_sends_the_folder_that_it_names(pictures, theirs):
    (pictures / ".env").write_text("x")
    (pictures / "labels.csv").write_text("x")
    assert "labels.csv" in names(sent("theirs", pictures))
    assert ".env" not in names(sent("theirs", pictures))
    assert names(sent("theirs", pictures / "labels.csv")) == ["labels.csv"]


@pytest.mark.parametrize("kind", ["file", "folder", "nowhere"])
def test_of_a_data_set_that_says_nothing_of_its_files_links_are_refused(pictures, theirs, tmp_path, kind):
    (tmp_path / "id_rsa").write_text("mine")
    (pictures / "cats" / "more").symlink_to({"file": tmp_path / "id_rsa", "folder": tmp_path, "nowhere": "x"}[kind])
    with pytest.raises(DataError, match="cats/more is a link, and the data set 'theirs' does not say"):
        sent("theirs", pictures)


def test_a_data_set_says_which_files_are_its_own(install_plugin, tmp_path):
    code = """
        from pathlib import Path

        class Pairs:
            def __init__(self, *, images_path, labels_path, wrong=""):
                self.given = images_path, labels_path, wrong

            def files(self, observer):
                images, labels, wrong = self.given
                yield labels
                yield from sorted(Path(images).glob("*.raw"))
                if wrong:
                    yield Path(images, wrong)
    """
    install_plugin("their-pairs", {"datasets": "pairs = their_pairs:Pairs"}, code)
    (tmp_path / "raw").mkdir()
    for name in ("raw/a.raw", "raw/b.raw", "raw/notes.txt", "labels.csv", "secret"):
        (tmp_path / name).write_text(name)
    spec = Spec("pairs", {"images_path": str(tmp_path / "raw"), "labels_path": str(tmp_path / "labels.csv")})
    assert names(taken(spec)) == ["images_path/a.raw", "images_path/b.raw", "labels_path/labels.csv"]
    there = {"images_path": "data/images_path", "labels_path": "data/labels_path/labels.csv"}
    assert moved(spec, "data").options == there
    within = spec.with_options(images_path=str(tmp_path))
    assert names(taken(within)) == ["labels.csv"]
    assert moved(within, "data").options == {"images_path": "data", "labels_path": "data/labels.csv"}
    for outside in ("../secret", "/etc/hostname"):
        with pytest.raises(BrokenPlugin, match="to which none of its options leads"):
            taken(spec.with_options(wrong=outside))


def test_a_data_set_that_cannot_name_its_files_is_one_message(install_plugin, tmp_path):
    code = """
        class Torn:
            def __init__(self, *, path): pass
            def files(self, observer): return 1 / 0
    """
    install_plugin("their-torn", {"datasets": "torn = their_torn:Torn"}, code)
    with pytest.raises(BrokenPlugin, match="cannot say which files it is made of: ZeroDivisionError"):
        sent("torn", tmp_path)


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the plugin stays the same
@given(
    st.lists(
        st.dictionaries(st.text("ab", min_size=1, max_size=2), st.binary(max_size=3), max_size=3),
        min_size=2,
        max_size=2,
    )
)
def test_different_files_have_different_digests(theirs, tmp_path_factory, contents):
    digests = []
    for files in contents:
        folder = tmp_path_factory.mktemp("files")
        for name, content in files.items():
            (folder / name).write_bytes(content)
        digests.append(sent("theirs", folder).digest if files else "")
    assert (digests[0] == digests[1]) == (contents[0] == contents[1])


def test_many_small_files_are_packed_and_others_are_not(pictures, idx_folder, monkeypatch):
    monkeypatch.setattr(manifest, "_MANY_FILES", 6)
    packed = sent("folder", pictures)
    assert packed.is_packed
    assert not sent("idx", idx_folder).is_packed
    monkeypatch.setattr(manifest, "_SMALL_BYTES", 10)
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
    files = tuple(manifest.File(str(index), None, size * 1_000_000) for index, size in enumerate(sizes))
    packs = manifest.FileSet(files, "", True).packs
    assert [file for pack in packs for file in pack] == list(files)
    for pack in packs:
        assert len([file for file in pack if file.size]) <= 1 or sum(f.size for f in pack) <= manifest._PACK_BYTES


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
