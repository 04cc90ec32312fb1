"""What a listing means, whether it comes from a disk or from an archive."""

import unicodedata

import pytest

from keras_azure.data.formats.layout import Listing, class_folders
from keras_azure.data.formats.litter import is_litter
from keras_azure.data.formats.split_names import parse_split_names, usual_split
from keras_azure.errors import DataError


def files(*folders: str, count: int = 3) -> list[str]:
    return [f"{folder}/{number}.png" for folder in folders for number in range(count)]


def meaning(*paths: str, **options):
    return class_folders(Listing(paths), "pets", **options)


def sizes(found) -> dict[str, dict[str, int]]:
    return {split: {name: len(paths) for name, paths in classes.items()} for split, classes in found.splits.items()}


def refusal(*paths: str, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        meaning(*paths, **options)
    return caught.value


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, "train") for name in ("train", "Training", "TRAIN_SET", "train-data", "images_train", "Train Images")),
        *((name, "test") for name in ("test", "Testing", "test_set", "TestImages", "testing set", "test.data")),
        *((name, "validation") for name in ("val", "valid", "Validation", "dev", "dev-set", "EVAL", "evaluation")),
        *(
            (name, None)
            for name in ("trains", "invalid", "tests", "trainer", "attest", "devil", "A", "", "evil", "set")
        ),
    ],
)
def test_usual_names_of_splits(name, split):
    assert usual_split(name) == split


def test_split_folders_that_are_called_as_usual_are_no_classes():
    found = meaning(*files("Training/cat", "Training/dog"), *files("Testing/cat", "Testing/dog", count=2))
    assert sizes(found) == {"train": {"cat": 3, "dog": 3}, "test": {"cat": 2, "dog": 2}}
    assert found.origins == "splits taken from Training, Testing"


@pytest.mark.parametrize(
    "names", [("A", "B"), ("fold1", "fold2", "fold3"), ("seg_train/seg_train", "seg_test/seg_test"), ("2019", "2020")]
)
def test_folders_with_equal_folders_in_them_are_refused_with_a_hint(names):
    paths = [path for name in names for path in files(f"{name}/cat", f"{name}/dog")]
    error = refusal(*paths)
    assert "hold the same folders (cat, dog) and no images of their own" in error.problem
    assert all(f"pets/{name.split('/')[0]}" in error.problem for name in names[:2])
    assert f"--split-names train={names[0]},test={names[1]} if they are splits" in error.hint
    assert sizes(meaning(*paths, split_names=f"train={names[0]},test={names[1]}"))["test"] == {"cat": 3, "dog": 3}
    as_classes = meaning(*paths, split_names="none")
    assert sizes(as_classes) == {"train": {name.split("/")[0]: 6 for name in names}}


def test_a_split_that_lacks_a_class_is_refused_as_a_class_too():
    assert "hold the same folders" in str(refusal(*files("A/cat", "A/dog", "A/fox", "B/cat", "B/dog")))


def test_one_folder_of_the_same_name_in_each_class_is_nothing_to_be_asked_about():
    found = meaning(*files("cat/images", "dog/images"))
    assert sizes(found) == {"train": {"cat": 3, "dog": 3}}
    assert found.notes == ()


def test_folders_of_splits_within_each_class_are_taken_as_splits():
    found = meaning(*files("cat/train", "dog/train"), *files("cat/test", "dog/test", count=1))
    assert sizes(found) == {"train": {"cat": 3, "dog": 3}, "test": {"cat": 1, "dog": 1}}
    assert found.notes == ("The folders test, train within each class are taken as splits.",)


def test_splits_within_some_classes_alone_are_refused():
    error = refusal(*files("cat/train", "cat/test", "dog"))
    assert "pets/cat holds folders that are called as splits are (test, train)" in error.problem
    assert error.hint == "--split-names none to train all of it"


def test_a_folder_that_repeats_those_beside_it_is_refused():
    error = refusal(*files("cat", "dog", "holdout/cat", "holdout/dog"))
    assert "pets/holdout holds folders that are called as those beside it" in error.problem


def test_a_validation_folder_and_no_test_folder():
    found = meaning(*files("train/cat", "train/dog"), *files("val/cat", "val/dog"))
    assert list(found.splits) == ["train", "validation"]
    assert found.origins == (
        "splits taken from train, val; the validation images take the place of --validation-split; "
        "the test images are held out of the training images"
    )


def test_the_names_of_splits_can_be_given():
    paths = [*files("Lehre/cat", "Lehre/dog"), *files("Prüfung/cat", "Prüfung/dog", count=2), *files("more")]
    found = meaning(*paths, split_names="train=lehre, test=" + unicodedata.normalize("NFD", "Prüfung"))
    assert sizes(found) == {"train": {"cat": 3, "dog": 3}, "test": {"cat": 2, "dog": 2}}
    assert found.notes == ("Left out, as no split is named after it: more",)
    error = refusal(*paths, split_names="train=Lehre,test=nowhere")
    assert "pets has no folder nowhere, which is to be the test split" in error.problem
    assert "Lehre, Prüfung, more" in error.expected


def test_a_split_that_is_not_named_is_found_by_its_usual_name():
    paths = files("Lehre/cat", "Lehre/dog", "test/cat", "test/dog")
    assert list(meaning(*paths, split_names="train=Lehre").splits) == ["train", "test"]
    assert "No folder of pets is named as its train split" in str(refusal(*paths, split_names="test=test"))


@pytest.mark.parametrize(
    "text", ["train", "train=", "=A", "train=A,train=B", "folds=A", "train=A,test=A", "train=../A", "train=A,"]
)
def test_names_of_splits_that_make_no_sense_are_refused(text):
    with pytest.raises(ValueError, match="split_names"):
        parse_split_names(text)


