"""Zip and tar files of class folders that are damaged or made to do harm."""

import io
import tarfile
import warnings
import zipfile

import pytest
from fixtures.archives import class_folders, write_tar, write_zip
from hypothesis import strategies as st

from keras_azure.data.formats.archive import ImageArchive
from keras_azure.description.events import Observer

FILES = class_folders(3)


def read_all(path):
    recognised = ImageArchive.recognises(path)
    dataset = ImageArchive(path=str(path))
    assert isinstance(recognised, bool)
    dataset.files(Observer())
    dataset.prepare(Observer())
    for split, size in dataset.split_sizes.items():
        for index in range(size):
            image, label = dataset.read(split, index)
            assert image.shape == dataset.image_shape
            assert 0 <= label < len(dataset.class_names)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return {
        "zip": [
            write_zip(folder / "a.zip", FILES, method).read_bytes()
            for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        ],
        "tar": [write_tar(folder / "a.tar", FILES).read_bytes(), _of_kind(FILES, tarfile.PAX_FORMAT)],
    }


def _of_kind(files, kind) -> bytes:
    """With names for which the headers of GNU or of PAX are needed, and with links."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=kind) as archive:
        for name, image in files.items():
            member = tarfile.TarInfo(f"{name.removesuffix('.png')}-{'é' * 90}.png")
            member.size = len(image)
            archive.addfile(member, io.BytesIO(image))
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, member.name.rpartition("/")[2]
            archive.addfile(link)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_damaged_archives(throw, changed, packed, tmp_path, kind):
    path = tmp_path / f"data.{kind}"

    def parse(content):
        path.write_bytes(content)
        read_all(path)

    contents = [*packed[kind], *([_of_kind(FILES, tarfile.GNU_FORMAT)] if kind == "tar" else [])]
    throw(st.one_of(changed(contents), st.binary(max_size=1200)), parse, share=0.5)


IMAGE = next(iter(FILES.values()))
CONTENTS = st.sampled_from([IMAGE, b"", b"no image", IMAGE[:40], IMAGE * 2])


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_with_strange_names(throw, texts, tmp_path, kind):
    path = tmp_path / f"data.{kind}"

    def parse(files):
        files = {name.encode("utf-8", "replace").decode(): content for name, content in files.items()}
        if kind == "zip":
            files = {
                name[:1000] if name[:1].strip("\0") else "x" + name[:999]: content for name, content in files.items()
            }
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # zipfile cuts names at a null byte, and warns where they are equal then
                write_zip(path, files)
        else:
            write_tar(path, files)
        read_all(path)

    names = st.one_of(texts, st.tuples(texts, texts).map("/".join), st.sampled_from([*FILES]))
    throw(st.dictionaries(names, CONTENTS, max_size=6), parse)


TYPES = [tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, b"S"]
NAMES = st.sampled_from([*FILES, "dark/x.png", "x", "../x", "/etc/passwd", "", "dark/../x.png", "loop", "dark"])


def test_tars_with_links_of_any_kind(throw, tmp_path):
    path = tmp_path / "data.tar"

    def parse(members):
        write_tar(path, FILES)
        with tarfile.open(path, "a") as archive:
            for name, kind, target in members:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, target
                archive.addfile(member)
        read_all(path)

    throw(st.lists(st.tuples(NAMES, st.sampled_from(TYPES), NAMES), min_size=1, max_size=4), parse)
