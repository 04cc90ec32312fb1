"""Finished runs beside each other, from their files."""

import json
import math

import numpy as np
import pytest
from fixtures.run_folders import ENVIRONMENT, answers_of, make_run

import keras_azure
from keras_azure.comparing.comparison import Pair
from keras_azure.comparing.settings import Difference
from keras_azure.description.events import Observer
from keras_azure.description.text_table import cells
from keras_azure.errors import DamagedRun, UsageError

TRUTH = np.arange(60) % 3
ONE, OTHER = TRUTH.copy(), TRUTH.copy()
ONE[:9], OTHER[6:12] = (TRUTH[:9] + 1) % 3, (TRUTH[6:12] + 2) % 3  # wrong on 9 and on 6, and on 3 in another way


def compare(*runs, **options):
    return keras_azure.compare(*runs, observer=Observer(), **options)


@pytest.fixture
def pair(tmp_path):
    """Two runs of classes; the other is better."""
    one = make_run(tmp_path / "one", {"loss": 0.5, "accuracy": 51 / 60}, answers_of(TRUTH, ONE), model="cnn(dropout=0)")
    other = make_run(tmp_path / "other", {"loss": 0.4, "accuracy": 54 / 60}, answers_of(TRUTH, OTHER), epochs=3)
    return one, other


def test_what_differs_in_the_settings(tmp_path):
    first = make_run(tmp_path / "a", model="cnn(dropout=0.1, filters=(4, 8))", augment=["flip"], data="digits")
    second = make_run(tmp_path / "b", model="cnn(filters=(4, 8))", learning_rate=0.1, data="digits", optimizer="sgd")
    third = make_run(tmp_path / "c", model="cnn(filters=(4, 8))", augment=["flip", "rotate"], data="digits")
    found = compare(first, second, third)
    assert {each.name: each.values for each in found.settings} == {
        "model: dropout": ("0.1", "by default", "by default"),
        "augment": ("flip", "none", "flip, rotate"),
        "learning_rate": ("by default", "0.1", "by default"),
        "optimizer": ("adam", "sgd", "adam"),
    }
    found = compare(first, make_run(tmp_path / "d", model="resnet50"))
    assert Difference("model", ("cnn(dropout=0.1, filters=(4, 8))", "resnet50")) in found.settings


def test_what_differs_in_versions(tmp_path):
    first = make_run(tmp_path / "a")
    later = {**ENVIRONMENT, "keras": "3.15.0", "jax": "0.10.2"}
    second = make_run(tmp_path / "b", facts={"environment": later})
    found = compare(first, second).versions
    assert {each.name: each.values for each in found} == {"keras": ("3.13.0", "3.15.0"), "jax": ("none", "0.10.2")}


def test_scores_tests_and_images(pair):
    found = compare(*pair)
    assert list(found.scores) == ["accuracy", "macro_f1", "loss"]
    assert found.scores["accuracy"] == (51 / 60, 54 / 60)
    (both,) = found.pairs
    assert (both.mcnemar.first_only, both.mcnemar.other_only) == (3, 6)
    assert both.changes["accuracy"].difference == pytest.approx(3 / 60)
    assert both.changes["accuracy"].low < 3 / 60 < both.changes["accuracy"].high
    assert [image.sample for image in found.images[-3:]] == [6, 7, 8]  # both are wrong: last
    assert sorted(image.sample for image in found.images) == list(range(12))
    first = next(image for image in found.images if image.sample == 0)
    assert (first.truth, first.said, first.right) == ("cat", ("dog (80%)", "cat (80%)"), (False, True))


def test_json_has_all_of_it(pair):
    found = json.loads(json.dumps(compare(*pair).to_json(), allow_nan=False))
    assert [run["letter"] for run in found["runs"]] == ["A", "B"]
    assert (found["metric"], found["worse_than"]) == ("accuracy", ["B"])
    assert found["paired"][0]["mcnemar"]["p_value"] == pytest.approx(0.5078125)
    assert len(found["images"]["differ"]) == 12
    assert found["settings"]["model: dropout"] == ["0", "by default"]
    assert found["runs"][1]["history"][2]["epoch"] == 3


def test_the_text_says_all_of_it_in_80_columns(pair):
    text = str(compare(*pair))
    assert max(map(cells, text.splitlines()[3:])) <= 80  # below the paths
    for said in (
        "model: dropout",
        "by default",
        "accuracy  A",
        "+0.0500",
        "3 images are right in A alone and 6 in B alone",
        "p = 0.508",
        "differ on 12 of 60 images",
        "and 2 more",
        "images/s",
        "1:01  unknown",
    ):
        assert said in text, said


