"""Tables that are damaged or made to do harm."""

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from fixtures.archives import png
from hypothesis import strategies as st

from keras_azure.data import open_dataset
from keras_azure.data.formats.table import Table
from keras_azure.data.local_files import local_files
from keras_azure.data.locate import find_dataset
from keras_azure.description.events import Observer
from keras_azure.errors import DataError
from keras_azure.registry.registry import DATASETS

NAMES = [f"{number}.png" for number in range(8)]
ROWS = [f"{name},{'ab'[number % 2]}" for number, name in enumerate(NAMES)]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(png(number, (4, 4)))
    (tmp_path / "secret.png").write_bytes(png(99, (4, 4)))
    return folder


def read_all(path: Path, **options):
    """Whatever is refused, each thing that is done with a table does so in its own way."""
    table = Table(path=str(path), **options)
    Table.recognises(path)
    table.files(Observer())
    table.prepare(Observer())
    for split, size in table.split_sizes.items():
        for index in range(size):
            image, label = table.read(split, index)
            assert image.shape == table.image_shape
            assert table.task != "classify" or 0 <= label < len(table.class_names)
        assert len(table.known_labels(split)) == size


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "task": st.sampled_from(["auto", "classify", "multilabel", "regress"]),
        "label_separator": st.sampled_from([";", ",", " ", "a"]),
        "label_column": st.sampled_from([("label",), ("file",), ("label", "split"), ("x,y",), ("",)]),
        "split_column": st.sampled_from(["none", "label", "split"]),
        "group_column": st.sampled_from(["label", "split", "file"]),
        "weight_column": st.sampled_from(["label", "split"]),
        "skip_unreadable": st.booleans(),
    },
)


def test_damaged_tables(throw, changed, images):
    path = images / "labels.csv"
    contents = [
        "\n".join(
            ["file,label,split", *(f"{row},{'train' if n < 6 else 'test'}" for n, row in enumerate(ROWS))]
        ).encode(),
        ("\ufeff" + "\r\n".join(["file;label", *(row.replace(",", ';"') + '"' for row in ROWS)])).encode("utf-16"),
    ]

    def parse(made):
        damaged, options = made
        path.write_bytes(damaged)
        read_all(path, **options)

    throw(st.tuples(st.one_of(changed(contents), st.binary(max_size=200)), OPTIONS), parse)


def test_tables_of_any_texts(throw, texts, images):
    path = images / "labels.csv"
    cells = st.one_of(
        st.sampled_from([*NAMES, "a", "b", "1", "0.5", "train", "test", "1e999", "nan", '"', "x;y"]), texts
    )

    def parse(made):
        header, rows, options = made
        lines = [header, *(",".join(row) for row in rows)]
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        read_all(path, **options)

    headers = st.sampled_from(["file,label,split", "id,label,label", "file,label,", "label,file,x"])
    throw(
        st.tuples(headers, st.lists(st.tuples(st.sampled_from(NAMES) | cells, cells, cells), max_size=8), OPTIONS),
        parse,
    )


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["a", "b", "train", 10**400, -(2**63), 1e308, "\0", "a\0b"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def test_lines_of_any_json(throw, images):
    path = images / "labels.jsonl"

    def parse(made):
        labels, options = made
        lines = [
            json.dumps({"file": name, "label": label, "split": "train"})
            for name, label in zip(NAMES, labels, strict=False)
        ]
        path.write_text("\n".join(lines))
        read_all(path, **options)

    one_kind = [
        st.lists(st.floats(), max_size=3),
        st.lists(st.sampled_from([0, 1, 2]), max_size=3),
        st.sampled_from("ab"),
    ]
    labels = st.one_of(*(st.lists(kind, min_size=8, max_size=8) for kind in (VALUES, *one_kind)))
    throw(st.tuples(labels, OPTIONS), parse)


def test_damaged_tables_of_parquet(throw, changed, images):
    path = images / "labels.parquet"
    table = pyarrow.table({"file": NAMES, "label": [["a"], ["b", "c"]] * 4, "split": ["train", "test"] * 4})
    pyarrow.parquet.write_table(table, path, row_group_size=3)
    content = path.read_bytes()

    def parse(made):
        damaged, options = made
        path.write_bytes(damaged)
        read_all(path, **options)

    throw(st.tuples(changed([content]), OPTIONS), parse, share=0.5)


COLUMNS = [
    *(pyarrow.array(["a", "b"] * 4).dictionary_encode(), pyarrow.array([b"a"] * 8), pyarrow.array([{"a": 1}] * 8)),
    *(pyarrow.array([None] * 8), pyarrow.array([2**64 - 1] * 8, pyarrow.uint64()), pyarrow.array([0.5, None] * 4)),
    *(pyarrow.array([-(2**62)] * 8, pyarrow.timestamp("us")), pyarrow.array([[0.5], []] * 4)),
    *(pyarrow.array([[["a"]]] * 8), pyarrow.array([True, False] * 4)),
]


@pytest.mark.parametrize("number", range(len(COLUMNS)))
def test_columns_of_other_types(survives, images, number):
    path = images / "labels.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"file": NAMES, "label": COLUMNS[number]}), path)
    survives(lambda: read_all(path))
    pyarrow.parquet.write_table(pyarrow.table({"file": COLUMNS[number], "label": ["a", "b"] * 4}), path)
    survives(lambda: read_all(path))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "x/../../secret.png",
        "..\\secret.png",
        "/etc/passwd",
        "{folder}/../secret.png",
        "../secret",
        ".",
    ],
)
def test_a_table_leads_nowhere_else(images, name):
    """Neither training nor an upload takes what is not in its folder."""
    path = images / "labels.csv"
    path.write_text("\n".join(["file,label", *ROWS, f"{name.format(folder=images)},a"]))
    spec = find_dataset(str(path))
    for act in (lambda: open_dataset(spec, Observer()), lambda: local_files(spec, DATASETS.build(spec), Observer())):
        with pytest.raises(DataError, match=r"which is not in|names files that are not"):
            act()


def test_a_line_without_end_and_a_cell_without_end(survives, images):
    path = images / "labels.csv"
    path.write_bytes(b"file,label\n" + b"a" * (1 << 24))
    assert "has a line of more than" in str(survives(lambda: read_all(path)))
    path.write_bytes(b'file,label\n"' + b"a,b\n" * (1 << 20))
    assert "field larger than field limit" in str(survives(lambda: read_all(path)))
