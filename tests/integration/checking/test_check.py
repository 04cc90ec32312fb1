"""`kaz data check` and `keras_azure.check_data`, as a user sees them."""

import contextlib
import json
import shutil
import signal
from dataclasses import dataclass

import numpy as np
import pytest
from fixtures.archives import class_folders, write_folder, write_parquet, write_shard, write_zip
from fixtures.photographs import photograph
from PIL import Image

import keras_azure
from keras_azure import ArrayDataset
from keras_azure.data.digits import digits
from keras_azure.description.events import Observer
from keras_azure.errors import DataError, OutputExists, UnknownName, UnusableWeights
from keras_azure.listeners.display import PlainDisplay


class Said(Observer):
    def __init__(self):
        self.activities: dict[str, tuple[int, int]] = {}

    def advance(self, activity, done, total):
        self.activities[activity] = done, total


def places(check, groups) -> list[set[str]]:
    return [{check.place(number) for number in group} for group in groups]


def same_groups(found, expected) -> bool:
    return sorted(map(sorted, found)) == sorted(map(sorted, expected))


@pytest.fixture(scope="module")
def found(planted):
    return keras_azure.check_data(planted.root, labels=False, observer=Observer())


def test_everything_that_was_planted_is_found_and_nothing_else(found, planted):
    assert same_groups(places(found, found.exact), planted.exact)
    assert same_groups(places(found, found.near), planted.near)
    assert same_groups(places(found, found.leakage), planted.leakage)
    assert same_groups(places(found, found.in_two_classes), planted.in_two_classes)
    assert {found.place(number) for number in found.unreadable} == planted.unreadable
    assert {kind: {*map(found.place, numbers)} for kind, numbers in found.poor.items()} == planted.poor
    assert found.failed


def test_counts_sizes_and_modes(found):
    assert sum(sum(of_split.values()) for of_split in found.counts.values()) == len(found.looked.places)
    assert found.counts["test"] == {"barn": 12, "owl": 2}
    assert found.sizes[150, 200] > 40
    assert found.sizes[40, 200] == 1
    assert found.modes == {"colour": len(found.looked.readable)}


def test_the_table_of_a_notebook_and_the_text_name_the_findings(found):
    text, shown = str(found), found._repr_html_()
    for kind in ("unreadable", "exact duplicates", "near duplicates", "leakage", "dark", "odd shape"):
        assert kind in text
        assert kind in shown
    assert "train/owl/dark.png" in text
    assert "train/owl/dark.png" in shown
    assert "not judged, as was asked for" in text


def test_what_a_name_contains_is_text_in_a_notebook(tmp_path):
    images = np.stack([np.asarray(photograph(seed, (32, 32))) for seed in range(6)])
    dataset = ArrayDataset(
        ("<b>cat</b>", "dog"),
        {"train": (images[:4], np.array([0, 0, 1, 1])), "test": (images[4:], np.array([0, 1]))},
        "<script>",
    )
    check = keras_azure.check_data(dataset, labels=False, observer=Observer())
    assert "<script>" not in check._repr_html_()


def test_the_command_prints_a_table_and_exits_1_on_leakage(kaz, planted):
    code, out, err = kaz("data", "check", str(planted.root), "--no-labels")
    assert code == 1
    assert out.startswith(f"image folder {planted.root}\n")
    assert "leakage                2  train/owl/09.png = test/owl/leaked.bmp" in out
    assert "unreadable             3" in out
    assert "Error" not in err
    assert "Looking at" not in err  # bars are for terminals


def test_json_names_every_image(kaz, planted):
    code, out, _ = kaz("data", "check", str(planted.root), "--no-labels", "--json")
    report = json.loads(out)
    assert code == 1
    assert report["failed"] is True
    assert {each["image"] for each in report["unreadable"]} == planted.unreadable
    assert "is damaged" in next(each["problem"] for each in report["unreadable"] if "half" in each["image"])
    assert {each["image"] for each in report["blurry"]} == planted.poor["blurry"]
    assert same_groups([{each["image"] for each in group} for group in report["near_duplicates"]], planted.near)
    assert {each["split"] for each in report["leakage"][0]} == {"train", "test"}
    assert report["wrong_labels"] is None
    assert report["splits"] == {split: sum(counts.values()) for split, counts in report["classes"].items()}