def test_class_names_are_compared_as_composed_text():
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    found = meaning(*files(f"train/{decomposed}", "train/thé", f"test/{composed}", "test/thé"))
    assert sizes(found) == {"train": {composed: 3, "thé": 3}, "test": {composed: 3, "thé": 3}}
    both = meaning(*files(composed, decomposed, "thé"))
    assert sizes(both) == {"train": {composed: 6, "thé": 3}}
    assert both.notes == ("Two folders called 'café' in the data, written in two forms, are one class.",)


def test_class_names_that_differ_in_their_case_are_refused_with_a_hint():
    error = refusal(*files("train/cat", "train/dog", "test/Cat", "test/dog"))
    assert "pets/test/Cat has none of the same name in pets/train" in error.problem
    assert error.hint == "call it cat, as there"


@pytest.mark.parametrize(
    "name",
    [
        *("__MACOSX", "@eaDir", "Icon\r", "ehthumbs.db", "Picasa.ini", "lost+found", "#recycle", ".thumbnails"),
        *("System Volume Information", "Thumbs.db", "desktop.ini", "._0.png", ".DS_Store", "$RECYCLE.BIN", "@Recycle"),
    ],
)
def test_litter_is_left_out_at_every_depth_and_nothing_is_said(name):
    assert is_litter(name)
    paths = files("train/cat", "train/dog", "test/cat", "test/dog")
    litter = [
        f"{place}{name}{within}"
        for place in ("", "train/", "test/cat/", "train/dog/deep/")
        for within in ("", "/0.png", "/cat/1.png")
    ]
    found = class_folders(Listing([*paths, *litter], [name]), "pets")
    assert sizes(found) == sizes(meaning(*paths))
    assert found.notes == ()


@pytest.mark.parametrize("name", ["cat", "thumbs", "icon", "recycle", "trash", "git", "lost", "0.png", "@home", "#1"])
def test_what_is_no_litter(name):
    assert not is_litter(name)


def test_documents_beside_the_data_are_nothing_to_be_said_and_images_are():
    beside = ["README.md", "labels.csv", "LICENSE", "train/list.txt", "train/0.png", "1.JPG"]
    found = meaning(*files("train/cat", "train/dog"), *beside)
    assert sizes(found) == {"train": {"cat": 3, "dog": 3}}
    assert found.notes == ("Left out, as they are in no class folder: 1.JPG, train/0.png",)


def test_a_folder_of_documents_beside_the_splits_is_left_out_and_one_of_images_refused():
    splits = files("train/cat", "train/dog", "test/cat", "test/dog")
    assert sizes(meaning(*splits, "annotations/0.xml"))["train"] == {"cat": 3, "dog": 3}
    error = refusal(*splits, "unlabelled/0.jpg")
    assert "holds the split folder train, and beside it unlabelled" in error.problem
    assert "--split-names train=train leaves out what is called unlike a split" in error.hint
    assert "Left out" in meaning(*splits, "unlabelled/0.jpg", split_names="train=train").notes[0]


@pytest.mark.parametrize("around", ["archive", "a/b/c", "Cats and dogs"])
@pytest.mark.parametrize("inner", [("cat", "dog"), ("train/cat", "train/dog", "test/cat", "test/dog")])
def test_of_a_wrapped_archive_the_hint_says_where_the_data_is(around, inner):
    error = refusal(*(path for folder in inner for path in files(f"{around}/{folder}")))
    assert error.hint in (f"--data pets/{around}", f"--data 'pets/{around}'")


def test_of_wrapped_idx_files_the_hint_says_where_they_are():
    stems = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte")
    assert refusal(*(f"MNIST/raw/{stem}" for stem in stems)).hint == "--data pets/MNIST/raw"


def test_of_splits_that_are_wrapped_each_the_hint_names_both():
    error = refusal(*files("train/train/cat", "train/train/dog", "test/test/cat", "test/test/dog"))
    assert error.hint == "--split-names train=train/train,test=test/test"


@pytest.mark.parametrize("unlabelled", [("test",), ("test/unknown",)])
def test_where_the_test_has_no_classes_the_hint_says_where_the_labelled_images_are(unlabelled):
    assert refusal(*files("train/cat", "train/dog", *unlabelled)).hint == "--data pets/train"


FLAT, ONE = [f"cat.{number}.png" for number in range(4)], files("cat")
UNLABELLED = files("train/cat", "train/dog", "test")


def test_images_without_classes_are_refused_and_what_to_do_is_said():
    error = refusal(*FLAT)
    assert "pets holds no class folders" in error.problem
    assert "put the images of each class into a folder of its own" in error.hint
    assert "kaz run autoencoder" in error.hint


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (FLAT, {"train": {"unlabelled": 4}}),
        (ONE, {"train": {"unlabelled": 3}}),
        (UNLABELLED, {"train": {"unlabelled": 6}, "test": {"unlabelled": 3}}),
        ([*FLAT, "notes.txt"], {"train": {"unlabelled": 4}}),
    ],
)
def test_without_labels_any_images_will_do(paths, expected):
    found = meaning(*paths, labels=False)
    assert sizes(found) == expected
    assert not found.is_labelled
    assert "The images are taken without classes" in found.notes[0]


def test_without_labels_classes_are_taken_where_there_are_some():
    paths = files("cat", "dog")
    assert meaning(*paths, labels=False) == meaning(*paths)


def test_without_labels_what_holds_no_image_is_refused_still():
    assert "holds no class folders" in str(refusal("notes.txt", labels=False))


def test_classes_that_lack_a_split_are_named():
    found = meaning(*files("train/cat", "train/dog", "train/fox", "test/cat"))
    assert found.notes == ("There are no test images of dog, fox.",)
