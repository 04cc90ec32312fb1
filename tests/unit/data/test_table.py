"""The data set `table`: which images it names, which column is what, and what the labels say."""

import json
import re
import shutil
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from fixtures.archives import class_folders, png, write_folder

from keras_azure.data import open_dataset
from keras_azure.data.formats.table import Table
from keras_azure.data.local_files import local_files, moved
from keras_azure.data.locate import find_dataset
from keras_azure.errors import DataError, UnreadableFile
from keras_azure.registry.registry import DATASETS

FILES = class_folders()
IMAGE = next(iter(FILES.values()))


@pytest.fixture
def images(tmp_path):
    """Thirty images, 00.png to 29.png."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number:02}.png").write_bytes(png(number, (12, 10)))
    return folder


@pytest.fixture
def table(images):
    """`table("file,label", "00.png,cat", ...)` beside the images."""

    def write(*lines, name="labels.csv", encoding="utf-8"):
        path = images / name
        path.write_bytes("\n".join(lines).encode(encoding))
        return path

    return write


def opened(path, listener, **options):
    return open_dataset(find_dataset(str(path)).with_options(**options), listener)


def refused(path, listener, **options):
    with pytest.raises(DataError) as caught:
        opened(path, listener, **options)
    assert "\n" not in str(caught.value).splitlines()[0]
    return str(caught.value)


def samples(dataset):
    return {
        split: [
            (image.tolist(), np.asarray(label).tolist())
            for image, label in map(dataset.read, [split] * size, range(size))
        ]
        for split, size in dataset.split_sizes.items()
    }


def labels(dataset):
    return {split: dataset.known_labels(split).tolist() for split in dataset.split_sizes}


def rows(value, count=30):
    """A header-less table of all images."""
    return [f"{number:02}.png,{value(number)}" for number in range(count)]


CAT_OR_DOG = rows(lambda number: ["cat", "dog"][number % 2])


def write_typed(path, /, **columns):
    """A table whose values have types, in the format of its ending."""
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=7)
    else:
        lines = zip(*columns.values(), strict=True)
        path.write_text("".join(json.dumps(dict(zip(columns, line, strict=True))) + "\n" for line in lines))
    return path


# What is in a table.


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_table_of_class_folders_is_the_folder(tmp_path, listener, kind):
    """In whatever order its rows are: the same images, in the same order, with the same labels."""
    folder = write_folder(tmp_path / "folder", FILES)
    names = sorted(FILES, key=lambda name: hash(name) % 97)
    columns = {"file": [f"folder/{name}" for name in names], "class": [name.split("/")[0] for name in names]}
    path = tmp_path / f"labels.{kind}"
    if kind in ("csv", "tsv"):
        between = {"csv": ",", "tsv": "\t"}[kind]
        path.write_text("\n".join(map(between.join, [("file", "class"), *zip(*columns.values(), strict=True)])))
    else:
        write_typed(path, **columns)
    expected, found = opened(folder, listener), opened(path, listener)
    assert found.class_names == expected.class_names
    assert samples(found) == samples(expected)
    assert found.description == (
        f"table {path}: 19 training and 5 test pictures of 12x10x3 in 2 classes; "
        "the test images are held out of the training images"
    )
    assert listener.messages == [f"The table {path} has files in column 'file', a class in 'class'"]


def test_splits_of_a_column_are_those_of_folders(tmp_path, listener):
    folder = write_folder(
        tmp_path / "data",
        {f"{split}/{name}": content for split in ("train", "valid", "test") for name, content in FILES.items()},
    )
    paths = [path.relative_to(folder) for path in folder.rglob("*.png")]
    (tmp_path / "labels.csv").write_text(
        "Image Path;Label;Split\n" + "".join(f"{path};{path.parent.name};{path.parts[0].upper()}\n" for path in paths)
    )
    expected = opened(folder, listener)
    found = opened(tmp_path / "labels.csv", listener, image_folder=str(folder))
    assert found.split_sizes == expected.split_sizes == {"train": 24, "validation": 24, "test": 24}
    assert samples(found) == samples(expected)
    assert "the validation images take the place of --validation-split" in found.description
    assert (
        f"The table {tmp_path / 'labels.csv'} has files in column 'Image Path', a class in 'Label', splits in 'Split'"
        in listener.messages
    )


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("file,label", "files in column 'file', a class in 'label'"),
        ("ID,Class", "files in column 'ID', a class in 'Class'"),
        ("Image_ID,target", None),
        ("file name,target", "files in column 'file name', a class in 'target'"),
        ("id,labels", "files in column 'id', a class in 'labels'"),
        ("path,breed", None),
    ],
)
def test_columns_are_found_by_their_names(table, listener, header, said):
    path = table(header, *CAT_OR_DOG)
    if said is None:
        problem = refused(path, listener)
        named = header.split(",")
        assert "is called as the" in problem
        assert f"{named[0]!r}, {named[1]!r}" in problem or repr(named[1]) in problem
        image, label = named
        opened(path, listener, image_column=image, label_column=label)
    else:
        opened(path, listener)
        assert listener.messages[0].endswith(said)


def test_of_several_columns_of_files_the_first_name_counts(table, listener):
    path = table("id,label,file,x", *(f"{n},{'ab'[n % 2]},{n:02}.png,7" for n in range(30)))
    assert opened(path, listener).split_sizes == {"train": 24, "test": 6}
    assert "files in column 'file'" in listener.messages[0]


@pytest.mark.parametrize(
    "name", ["{0:02}", "./{0:02}.png", "../images/{0:02}", "{folder}/{0:02}.png", "sub\\..\\{0:02}.png"]
)
def test_names_of_files(table, images, listener, name):
    """Without endings, absolute, with Windows's slashes: the file is what counts."""
    path = table("file,label", *(f"{name.format(n, folder=images)},{'ab'[n % 2]}" for n in range(30)))
    assert opened(path, listener).split_sizes == {"train": 24, "test": 6}