@pytest.mark.parametrize(
    ("one", "other", "metric", "tolerance", "worse"),
    [
        (0.90, 0.90, "accuracy", 0.0, False),
        (0.895, 0.90, "accuracy", 0.01, False),
        (0.89, 0.90, "accuracy", 0.01, True),
        (0.95, 0.90, "accuracy", 0.01, False),
        (0.50, 0.49, "loss", 0.01, True),
        (0.494, 0.49, "loss", 0.01, False),
        (0.40, 0.49, "loss", 0.0, False),
        (math.nan, 0.49, "loss", 0.5, True),
        (0.49, math.nan, "loss", 0.0, False),
        (-0.2, -0.1, "r2", 0.5, True),
        (-0.14, -0.1, "r2", 0.5, False),
        (0.1, 0.0, "loss", 0.5, True),
    ],
)
def test_the_first_is_worse_beyond_what_is_tolerated(tmp_path, kaz, one, other, metric, tolerance, worse):
    folders = [
        make_run(tmp_path / name, {"accuracy": 0.5, "loss": 0.5, metric: value})
        for name, value in (("one", one), ("other", other))
    ]
    assert compare(*folders, metric=metric, tolerance=tolerance).worse_than == (("B",) if worse else ())
    code, out, err = kaz("compare", *map(str, folders), "--metric", metric, "--tolerance", str(tolerance))
    assert (code, err) == (worse, "")
    assert ("Worse: A, " in out) == worse
    assert ("A is not worse than B by" in out) != worse


def test_worse_than_any_of_several_is_worse(tmp_path, kaz):
    values = {"a": 0.8, "b": 0.7, "c": 0.9}
    folders = [str(make_run(tmp_path / name, {"accuracy": value, "loss": 1})) for name, value in values.items()]
    assert compare(*folders).worse_than == ("C",)
    assert kaz("compare", *folders)[0] == 1
    code, _, err = kaz("compare", *folders, "--json")
    assert code == 1
    assert err == "Worse: A, accuracy 0.8000 where C has 0.9000, 11.1% less; 1.0% are tolerated\n"
    assert kaz("compare", *folders[:2])[0] == 0
    assert json.loads(kaz("compare", *folders, "--json")[1])["worse_than"] == ["C"]


@pytest.mark.parametrize(
    ("task", "names", "truth", "one", "other", "scores", "metric"),
    [
        (
            "multilabel",
            ("cat", "dog"),
            [[1, 0], [0, 1], [1, 1]],
            [[0.9, 0.1], [0.6, 0.9], [0.9, 0.9]],
            [[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]],
            {"loss": 0.3, "macro_f1": 0.7},
            "macro_f1",
        ),
        (
            "regress",
            ("x", "y"),
            [[1, 2], [3, 4], [5, 6]],
            [[1, 2], [3, 5], [5, 6]],
            [[1, 2], [2, 4], [5, 6]],
            {"loss": 0.3, "mae": 0.7},
            "mae",
        ),
    ],
)
def test_labels_and_numbers(tmp_path, task, names, truth, one, other, scores, metric):
    folders = [
        make_run(tmp_path / name, scores, answers_of(truth, given, task, names), task=task)
        for name, given in (("one", one), ("other", other))
    ]
    found = compare(*folders)
    assert found.metric == metric
    assert isinstance(found.pairs[0], Pair)
    assert (found.pairs[0].mcnemar is None) == (task == "regress")
    said = {image.sample: (image.truth, *image.said) for image in found.images}
    if task == "multilabel":
        assert said == {1: ("dog", "cat, dog", "dog"), 2: ("cat, dog", "cat, dog", "none")}
    else:
        assert said == {1: ("3, 4", "3, 5", "2, 4")}
        assert "differ most on these of 3 images (x, y):" in str(found)
    assert max(map(cells, str(found).splitlines()[3:])) <= 80  # below the paths


def test_an_autoencoder_has_its_loss_alone(tmp_path):
    folders = [make_run(tmp_path / name, {"loss": value}) for name, value in (("a", 0.2), ("b", 0.1))]
    found = compare(*folders)
    assert (found.metric, found.worse_than) == ("loss", ("B",))
    assert found.pairs == ("A gives back images, and says nothing of them",)
    assert "No test on the same images of A and B" in str(found)


