"""`kaz data check` of data that is damaged or made to do harm: it says what is wrong with it, or is one sentence."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from fixtures.archives import class_folders, png, write_folder, write_parquet, write_shard, write_zip
from fixtures.photographs import photograph
from hypothesis import strategies as st
from PIL import Image

import keras_azure
from keras_azure.checking.findings import DataCheck
from keras_azure.description.events import Observer
from keras_azure.errors import UsageError

MORE = 6.0  # times as many inputs as other parsers get: they are the 300 that are due for this command


def checked(path: Path, **options) -> DataCheck:
    """All that a check says; it has to have looked at what there is."""
    check = keras_azure.check_data(path, labels=False, observer=Observer(), **options)
    report = json.loads(json.dumps(check.to_json(), allow_nan=False))
    assert report["images"] == len(check.looked.readable) + len(check.unreadable)
    assert report["failed"] == check.failed
    assert all(line.isprintable() for line in str(check).split("\n"))
    assert "<script" not in check._repr_html_()
    return check


def file_of(seed: int, kind: str) -> bytes:
    content = io.BytesIO()
    photograph(seed, (30, 40)).save(content, kind)
    return content.getvalue()


def test_folders_of_damaged_images(throw, changed, tmp_path):
    """A damaged image is named, whatever is wrong with it, and the others are looked at."""
    sound = class_folders(4)
    contents = [file_of(seed, kind) for seed in range(2) for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP")]
    root = write_folder(tmp_path / "images", sound)

    def parse(made):
        damaged, ending = made
        place = root / "dark" / f"damaged.{ending}"
        place.write_bytes(damaged)
        try:
            check = checked(root)
        finally:
            place.unlink()
        assert len(check.looked.readable) >= len(sound)
        if check.unreadable:
            [(number, problem)] = check.unreadable.items()
            assert check.place(number) == f"dark/damaged.{ending}"
            assert check.failed
            raise UsageError(problem)  # which has to be fit to be printed, as what is refused has

    checked(root)  # compiled code is loaded at first, by pickle
    throw(st.tuples(changed(contents) | st.binary(max_size=100), st.sampled_from(["png", "jpg", "webp"])), parse, MORE)


def test_damaged_tables(throw, changed, texts, tmp_path):
    names = [f"{number}.png" for number in range(8)]
    write_folder(tmp_path, {name: png(number, (4, 4)) for number, name in enumerate(names)})
    path = tmp_path / "labels.csv"
    rows = [f"{name},{'ab'[number % 2]},{'train' if number < 6 else 'test'}" for number, name in enumerate(names)]
    contents = [
        "\n".join(["file,label,split", *rows]).encode(),
        "\r\n".join(["file;label;split", *(row.replace(",", ";") for row in rows)]).encode("utf-16"),
        "\n".join(["file,age", *(f"{name},{number / 2}" for number, name in enumerate(names))]).encode(),
        "\n".join(["file,label", *(f"{name},a;b" for name in names)]).encode(),
    ]
    cells = st.sampled_from([*names, "a", "1e999", "nan", "", "missing.png", ".."]) | texts
    lines = st.lists(st.tuples(cells, cells), max_size=8).map(
        lambda made: "\n".join(["file,label", *map(",".join, made)]).encode("utf-8", "surrogatepass")
    )

    def parse(damaged):
        path.write_bytes(damaged)
        checked(path)

    parse(contents[0])  # compiled code is loaded at first, by pickle
    throw(st.one_of(changed(contents), changed(contents), lines, st.binary(max_size=200)), parse, MORE)


@pytest.mark.parametrize("way", ["zip", "shard", "parquet", "npz", "mnist"])
def test_damaged_files_of_many_images(throw, changed, tmp_path, monkeypatch, way):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))  # for the index of a shard
    files = class_folders(5)
    path = tmp_path / {"zip": "a.zip", "shard": "a.tar", "parquet": "a.parquet", "npz": "a.npz", "mnist": "mnist"}[way]
    match way:
        case "zip":
            write_zip(path, files)
        case "shard":
            write_shard(path, files)
        case "parquet":
            write_parquet(path, files)
        case "npz":
            images = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in files.values()])
            np.savez(path, x_train=images, y_train=np.arange(10) % 2, x_test=images[:4], y_test=np.arange(4) % 2)
        case "mnist":
            path.mkdir()
            for name, size in (("train", 8), ("t10k", 4)):
                header = np.array([0x803, size, 4, 4], ">u4").tobytes()
                (path / f"{name}-images-idx3-ubyte").write_bytes(header + bytes(range(16)) * size)
                labels = np.array([0x801, size], ">u4").tobytes() + bytes([0, 1]) * (size // 2)
                (path / f"{name}-labels-idx1-ubyte").write_bytes(labels)
    damaged = path / "train-images-idx3-ubyte" if way == "mnist" else path
    content = damaged.read_bytes()

    def parse(made):
        damaged.write_bytes(made)
        checked(path)

    parse(content)  # compiled code is loaded at first, by pickle
    throw(changed([content]), parse)