def test_ids_are_numbers_in_typed_tables(images, listener):
    for number in range(10, 30):
        (images / f"{number}.png").rename(images / f"{number}.JPEG")  # known by content, whatever it is called
    path = write_typed(images / "t.parquet", id=[*range(10, 30)], label=["a", "b"] * 10)
    assert opened(path, listener).split_sizes == {"train": 16, "test": 4}


def test_rows_that_say_the_same_count_once_and_that_is_said(table, listener):
    dataset = opened(table("file,label", *CAT_OR_DOG, *CAT_OR_DOG[:3], "./05.png,dog"), listener)
    assert dataset.split_sizes == {"train": 24, "test": 6}
    assert "4 rows say of a file what another row says of it, and count once." in listener.messages


def test_missing_files_are_counted_and_named(table, images, listener):
    path = table("file,label", *CAT_OR_DOG, *(f"no{number}.png,cat" for number in range(5)))
    problem = refused(path, listener)
    assert (
        f"5 of 35 rows of the table {path} name files that are not in {images}: no0.png, no1.png, no2.png and 2 more"
        in problem
    )
    assert "--skip-unreadable" in problem
    with pytest.raises(DataError, match="5 of 35 rows"):
        Table(path=str(path)).files(listener)
    assert opened(path, listener, skip_unreadable=True).split_sizes == {"train": 24, "test": 6}
    left_out = "Left out 5 of 35 rows, whose files are not there: no0.png, no1.png, no2.png and 2 more"
    assert left_out in listener.messages
    listener.messages.clear()
    assert len(Table(path=str(path), skip_unreadable=True).files(listener)) == 31
    assert left_out in listener.messages


def test_the_folder_that_all_files_are_in_is_named(table, images, listener):
    path = table("file,label", *CAT_OR_DOG).rename(images.parent / "labels.csv")
    problem = refused(path, listener)
    assert f"--image-folder {images}" in problem
    opened(path, listener, image_folder=str(images))


def test_files_that_are_no_images(table, images, listener):
    (images / "00.png").write_bytes(b"no image")
    path = table("file,label", *CAT_OR_DOG)
    with pytest.raises(UnreadableFile, match=r"The picture .*00\.png cannot be read"):
        opened(path, listener)
    with pytest.raises(UnreadableFile, match=r"The picture .*00\.png cannot be read"):
        Table(path=str(path)).files(listener)
    assert sum(opened(path, listener, skip_unreadable=True).split_sizes.values()) == 29
    assert len(Table(path=str(path), skip_unreadable=True).files(listener)) == 30


# What labels say.


def test_whole_numbers_are_classes_sorted_by_number(table, listener):
    dataset = opened(table("file,label", *rows(lambda n: n % 11)), listener)
    assert dataset.task == "classify"
    assert dataset.class_names == tuple(map(str, range(11)))
    assert {*labels(dataset)["train"]} == {*range(11)}


