"""Shards of WebDataset and Parquet files that are damaged or made to do harm."""

import json

import pyarrow
import pyarrow.parquet
import pytest
from fixtures.archives import class_folders, write_parquet, write_shard, write_tar
from hypothesis import strategies as st

from keras_azure.data.formats.parquet import Column, Parquet, choose_columns
from keras_azure.data.formats.webdataset import WebDataset
from keras_azure.data.shard_index import index_of
from keras_azure.data.store import indices_folder
from keras_azure.description.events import Observer

FILES = class_folders(3)
IMAGE = next(iter(FILES.values()))


@pytest.fixture(autouse=True)
def indices_in_the_tests_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KAZ_CACHE", str(tmp_path / "cache"))


def read_all(dataset):
    dataset.files(Observer())
    dataset.prepare(Observer())
    for split, size in dataset.split_sizes.items():
        for index in range(size):
            image, label = dataset.read(split, index)
            assert image.shape == dataset.image_shape
            assert 0 <= label < len(dataset.class_names)


def test_damaged_shards(throw, changed, tmp_path):
    path = tmp_path / "data.tar"
    content = write_shard(path, FILES).read_bytes()

    def parse(damaged):
        path.write_bytes(damaged)
        WebDataset.recognises(path)
        read_all(WebDataset(path=str(path)))

    throw(st.one_of(changed([content]), st.binary(max_size=1200)), parse, share=0.5)


def test_shards_with_strange_members(throw, texts, tmp_path):
    path = tmp_path / "data.tar"

    def parse(members):
        write_tar(path, {name.encode("utf-8", "replace").decode(): content for name, content in members.items()})
        read_all(WebDataset(path=str(path)))

    names = st.one_of(st.sampled_from(["1.png", "1.cls", "2.png", "2.cls", "2.jpg", "../3.png", "../3.cls"]), texts)
    contents = st.sampled_from([IMAGE, b"", b"1", b"2", b"\xff", b"a" * 5000, b"\x1b[2J"])
    throw(st.dictionaries(names, contents, max_size=6), parse)


def test_damaged_indices(survives, changed, tmp_path):
    """What is kept in the cache folder is believed as far as it can be right; nothing is refused for it."""
    path = write_shard(tmp_path / "data.tar", FILES)
    made = index_of(path)
    (kept,) = indices_folder().iterdir()
    content = kept.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 200)):
        kept.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        found = survives(lambda: index_of(path))
        assert found.starts.tolist() == made.starts.tolist()


def test_damaged_parquet_files(throw, changed, tmp_path):
    path = tmp_path / "data.parquet"
    contents = [
        write_parquet(path, FILES, compression=compression).read_bytes() for compression in ("snappy", "none", "zstd")
    ]

    def parse(damaged):
        path.write_bytes(damaged)
        Parquet.recognises(path)
        read_all(Parquet(path=str(path)))

    throw(st.one_of(changed(contents), st.binary(max_size=200)), parse, share=0.5)


def arrays() -> st.SearchStrategy[pyarrow.Array]:
    images = pyarrow.array([{"bytes": content, "path": name} for name, content in FILES.items()])
    return st.sampled_from(
        [
            *(images, images.field("bytes"), pyarrow.array([IMAGE, None, b""] * 2), pyarrow.array([None] * 6)),
            *(pyarrow.array([0, 1] * 3), pyarrow.array([-1] * 6), pyarrow.array([2**63 - 1, 0] * 3)),
            *(pyarrow.array([2**64 - 1, 0] * 3, pyarrow.uint64()), pyarrow.array([0.5] * 6)),
            *(pyarrow.array(["a", "b"] * 3), pyarrow.array(["\x1b", ""] * 3), pyarrow.array([["a"]] * 6)),
            *(pyarrow.array([{"bytes": 1}] * 6), pyarrow.array([{"path": "x"}] * 6), images.dictionary_encode)[:2],
            *(pyarrow.array(["a", "b"] * 3).dictionary_encode(), pyarrow.array([True, False] * 3)),
        ]
    )


NAMES = st.sampled_from(["image", "label", "img", "labels", "", "image.bytes", "a.b", "\x1b[2J", "../x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FEATURES = st.dictionaries(
    NAMES,
    st.fixed_dictionaries(
        {"_type": st.sampled_from(["Image", "ClassLabel", 3])}, optional={"names": JSON | st.just(["a", "b"])}
    ),
)
METADATA = st.one_of(
    st.binary(max_size=30),
    JSON.map(json.dumps).map(str.encode),
    FEATURES.map(lambda features: json.dumps({"info": {"features": features}}).encode()),
)


def test_parquet_files_with_any_columns(throw, tmp_path):
    path = tmp_path / "data.parquet"

    def parse(made):
        columns, metadata = made
        table = pyarrow.table(columns) if columns else pyarrow.table({"x": []})
        pyarrow.parquet.write_table(table.replace_schema_metadata({b"huggingface": metadata}), path)
        read_all(Parquet(path=str(path)))

    throw(st.tuples(st.dictionaries(NAMES, arrays(), max_size=3), METADATA), parse)


def test_schemas(throw, texts):
    kinds = st.sampled_from(["image", "binary", "number", "text", "other"])
    columns = st.lists(st.builds(Column, NAMES | texts, kinds), max_size=5)

    def parse(made):
        found, metadata, label = made
        choose_columns(found, metadata, "It", image=None, label=label)

    throw(st.tuples(columns, METADATA, st.none() | NAMES), parse)
