import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_azure.data.locate import find_dataset
from keras_azure.errors import AmbiguousName, DataError, KerasAzureError, SpecError, UnknownName
from keras_azure.registry.specs import Spec, parse


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def make(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_a_registered_name():
    assert find_dataset("digits") == Spec("digits")
    assert find_dataset("tfds(name=mnist)") == Spec("tfds", {"name": "mnist"})


def test_a_name_wins_over_a_folder_of_that_name(here):
    make(here, "digits/cat/1.png")
    assert find_dataset("digits") == Spec("digits")
    assert find_dataset("./digits") == Spec("folder", {"path": str(here / "digits")})


@pytest.mark.parametrize("name", ["mnist", "cifar10:3.0.2", "horses_or_humans/extra"])
def test_a_tfds_name(name):
    assert find_dataset(f"tfds:{name}") == Spec("tfds", {"name": name})


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_idx_folder_is_recognised(here, ending):
    make(here, f"data/train-images-idx3-ubyte{ending}", "data/notes.txt", "data/more/x")
    assert find_dataset("data") == Spec("idx", {"path": str(here / "data")})


@pytest.mark.parametrize("text", ["pictures", "./pictures", "pictures/", "../here/pictures"])
def test_a_folder_of_pictures_is_recognised(here, text):
    make(here, "pictures/cat/1.png", "pictures/README")
    assert find_dataset(text) == Spec("folder", {"path": str(here / "pictures")})


def test_a_home_folder(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    make(here, "pictures/cat/1.png")
    assert find_dataset("~/pictures") == Spec("folder", {"path": str(here / "pictures")})


def test_a_spec_gets_an_absolute_path(here):
    found = find_dataset("folder(path=pictures, skip_unreadable=True)")
    assert found == Spec("folder", {"path": str(here / "pictures"), "skip_unreadable": True})


@pytest.mark.parametrize("text", ["digits", "tfds:mnist", "odd pictures", "folder(path='odd pictures')", "quote'\"s"])
def test_what_was_found_is_found_again_from_anywhere(here, monkeypatch, text):
    make(here, "odd pictures/cat/1.png", "quote'\"s/cat/1.png")
    found = find_dataset(text)
    monkeypatch.chdir("/")
    assert find_dataset(str(found)) == found
    assert parse(str(found)) == found


def test_an_unknown_name_may_have_been_a_path(here):
    with pytest.raises(UnknownName) as caught:
        find_dataset("digit")
    assert "There is no data set called 'digit'. Did you mean 'digits'?" in str(caught.value)
    assert f"({here / 'digit'} does not exist)" in caught.value.hint


@pytest.mark.parametrize("text", ["no/such/folder", "/no/such/folder", "./nothing", "größe"])
def test_a_path_that_is_not_there(text):
    with pytest.raises(DataError, match="does not exist"):
        find_dataset(text)


@pytest.mark.parametrize("text", ["digits(", "digits(3)", "folder(path='x', path='y')", "two words(path=x)"])
def test_a_broken_spec(text):
    with pytest.raises((SpecError, DataError)):
        find_dataset(text)


def test_a_file_is_no_folder(here):
    make(here, "picture.png")
    with pytest.raises(DataError, match=r"The data folder .*/here/picture\.png is a file, not a folder\."):
        find_dataset("picture.png")


@pytest.mark.parametrize(
    ("files", "inside"),
    [
        ([], "it holds nothing."),
        (["a.png"], "it holds a.png."),
        (["a.png", "b.png", "c.png", "d.png"], "it holds a.png, b.png, c.png, ..."),
        ([".hidden/x"], "it holds .hidden."),
    ],
)
def test_a_folder_that_is_no_data_set_is_described(here, files, inside):
    (here / "data").mkdir()
    make(here / "data", *files)
    with pytest.raises(DataError, match="is no data set") as caught:
        find_dataset("data")
    assert inside in caught.value.problem
    assert "train-images-idx3-ubyte" in caught.value.expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(here):
    (here / "data").mkdir(mode=0o000)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        find_dataset("./data")


def test_a_name_of_two_packages(install_plugin):
    install_plugin("kaz-one", {"datasets": "twin = kaz_one:data"})
    install_plugin("kaz-two", {"datasets": "twin = kaz_two:data"})
    with pytest.raises(AmbiguousName):
        find_dataset("twin")


TILES = """
    from pathlib import Path

    class Tiles:
        def __init__(self, *, path):
            self.path = path

        @staticmethod
        def recognises(path):
            return path.suffix == ".tiles" and path.is_file()

        @staticmethod
        def from_text(text):
            return {"path": "/" + text.removeprefix("tiles:")}
"""


def test_a_file_that_another_packages_data_set_recognises(here, install_plugin):
    install_plugin("their-tiles", {"datasets": "tiles = their_tiles:Tiles"}, TILES)
    make(here, "a.tiles", "b.tile")
    assert find_dataset("a.tiles") == Spec("tiles", {"path": str(here / "a.tiles")})
    assert find_dataset("tiles:a/b") == Spec("tiles", {"path": "/a/b"})
    with pytest.raises(DataError, match=r"b\.tile is a file, not a folder"):
        find_dataset("b.tile")


def test_what_two_packages_recognise_is_ambiguous(here, install_plugin):
    for name in ("one", "two"):
        install_plugin(f"tiles-{name}", {"datasets": f"{name} = tiles_{name}:Tiles"}, TILES)
    make(here, "a.tiles")
    with pytest.raises(AmbiguousName, match=r"a\.tiles is recognised by one and two") as caught:
        find_dataset("a.tiles")
    assert "one(path='" in caught.value.hint


def test_a_broken_package_is_not_in_the_way_and_is_named_where_nothing_is_found(here, install_plugin):
    install_plugin("a-broken", {"datasets": "broken = a_broken:Tiles"}, "raise SystemExit('no')")
    install_plugin("a-failing", {"datasets": "failing = a_failing:Tiles"}, TILES.replace("return path.suffix", "1 / 0"))
    install_plugin("their-tiles", {"datasets": "tiles = their_tiles:Tiles"}, TILES)
    make(here, "a.tiles", "b.tile", "odd/notes.txt")
    assert find_dataset("a.tiles").name == "tiles"
    for text in ("b.tile", "odd"):
        with pytest.raises(DataError) as caught:
            find_dataset(text)
        assert "broken, failing cannot be loaded: kaz check" in caught.value.hint


def test_other_packages_are_imported_only_where_none_of_ours_recognises_the_data(here, install_plugin):
    """And nothing heavy is, not even for the files that are to be uploaded."""
    install_plugin("their-tiles", {"datasets": "tiles = their_tiles:Tiles"}, TILES)
    make(here, "images/cat/1.png", "images/dog/1.png", "a.tiles")
    for file in here.glob("images/*/*.png"):
        file.write_bytes(b"\x89PNG\r\n\x1a\n...IEND\xaeB`\x82")
    (here / "idx").mkdir()
    for stem in ("train", "t10k"):
        for content, dimensions in (("images", 3), ("labels", 1)):
            file = here / "idx" / f"{stem}-{content}-idx{dimensions}-ubyte"
            file.write_bytes(bytes([0, 0, 8, dimensions, *([0, 0, 0, 1] * dimensions), 0]))
    code = """
import json, sys
from keras_azure.data.local_files import is_here, local_files
from keras_azure.data.locate import find_dataset
from keras_azure.description.events import Observer
from keras_azure.registry.registry import DATASETS

found = []
for text in sys.argv[1:]:
    spec = find_dataset(text)
    files = local_files(spec, DATASETS.build(spec), Observer())
    found.append([spec.name, is_here(spec), [file.name for file in files], "their_tiles" in sys.modules])
heavy = {"numpy", "PIL", "tensorflow", "keras", "sklearn", "simplejpeg", "psutil"} & {*sys.modules}
print(json.dumps([found, sorted(heavy)]))
"""
    texts = ["digits", "./images", "./idx", "tfds:mnist", "mnist", "azureml:mnist:1", "a.tiles"]
    done = subprocess.run([sys.executable, "-c", code, *texts], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, heavy = json.loads(done.stdout)
    assert heavy == []
    names = [f"{stem}-{content}-ubyte" for stem in ("train", "t10k") for content in ("images-idx3", "labels-idx1")]
    assert found == [
        ["digits", True, [], False],
        ["folder", True, ["cat/1.png", "dog/1.png"], False],
        ["idx", True, names, False],
        ["tfds", False, [], False],
        ["mnist", False, [], False],
        ["azureml", False, [], False],
        ["tiles", True, ["a.tiles"], True],
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "a\x00b",
        "a" * 300,
        "./" + "a" * 300,
        "./a\\x00b",
        "tfds:",
        "loop",
        "./loop",
        "~nobody-of-that-name/data",
        "folder(path=loop)",
        "folder(path='a\\x00b')",
    ],
)
def test_odd_texts(here, text):
    (here / "loop").symlink_to("loop")
    try:
        assert isinstance(find_dataset(text), Spec)
    except KerasAzureError as error:
        assert str(error)


@given(st.text(max_size=30))
def test_any_text_is_found_or_refused(text):
    try:
        assert isinstance(find_dataset(text), Spec)
    except KerasAzureError as error:
        assert str(error)