def test_a_class_may_be_called_as_several(table, listener):
    dataset = opened(table("file,label", *rows(lambda n: ["a;b", "c"][n % 2])), listener)
    assert (dataset.task, dataset.class_names) == ("classify", ("a;b", "c"))


@pytest.mark.parametrize("options", [{"label_separator": ";"}, {"task": "multilabel"}])
def test_texts_of_several_labels(table, listener, options):
    path = table("file,label", *rows(lambda n: ["a;b", "c", "", "b ; c"][n % 4]))
    dataset = opened(path, listener, **options)
    assert (dataset.task, dataset.class_names) == ("multilabel", ("a", "b", "c"))
    assert listener.messages[0].endswith("labels in 'label', separated by ';' (7 rows have none)")
    every = [label for found in samples(dataset).values() for _, label in found]
    assert sorted(every) == sorted([[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 1]] * 7 + [[1, 1, 0], [0, 0, 1]])
    _, label = dataset.read("train", 0)
    assert label.dtype == np.uint8
    assert "pictures of 12x10x3 with 3 labels" in dataset.description


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_lists_of_texts_are_labels(images, listener, ending):
    path = write_typed(
        images / f"t.{ending}",
        file=[f"{n:02}.png" for n in range(30)],
        tags=[[["a", "b"], ["c"], []][n % 3] for n in range(30)],
    )
    dataset = opened(path, listener, label_column="tags")
    assert (dataset.task, dataset.class_names) == ("multilabel", ("a", "b", "c"))


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_lists_of_numbers_are_numbers(images, listener, ending):
    path = write_typed(
        images / f"t.{ending}", file=[f"{n:02}.png" for n in range(30)], target=[[n / 4, -1.0] for n in range(30)]
    )
    dataset = opened(path, listener)
    assert (dataset.task, dataset.class_names) == ("regress", ("target_0", "target_1"))
    _, label = dataset.read("test", 0)
    assert label.dtype == np.float32
    assert label[1] == -1


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_lists_of_bits_are_labels_by_place(images, listener, ending):
    path = write_typed(
        images / f"t.{ending}", file=[f"{n:02}.png" for n in range(30)], label=[[n % 2, 0, 1] for n in range(30)]
    )
    dataset = opened(path, listener)
    assert (dataset.task, dataset.class_names) == ("multilabel", ("label_0", "label_1", "label_2"))


def test_columns_of_bits_are_labels(table, listener):
    path = table("id,cat,dog,bird", *rows(lambda n: f"{n % 2},{n // 2 % 2},0"))
    problem = refused(path, listener)
    assert "--label-column cat,dog,bird, with those that are meant" in problem
    for named in (("cat", "dog", "bird"), "cat,dog,bird"):
        dataset = opened(path, listener, label_column=named)
        assert (dataset.task, dataset.class_names) == ("multilabel", ("cat", "dog", "bird"))
        assert any("images of bird" in message for message in listener.messages)
    one = opened(path, listener, label_column="cat", task="multilabel")
    assert (one.task, one.class_names) == ("multilabel", ("cat",))
    assert "with 1 label;" in one.description


def test_one_hot_columns_are_classes_where_that_is_asked_for(table, listener):
    path = table("id,cat,dog", *rows(lambda n: f"{n % 2},{1 - n % 2}"))
    assert opened(path, listener, label_column="cat,dog", task="classify").class_names == ("cat", "dog")
    path = table("id,cat,dog", *rows(lambda n: "1,1"))
    assert "has 2 classes" in refused(path, listener, label_column="cat,dog", task="classify")


def test_numbers(table, listener):
    dataset = opened(table("file,target", *rows(lambda n: n / 4)), listener)
    assert (dataset.task, dataset.class_names) == ("regress", ("target",))
    assert sorted(label for each in labels(dataset).values() for (label,) in each) == [n / 4 for n in range(30)]
    assert listener.messages[0].endswith("a number in 'target'")
    whole = table("file,x,y", *rows(lambda n: f"{n},{-n}"))
    assert opened(whole, listener, label_column="x", task="regress").task == "regress"
    both = opened(whole, listener, label_column=("x", "y"))
    assert (both.task, both.class_names) == ("regress", ("x", "y"))