def test_a_contact_sheet_is_drawn_when_asked_for(kaz, planted, tmp_path):
    path = tmp_path / "sheet.png"
    code, out, _ = kaz("data", "check", str(planted.root), "--no-labels", "--sheet", str(path))
    assert code == 1
    assert out.endswith(f"{path}\n")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.height > 800  # a row for each of nine kinds
    assert [each.name for each in tmp_path.iterdir()] == ["sheet.png"]
    code, _, err = kaz("data", "check", str(planted.root), "--no-labels", "--sheet", str(path))
    assert code == OutputExists.exit_code
    assert "is there already" in err


def test_names_of_any_script_are_drawn(kaz, tmp_path):
    """A glyph that no font has would be a warning, which is an error here, and a formula could not be parsed."""
    for number, name in enumerate(("猫", "قطة 🐱", "$x^$")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for index in range(3):
            image = photograph(0 if index == 0 else 10 * number + index, (40, 60 if index else 40))
            image.save(tmp_path / "images" / name / f"{index} $\\frac 图片 {'很' * 20}.png")
    path = tmp_path / "sheet.png"
    code, out, _ = kaz("data", "check", str(tmp_path / "images"), "--no-labels", "--sheet", str(path))
    assert "in two classes" in out
    with Image.open(path) as image:
        assert image.width > 1000
    assert code in (0, 1)  # the copies may be in both splits


@pytest.fixture(scope="module")
def sound(planted, tmp_path_factory):
    """The same without leakage and files that cannot be read."""
    root = shutil.copytree(planted.root, tmp_path_factory.mktemp("sound") / "images")
    for place in (*planted.unreadable, "test/owl/leaked.bmp"):
        (root / place).unlink()
    return root


def test_the_exit_code_is_0_without_leakage(kaz, sound):
    code, out, _ = kaz("data", "check", str(sound), "--no-labels")
    assert code == 0
    assert "exact duplicates       4" in out  # which are worth to know, and do no harm


def test_unreadable_files_are_tolerated_where_a_run_leaves_them_out(kaz, sound, tmp_path):
    root = shutil.copytree(sound, tmp_path / "images")
    (root / "train/owl/empty.jpg").write_bytes(b"")
    assert kaz("data", "check", str(root), "--no-labels")[0] == 1
    code, out, _ = kaz("data", "check", str(root), "--no-labels", "--skip-unreadable")
    assert code == 0
    assert "unreadable             1" in out


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["digit"], "Did you mean 'digits'", UnknownName.exit_code),
        (["no/such/folder"], "no/such/folder", DataError.exit_code),
        (["digits", "--weights", "no-such-run"], "no weights called 'no-such-run'", UnusableWeights.exit_code),
        (["digits", "--seed", "-1"], "seed", 2),
    ],
)
def test_wrong_calls_are_one_message(kaz, arguments, message, code):
    found, _, err = kaz("data", "check", *arguments)
    assert found == code
    assert message in err
    assert "Traceback" not in err


def test_a_folder_without_one_sound_image_is_an_error(kaz, tmp_path):
    for place in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"\x89PNG\r\n\x1a\n damaged")
    code, _, err = kaz("data", "check", str(tmp_path), "--no-labels")
    assert code == DataError.exit_code
    assert "No image of" in err


def test_ways_to_bring_data_find_the_same(tmp_path):
    files = class_folders(12)
    files["bright/copy.png"] = files["bright/03.png"]
    ways = [
        write_folder(tmp_path / "folder", files),
        write_zip(tmp_path / "images.zip", files),
        write_shard(tmp_path / "images.tar", files),
        write_parquet(tmp_path / "images.parquet", files),
    ]
    checks = [keras_azure.check_data(way, labels=False, observer=Observer()) for way in ways]
    for check in checks:
        assert [len(group) for group in check.exact] == [2]
        assert check.sizes == {(12, 10): 25}
        assert {name: sum(of_split[name] for of_split in check.counts.values()) for name in ("bright", "dark")} == {
            "bright": 13,
            "dark": 12,
        }
    assert "bright/copy.png" in places(checks[0], checks[0].exact)[0]


def test_arrays_are_checked_too():
    images = np.stack([np.asarray(photograph(seed, (40, 40))) for seed in range(12)])
    images[11] = images[2]
    data = ((images[:9], np.arange(9) % 2), (images[9:], np.arange(3) % 2))
    check = keras_azure.check_data(data, labels=False, observer=Observer())
    assert places(check, check.leakage) == [{"train 2", "test 2"}]
    assert places(check, check.in_two_classes) == []


