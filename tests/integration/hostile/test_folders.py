"""Folders of pictures with links, pipes, sockets and names that are made to do harm."""

import contextlib
import io
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from keras_azure.data.formats.folder import Folder
from keras_azure.data.locate import find_dataset
from keras_azure.errors import DataError, UnreadableFile
from keras_azure.listeners.display import PlainDisplay


@pytest.fixture
def pictures(tmp_path) -> Path:
    root = tmp_path / "pictures"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.full((4, 5), number, np.uint8)).save(root / name / f"{number}.png")
    return root


def opened(root: Path, **options):
    find_dataset(str(root))
    dataset = Folder(path=str(root), **options)
    shown = io.StringIO()
    display = PlainDisplay(Console(file=shown))
    dataset.prepare(display)
    display.message(dataset.description)
    assert shown.getvalue().replace("\n", "").isprintable()
    return dataset


def test_a_ring_of_links_is_not_followed(pictures, survives):
    (pictures / "cat" / "loop").symlink_to("..")
    (pictures / "loop").symlink_to(".")
    (pictures / "cat" / "self").symlink_to("self")
    error = survives(lambda: opened(pictures))
    assert isinstance(error, UnreadableFile)
    dataset = survives(lambda: opened(pictures, skip_unreadable=True))
    assert dataset.class_names == ("cat", "dog")
    assert sum(dataset.split_sizes.values()) == 6


def test_links_to_folders_are_followed(pictures, survives, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    Image.new("L", (5, 4)).save(tmp_path / "elsewhere" / "picture.png")
    for place in (pictures / "cat" / "more", pictures / "mouse"):
        place.symlink_to(tmp_path / "elsewhere")
    dataset = survives(lambda: opened(pictures))
    assert dataset.class_names == ("cat", "dog", "mouse")
    assert sum(dataset.split_sizes.values()) == 8


@pytest.mark.parametrize("target", ["/", "{root}", "{root}/.."])
def test_a_link_to_what_holds_the_data_is_left_out(pictures, survives, target):
    (pictures / "cat" / "everything").symlink_to(target.format(root=pictures))
    assert sum(survives(lambda: opened(pictures)).split_sizes.values()) == 6


def test_folders_that_link_to_each_other_in_more_ways_than_there_are_atoms_are_refused(pictures, survives):
    names = [f"part{number:02}" for number in range(24)]
    for name in names:
        (pictures / "cat" / name).mkdir()
        for other in names:
            (pictures / "cat" / name / f"to-{other}").symlink_to(f"../../{other}", target_is_directory=True)
            (pictures / "cat" / name / other).symlink_to(pictures / "cat" / other)
    error = survives(lambda: opened(pictures))
    assert isinstance(error, DataError)


def test_links_to_pictures_elsewhere_are_read(pictures, survives, tmp_path):
    picture = tmp_path / "elsewhere.png"
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(picture)
    (pictures / "cat" / "linked.png").symlink_to(picture)
    assert sum(survives(lambda: opened(pictures)).split_sizes.values()) == 7


@pytest.mark.parametrize("kind", ["broken link", "pipe", "socket", "device"])
def test_what_is_no_file_is_named_and_can_be_left_out(pictures, survives, kind, monkeypatch):
    place = pictures / "cat" / "odd.png"
    with socket.socket(socket.AF_UNIX) as listening:
        match kind:
            case "broken link":
                place.symlink_to("nowhere")
            case "pipe":
                os.mkfifo(place)
            case "socket":
                monkeypatch.chdir(place.parent)  # the path of a socket must be short
                listening.bind(place.name)
            case "device":
                place.symlink_to("/dev/zero")
        error = survives(lambda: opened(pictures))
        assert isinstance(error, UnreadableFile)
        assert str(place) in str(error)
        assert sum(survives(lambda: opened(pictures, skip_unreadable=True)).split_sizes.values()) == 6


NAMES = [
    b"\xff\xfe",
    b"\x1b[31mred",
    b"two\nlines",
    b"\x1b]0;title\x07",
    b"-rf",
    b"\xe2\x80\xaegnp",
    b"...",
    b"a" * 200,
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_files_reach_no_terminal_raw(pictures, survives, name):
    place = os.fsencode(pictures / "cat") + b"/" + name
    with open(place, "wb") as file:  # noqa: PTH123 - a Path has no bytes
        file.write(b"no picture")
    survives(lambda: opened(pictures))
    dataset = survives(lambda: opened(pictures, skip_unreadable=True))
    assert dataset.class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "problem"),
    [(b"\xff\xfe", "is not UTF-8"), (b"\x1b[31mred", "control characters"), (b"two\nlines", "control characters")],
)
def test_classes_with_names_that_cannot_be_shown_are_refused(pictures, survives, name, problem):
    os.rename(pictures / "cat", os.fsencode(pictures) + b"/" + name)  # noqa: PTH104 - a Path has no bytes
    error = survives(lambda: opened(pictures))
    assert isinstance(error, DataError)
    assert problem in str(error)


def test_strange_folders(throw, tmp_path):
    """Some files, folders, links and pipes of any name, in any place."""
    name = st.one_of(
        st.sampled_from([b"train", b"test", b"val", b"cat", b"dog", b"a.png", b"idx3-ubyte", *NAMES]),
        st.binary(min_size=1, max_size=8).filter(
            lambda name: b"/" not in name and b"\0" not in name and name.strip(b".")
        ),
    )
    path = st.lists(name, min_size=1, max_size=3).map(b"/".join)
    kind = st.sampled_from(["picture", "picture", "text", "folder", "link up", "link", "pipe"])
    picture = Image.fromarray(np.zeros((2, 2), np.uint8))
    number = iter(range(10**9))

    def parse(things):
        root = tmp_path / str(next(number))
        root.mkdir()
        for place, kind in things:
            make(os.fsencode(root) + b"/" + place, kind, picture)
        dataset = opened(root, skip_unreadable=True)
        for split in dataset.split_sizes:
            assert dataset.read(split, 0)[0].dtype == np.uint8

    throw(st.lists(st.tuples(path, kind), max_size=8), parse)


def make(place: bytes, kind: str, picture: Image.Image) -> None:
    with contextlib.suppress(OSError):  # there may be a file where a folder has to be
        os.makedirs(os.path.dirname(place), exist_ok=True)  # noqa: PTH103, PTH120 - a Path has no bytes
        if os.path.lexists(place):
            return
        match kind:
            case "picture":
                picture.save(place, "PNG")
            case "text":
                os.close(os.open(place, os.O_CREAT))
            case "folder":
                os.mkdir(place)  # noqa: PTH102
            case "link up":
                os.symlink(b"..", place)  # noqa: PTH211
            case "link":
                os.symlink(b"a.png", place)  # noqa: PTH211
            case "pipe":
                os.mkfifo(place)