def test_whole_numbers_with_a_point_are_classes(table, listener):
    assert opened(table("file,label", *rows(lambda n: f"{n % 3}.0")), listener).class_names == ("0", "1", "2")


def test_without_labels(table, listener):
    """With a column of labels or not: what is trained without them needs none, and none of any kind is a problem."""
    for header in ("file,x", "file,label"):
        dataset = opened(table(header, *rows(lambda n: n if n else "many")), listener, labels=False)
        assert "without labels" in dataset.description
        assert len(dataset.class_names) == 1
        assert listener.messages[-1].endswith("files in column 'file', no labels")


def test_rows_take_little_memory(table, listener):
    """A million of them add less than 400 MB: here are some thousand, of few files."""
    count = 20_000
    path = table("file,label,group,weight", *(f"{n % 30:02}.png,{'ab'[n % 2]},{n % 30},0.5" for n in range(count)))
    opened(path, listener, group_column="group", weight_column="weight")  # all is loaded then
    tracemalloc.start()
    opened(path, listener, group_column="group", weight_column="weight")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / count < 400


def test_a_table_that_does_not_fit_into_memory_is_refused(table, listener, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1000))
    path = table("file,label", *CAT_OR_DOG)
    assert re.search(rf"table {path} needs .* GB of memory, and 0.0 GB are free", refused(path, listener))


# Splits, groups and weights.


def test_groups_stay_together(table, listener):
    path = table("file,label,patient,w", *rows(lambda n: f"{'ab'[n // 15]},p{n // 3},{n / 10}"))
    dataset = opened(path, listener, group_column="patient", weight_column="w")
    groups = {split: dataset.groups(split) for split in dataset.split_sizes}
    assert all(found.dtype == np.int64 and len(found) == dataset.split_sizes[split] for split, found in groups.items())
    assert not {*groups["train"].tolist()} & {*groups["test"].tolist()}
    assert dataset.split_sizes == {"train": 24, "test": 6}
    assert {*labels(dataset)["test"]} == {0, 1}  # of each class its share
    weights = {split: dataset.weights(split) for split in dataset.split_sizes}
    assert weights["train"].dtype == np.float32
    for split, size in dataset.split_sizes.items():
        for index in range(size):
            number = int(dataset._opened._files.place(dataset._opened._splits[split][0][index])[:2])
            assert weights[split][index] == pytest.approx(number / 10)
            assert groups[split][index] == sorted(f"p{n}" for n in range(10)).index(f"p{number // 3}")
    assert listener.messages[0].endswith("groups in 'patient', weights in 'w'")
    plain = opened(table("file,label", *CAT_OR_DOG), listener)
    assert not hasattr(plain, "groups")
    assert not hasattr(plain, "weights")


def test_weights_and_groups_are_part_of_the_fingerprint(table, listener):
    found = set()
    for weight in (1, 2):
        path = table("file,label,w,g", *rows(lambda n, weight=weight: f"{'ab'[n % 2]},{weight},{n}"))
        found.add(opened(path, listener).fingerprint("train", listener))
        found.add(opened(path, listener, weight_column="w").fingerprint("train", listener))
        found.add(opened(path, listener, weight_column="w", group_column="g").fingerprint("train", listener))
    assert len(found) == 5


def test_one_group_cannot_be_divided(table, listener):
    path = table("file,label,g", *rows(lambda n: f"{'ab'[n % 2]},one"))
    assert "There is just one group" in refused(path, listener, group_column="g")


def test_several_labels_are_divided_evenly(table, listener):
    path = table("file,label", *rows(lambda n: ["a", "a;b", "b;c", "a;c", "a"][n % 5]))
    dataset = opened(path, listener, label_separator=";")
    test, train = np.array(labels(dataset)["test"]), np.array(labels(dataset)["train"])
    assert len(test) in (5, 6, 7)
    assert np.allclose(test.sum(axis=0) / (test.sum(axis=0) + train.sum(axis=0)), 0.2, atol=0.1)


# Twenty bad tables.