def test_labels_that_are_no_classes_are_left_out_with_one_line():
    class Numbers:
        class_names, split_sizes, image_shape = ("age",), {"train": 6, "test": 3}, (40, 40, 3)
        description, task = "ages", "regress"

        def read(self, split, index):
            seed = 0 if (split, index) == ("test", 0) else 10 * len(split) + index
            return np.asarray(photograph(seed, (40, 40))), np.array([0.5], np.float32)

    check = keras_azure.check_data(Numbers(), observer=Observer())
    assert check.counts == {}
    assert check.in_two_classes == []
    assert check.wrong_labels is None
    assert "no single classes (regress)" in check.judged_by
    assert "in 0 classes" not in str(check)


@dataclass(frozen=True)
class Mislabelled:
    """Some of the bundled digits, of which it is known which labels are wrong."""

    data: ArrayDataset
    wrong: set[int]
    true: np.ndarray

    def right_and_wrong(self, check) -> tuple[float, int]:
        """The share of the wrong labels that were found and put right, and how many others were found."""
        found = {check.looked.places[each.number]: each.suggested for each in check.wrong_labels}
        put_right = [found.get(("train", number)) == self.true[number] for number in self.wrong]
        return np.mean(put_right), len(found.keys() - {("train", number) for number in self.wrong})


@pytest.fixture(scope="module")
def mislabelled():
    dataset, rng = digits(), np.random.default_rng(0)
    images, true = (array[:1000] for array in dataset.arrays("train"))
    test = tuple(array[:200] for array in dataset.arrays("test"))
    labels, wrong = true.copy(), rng.choice(len(true), 20, replace=False)
    labels[wrong] = (true[wrong] + rng.integers(1, 10, 20)) % 10
    data = ArrayDataset(dataset.class_names, {"train": (images, labels), "test": test}, "digits")
    return Mislabelled(data, {*wrong.tolist()}, true)


@pytest.mark.slow  # a network is trained five times
def test_wrong_labels_are_found_by_a_network_that_is_trained_for_it(mislabelled):
    said = Said()
    check = keras_azure.check_data(mislabelled.data, observer=said)
    put_right, others = mislabelled.right_and_wrong(check)
    assert put_right >= 0.8
    assert others <= 8  # some are written so that nobody could tell
    assert "cnn, trained out of fold" in check.judged_by
    assert said.activities["Looking at images"] == (1200, 1200)
    assert said.activities["Training cnn for labels"][0] == said.activities["Training cnn for labels"][1]


def test_wrong_labels_are_found_by_the_features_of_a_run(mislabelled, tmp_path):
    settings = {"epochs": 2, "output": tmp_path / "run", "tracking": False}
    result = keras_azure.run("cnn", data=mislabelled.data, observer=Observer(), **settings)
    checks = [
        keras_azure.check_data(mislabelled.data, weights=weights, observer=Observer())
        for weights in (result.run_dir, result.run_dir / "model.keras")
    ]
    assert f"features of {result.run_dir}" in checks[0].judged_by
    for check in checks:
        put_right, others = mislabelled.right_and_wrong(check)
        assert put_right >= 0.5  # by a network that was trained for two epochs, on them
        assert others <= 15


def test_a_model_that_knows_nothing_judges_no_labels():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 16, 16, 1), np.uint8)
    data = ((images[:50], np.arange(50) % 5), (images[50:], np.arange(10) % 5))
    check = keras_azure.check_data(data, observer=Observer())
    assert check.wrong_labels is None
    assert "accuracy" in check.judged_by


@pytest.mark.parametrize("activity", ["Looking at images", "Looking for duplicates", "Comparing images"])
def test_an_interrupt_ends_it_and_leaves_nothing(kaz, planted, tmp_path, monkeypatch, activity):
    before = signal.getsignal(signal.SIGINT)

    def advance(_, now, done, total):
        if now == activity:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(PlainDisplay, "advance", advance)
    code, out, err = kaz("data", "check", str(planted.root), "--no-labels", "--sheet", str(tmp_path / "sheet.png"))
    assert code == 130
    assert out == ""
    assert "Traceback" not in err
    assert [*tmp_path.iterdir()] == []
    assert signal.getsignal(signal.SIGINT) == before


def test_an_interrupt_counts_that_was_dropped(planted):
    """As Python drops those that fall into a collection of what is not used any more."""

    class Interrupted(Said):
        def advance(self, activity, done, total):
            super().advance(activity, done, total)
            if done == 5:
                with contextlib.suppress(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)

    said = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        keras_azure.check_data(planted.root, labels=False, observer=said)
    assert said.activities == {"Looking at images": (5, len([*planted.root.rglob("*.*")]))}


def test_help_says_what_it_does(kaz):
    code, out, _ = kaz("data", "--help")
    assert code == 0
    assert "check" in out
    code, out, _ = kaz("data", "check", "--help")
    assert code == 0
    assert "--sheet" in out