def test_without_predictions_it_says_why_there_is_no_test(tmp_path, pair):
    older = make_run(tmp_path / "older", {"loss": 0.3, "accuracy": 0.9})
    found = compare(pair[0], pair[1], older)
    assert isinstance(found.pairs[0], Pair)
    assert found.pairs[1].startswith("C has no predictions.npz, which older versions did not write; kaz report")
    assert found.image_runs == ("A", "B")
    assert found.scores["macro_f1"][2] is None
    with pytest.raises(UsageError, match="no score of all of the runs called 'macro_f1'"):
        compare(pair[0], pair[1], older, metric="macro_f1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": "another"}, "they were not tested on the same images"),
        ({"split": "validation"}, "they were not tested on the same images"),
        ({"names": ("a", "b", "c")}, "they were not tested on the same images"),
        ({"data": ""}, "whether both were tested on the same images is not known"),
    ],
)
def test_on_other_images_there_is_no_test(tmp_path, pair, changes, reason):
    third = make_run(tmp_path / "third", None, answers_of(TRUTH, ONE, **changes))
    found = compare(pair[0], third)
    assert found.pairs[0].startswith(reason)
    assert found.images == ()
    assert reason in " ".join(str(found).split())


def test_other_labels_of_the_same_images_are_other_images(tmp_path, pair):
    third = make_run(tmp_path / "third", None, answers_of((TRUTH + 1) % 3, ONE))
    assert compare(pair[0], third).pairs == ("they were not tested on the same images",)


def test_a_model_that_gives_no_numbers_is_not_tested(tmp_path, pair):
    given = np.full((60, 3), np.nan)
    third = make_run(tmp_path / "third", None, answers_of(TRUTH, given))
    assert compare(pair[0], third).pairs == ("B gives something that is no number",)


def test_runs_that_say_the_same(tmp_path, pair):
    found = compare(pair[0], pair[0])
    text = str(found)
    assert "The settings are the same." in text
    assert "A and B say the same of all images." in text
    assert "there is nothing to tell them apart, p = 1" in " ".join(text.split())


def test_the_cost_is_that_of_the_machines(tmp_path):
    folders = [
        make_run(tmp_path / "a", backend="azure-nc6s-v3(nodes=2)", facts={"seconds": 3600}),
        make_run(tmp_path / "b", backend="local"),
    ]
    found = compare(*folders)
    size = json.loads(json.dumps(found.to_json()))["runs"]
    assert size[0]["usd"] > 2
    assert size[1]["usd"] is None
    assert "USD" in str(found)
    assert "unknown" in str(found)


def test_what_cannot_be_compared_is_refused(tmp_path, kaz, pair):
    with pytest.raises(UsageError, match="1 run cannot be compared"):
        compare(pair[0])
    with pytest.raises(UsageError, match="There is no run in"):
        compare(pair[0], tmp_path / "nowhere")
    numbers = make_run(tmp_path / "numbers", {"loss": 1, "mae": 1}, task="regress")
    code, out, err = kaz("compare", str(pair[0]), str(numbers))
    assert (code, out) == (2, "")
    assert "Runs of different tasks have no scores to compare" in err
    (numbers / "metrics.json").unlink()
    with pytest.raises(UsageError, match="is not finished") as refused:
        compare(pair[0], numbers)
    assert "kaz resume" in refused.value.hint


def test_an_unknown_metric_is_refused(tmp_path, pair):
    with pytest.raises(UsageError, match="Did you mean 'accuracy'"):
        compare(*pair, metric="acuracy")
    folders = [make_run(tmp_path / name, {"loss": 1, "luck": 3}) for name in "ab"]
    with pytest.raises(UsageError, match="Whether a high luck is good is not known") as refused:
        compare(*folders, metric="luck")
    assert "loss" in refused.value.expected


def test_results_can_be_given_in_place_of_folders(pair):
    results = [keras_azure.read_result(folder) for folder in pair]
    assert compare(*results).to_json() == compare(*pair).to_json()


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("run.json", b"{", "run.json is not JSON"),
        ("run.json", b'{"model": "cnn", "epoch": 3}', "run.json: There is no setting called 'epoch'"),
        ("metrics.json", b"[]", "metrics.json is no JSON object"),
        ("metrics.json", b'{"test_metrics": {"loss": 1}}', "metrics.json: images_per_second is no number"),
        ("history.csv", b"epoch,loss\n1,low\n", "history.csv: could not convert string to float"),
        ("history.csv", b"loss\n1\n", "history.csv: it has no column of epochs"),
        ("predictions.npz", b"PK\x03\x04", "The predictions in"),
    ],
)
def test_a_damaged_run_is_named_in_one_sentence(pair, kaz, file, content, problem):
    (pair[1] / file).write_bytes(content)
    with pytest.raises(DamagedRun) as refused:
        compare(*pair)
    assert str(refused.value).startswith(f"The run in {pair[1]} is damaged: {problem}")
    assert "\n" not in str(refused.value)
    code, out, err = kaz("compare", *map(str, pair))
    assert (code, out, err.count("\n")) == (1, "", 1)