BAD = {
    "no such column": (["file,label", *CAT_OR_DOG], {"label_column": "breed"}, "has no column 'breed'"),
    "no label column": (["file,breed", *CAT_OR_DOG], {}, "is called as the labels are"),
    "no header": (CAT_OR_DOG, {}, "is called as the files of the images are"),
    "a column twice": (["file,label,label", *rows(lambda n: "a,b")], {}, "has 2 columns 'label'"),
    "a column for two things": (["file,label", *CAT_OR_DOG], {"group_column": "label"}, "would be two things"),
    "numbers and texts": (
        ["file,label", *rows(lambda n: "0.5" if n else "many")],
        {},
        "a text in row 1, and a number in row 2",
    ),
    "NaN": (["file,label", *rows(lambda n: "NaN" if n == 6 else "cat")], {}, "Row 7 of the table"),
    "no label": (["file,label", *rows(lambda n: "" if n == 6 else 0.5)], {}, "Row 7 of the table"),
    "an infinite number": (["file,label", *rows(lambda n: "1e999" if n else "0.5")], {}, "Row 2 of the table"),
    "no number": (
        ["file,label", *CAT_OR_DOG],
        {"task": "regress"},
        "Row 1 of the table .* has 'cat' in column 'label'",
    ),
    "decimal commas": (["file;label", *(f"{n:02}.png;0,{n}" for n in range(30))], {}, "a number with a comma"),
    "two labels for a file": (["file,label", *CAT_OR_DOG, "00.png,dog"], {}, "have other labels for one file, 00.png"),
    "two splits for a file": (
        ["file,label,split", *rows(lambda n: "a,train"), "00.png,a,test"],
        {},
        "have other splits for one file, 00.png",
    ),
    "out of the folder": (["file,label", *CAT_OR_DOG, "../../secret.png,cat"], {}, "which is not in"),
    "an absolute path elsewhere": (
        ["file,label", *CAT_OR_DOG, "/etc/passwd,cat"],
        {},
        "names '/etc/passwd', which is not in",
    ),
    "a null byte": (["file,label", *CAT_OR_DOG, "a\0.png,cat"], {}, "1 of 31 rows"),
    "no name": (["file,label", *CAT_OR_DOG, ",cat"], {}, "Row 31 of the table .* names no file"),
    "too many values": (["file,label", *CAT_OR_DOG, "00.png,cat,dog"], {}, "Row 31 of the table .* has 3 values"),
    "too few values": (["file,label", *CAT_OR_DOG, "00.png"], {}, "Row 31 of the table .* has 1 values"),
    "a quote without end": (["file,label", *CAT_OR_DOG, '"00.png,cat'], {}, "cannot be read: unexpected end of data"),
    "no split": (
        ["file,label,split", *rows(lambda n: f"a,{['train', 'fold 3'][n % 2]}")],
        {},
        "is of the split 'fold 3'",
    ),
    "nothing to train on": (["file,label,split", *rows(lambda n: f"{'ab'[n % 2]},test")], {}, "no images to train on"),
    "a class of tests alone": (
        ["file,label,split", *rows(lambda n: f"{'ab'[n % 2]},train" if n < 20 else "c,test")],
        {},
        "of the class 'c', and no training image is",
    ),
    "one class": (["file,label", *rows(lambda n: "cat")], {}, "training images of 1 class"),
    "a weight below nothing": (
        ["file,label,w", *rows(lambda n: f"{'ab'[n % 2]},-1")],
        {"weight_column": "w"},
        "has the weight -1",
    ),
    "a label twice": (["file,label", *rows(lambda n: "a;a")], {"label_separator": ";"}, "has a label twice: a, a"),
    "an empty file": ([], {}, "is empty"),
    "no rows": (["file,label"], {}, "has no rows"),
    "a class with a control character": (
        ["file,label", *rows(lambda n: ["a", "\x1b[31m"][n % 2])],
        {},
        "has control characters",
    ),
    "two for an id": (["file,label", *rows(lambda n: "ab"[n % 2]), "x,a"], {}, "which may be x.jpg or x.png"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_in_one_sentence(table, images, listener, case):
    lines, options, problem = BAD[case]
    for ending in ("jpg", "png"):
        shutil.copy(images / "00.png", images / f"x.{ending}")
    shown = refused(table(*lines), listener, **options)
    assert re.search(problem, shown), shown


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(table, listener, encoding):
    path = table("file,label", *rows(lambda n: ["Kätzchen", "dog"][n % 2]), encoding=encoding)
    if encoding == "latin-1":
        assert "is not UTF-8 text" in refused(path, listener)
    else:
        assert opened(path, listener).class_names == ("Kätzchen", "dog")


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ",", ", "])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_quotes_and_ends_of_lines(images, listener, delimiter, newline):
    lines = [
        ["file", "la bel", "label"],
        *([f"{n:02}.png", '"a ""b""\n;,|c"', '"x,y"' if n % 2 else "z"] for n in range(30)),
    ]
    path = images / "labels.csv"
    path.write_bytes((newline.join(map(delimiter.join, lines)) + newline * 3).encode())
    assert opened(path, listener).class_names == ("x,y", "z")


def test_a_line_of_excel_names_the_delimiter(table, listener):
    assert opened(table("sep=;", "file;label", *(line.replace(",", ";") for line in CAT_OR_DOG)), listener).split_sizes


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (['{"file": "00.png", "label": "a"', ""], "Row 1 of the table .* is not JSON"),
        (["[1, 2]"], "Row 1 of the table .* is no JSON object"),
        (
            ['{"file": "00.png", "label": "a"}', '{"file": "01.png", "label": 3}'],
            "a text in row 1, and a whole number in row 2",
        ),
        (
            ['{"file": "00.png", "label": ["a"]}', '{"file": "01.png", "label": "a"}'],
            "a text in row 2, and a list of texts in row 1",
        ),
        (['{"file": "00.png", "label": [0.5]}', '{"file": "01.png", "label": [1, 2.5]}'], "have 1 to 2 numbers"),
        (['{"file": "00.png", "label": {"a": 1}}'], "Row 1 of the table .* has no label that can be read"),
        (['{"file": "00.png", "label": NaN}'], "Row 1 of the table .* has no value in column 'label'"),
        (['{"file": "00.png", "label": "a"}', '{"file": "01.png"}'], "Row 2 of the table .* has no value"),
        (['{"file": 0.5, "label": "a"}'], "Row 1 of the table .* has '0.5' for the name of a file"),
        (['{"file": "' + "a" * (1 << 23) + '"}'], "has a line of more than"),
    ],
)
def test_bad_lines_of_json(table, listener, lines, problem):
    assert re.search(problem, refused(table(*lines, name="labels.jsonl"), listener))


# Which data set it is, and what travels.


def test_tables_of_parquet_are_told_from_images(tmp_path, images):
    names = write_typed(images / "names.parquet", file=["00.png"], label=["a"])
    held = write_typed(images / "images.parquet", image=[IMAGE], label=["a"], path=["00.png"])
    assert find_dataset(str(names)).name == "table"
    assert find_dataset(str(held)).name == "parquet"


def test_tables_of_pixels_are_left_to_others(table, images):
    for header in ("label,pixel0,pixel1", "label and pixels", "label"):
        assert not Table.recognises(table(header, "7,0,255", name="mnist.csv"))
    assert not Table.recognises(table("label pixels", "7 0 255", name="mnist.csv"))
    assert Table.recognises(table("breed,picture", "cat,00.png", name="other.csv"))
    assert not Table.recognises(images)


def test_a_table_travels_with_the_files_that_it_names(table, images, listener, tmp_path):
    path = table("file,label", *CAT_OR_DOG[:20])
    spec = find_dataset(str(path))
    files = local_files(spec, DATASETS.build(spec), listener)
    assert {file.name for file in files} == {"labels.csv", *(f"{n:02}.png" for n in range(20))}
    _travels(spec, files, tmp_path / "node", listener)


@pytest.mark.parametrize("place", ["beside", "within"])
def test_a_table_travels_with_its_folder(table, images, listener, tmp_path, place):
    path = table("file,label", *CAT_OR_DOG)
    if place == "beside":
        path = path.rename(tmp_path / "labels.csv")
    spec = find_dataset(f"table(path={str(path)!r}, image_folder={str(images)!r})")
    files = local_files(spec, DATASETS.build(spec), listener)
    assert len(files) == 31
    _travels(spec, files, tmp_path / "node", listener)


def _travels(spec, files, node, listener):
    for file in files:
        (node / file.name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file.path, node / file.name)
    there = open_dataset(moved(spec, str(node)), listener)
    assert samples(there) == samples(open_dataset(spec, listener))


def test_absolute_paths_do_not_travel(table, images, listener):
    path = table("file,label", *(f"{images}/{line}" for line in CAT_OR_DOG))
    opened(path, listener)
    with pytest.raises(DataError, match=r"absolute paths, such as .*, which are nowhere on another machine"):
        Table(path=str(path)).files(listener)
