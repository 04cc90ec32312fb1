"""report.html and model_card.md of whole runs, as a browser and the Hub read them."""

import json
import math
import re
import shutil

import numpy as np
import pytest
import yaml
from fixtures.reports import HOSTILE, NAMES, SETTINGS, TASKS, Page, read_page

import keras_azure
from keras_azure.data.arrays import ArrayDataset
from keras_azure.description.config import RunConfig
from keras_azure.description.events import Observer
from keras_azure.errors import RunFailed, UsageError
from keras_azure.evaluation.answers import Answers
from keras_azure.reporting.finished import FinishedRun, read_facts
from keras_azure.reporting.limits import LARGEST_PAGE
from keras_azure.reporting.maps import explanation_of
from keras_azure.reporting.page import page
from keras_azure.reporting.pictures import Pictures, pictures_of
from keras_azure.reporting.text import number


class Heard(Observer):
    def __init__(self):
        self.messages: list[str] = []

    def message(self, text):
        self.messages.append(text)


@pytest.fixture(params=TASKS)
def run_dir(request, finished):
    return finished(request.param)


def test_it_needs_nothing_else(run_dir):
    read = read_page(run_dir)
    forbidden = {"script", "link", "iframe", "object", "embed", "video", "audio", "base", "form", "foreignobject"}
    assert forbidden.isdisjoint(tag for tag, _ in read.tags)
    for _, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "xlink:href", "action", "poster", "data"):
            assert re.fullmatch(r"(data:image/(png|jpeg);base64,[\w+/=]+|#[\w-]+)?", attributes.get(name, "")), name
        assert "url(" not in attributes.get("style", "")
    style = " ".join(text for tag, text in read.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    assert "://" not in (run_dir / "report.html").read_text(encoding="utf-8")


def test_it_is_small(run_dir):
    assert 10_000 < (run_dir / "report.html").stat().st_size <= LARGEST_PAGE


def test_it_can_be_read_without_seeing_it(run_dir):
    read = read_page(run_dir)
    assert read.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels == [1] + [2] * (len(levels) - 1)
    assert len(levels) > 7
    assert all(attributes.get("alt") for attributes in read.all("img"))
    assert all(attributes.get("role") == "img" and attributes.get("aria-label") for attributes in read.all("svg"))
    assert all(attributes.get("scope") in ("row", "col") for attributes in read.all("th"))
    assert len(read.of("caption")) == len(read.all("table"))
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len({*ids})
    assert {attributes["href"][1:] for attributes in read.all("a")} <= {*ids}


def test_names_are_shown_as_they_are(finished):
    read = read_page(finished("classify"))
    for name in NAMES:
        assert name in read.text
    assert not [attributes for attributes in read.all("img") if attributes["src"] == "x"]
    card = (finished("classify") / "model_card.md").read_text(encoding="utf-8")
    assert f"`{HOSTILE}`" in card


@pytest.mark.parametrize(
    ("task", "sections"),
    [
        ("classify", ("Test", "Confusion", "Worst mistakes", "Calibration")),
        ("features", ("Test", "Confusion", "Worst mistakes", "Calibration")),
        ("multilabel", ("Test", "Worst mistakes", "Calibration")),
        ("regress", ("Test", "Worst mistakes")),
        ("autoencoder", ("Test",)),
    ],
)
def test_each_task_has_its_sections(finished, task, sections):
    read = read_page(finished(task))
    always = ("Result", "Settings", "Data", "Training")
    assert tuple(read.of("h2")) == (*always, *sections, "Speed", "Cost", "Environment")
    assert len(read.all("img")) >= 4


@pytest.mark.parametrize("task", ["classify", "multilabel", "regress"])
def test_maps_show_where_the_model_looks(finished, task):
    read = read_page(finished(task))
    alts = [attributes["alt"] for attributes in read.all("img")]
    maps = [alt for alt in alts if alt.startswith("The same, the brighter the more speaks for ")]
    assert 0 < len(maps) <= 24
    names = read_facts(finished(task))["class_names"]
    assert {alt.rpartition(" speaks for ")[2] for alt in maps} <= {*names}
    assert "Grad-CAM" in read.text


def test_it_is_said_why_there_are_no_maps(finished, tmp_path, monkeypatch):
    assert "no maps of where the model looks: it is a classifier on features" in read_page(finished("features")).text
    monkeypatch.setattr("keras_azure.reporting.maps.grad_cam", lambda *_, **__: 1 / 0)
    run_dir = shutil.copytree(finished("classify"), tmp_path / "run")
    keras_azure.report(run_dir, observer=Observer())
    assert "no maps of where the model looks: ZeroDivisionError: division by zero." in read_page(run_dir).text


def test_few_large_images_are_explained(finished, monkeypatch):
    monkeypatch.setattr(
        "keras_azure.reporting.maps.grad_cam", lambda model, images, classes, **_: np.zeros(images.shape[:3])
    )
    explain = explanation_of(keras_azure.read_result(finished("classify")).model)
    for side, count in ((28, 24), (224, 10), (1000, 4)):
        maps = explain([np.zeros((side, side, 3), np.uint8)] * 24, np.zeros(24, int))
        assert len(maps.heat) == count
        assert ("each of the first" in maps.note) == (count < 24)


def test_figures_are_those_of_the_run(finished):
    run_dir = finished("classify")
    facts, answers = read_facts(run_dir), Answers.load(run_dir / "predictions.npz")
    read = read_page(run_dir)
    assert f"{100 * facts['test_accuracy']:.1f} %" in read.text
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (answers.truth, answers.predicted), 1)
    matrix = [int(text) for text in read.of("td") if text.isdigit()]
    assert "".join(map(str, counts.ravel())) in "".join(map(str, matrix))
    mistakes = int((answers.truth != answers.predicted).sum())
    assert f"{mistakes} mistakes in {len(answers)} test images" in read.text


def test_the_command_repeats_the_run(finished, kaz):
    run_dir = finished("classify")
    commands = read_page(run_dir).of("code")
    assert commands == [f"kaz run --config {run_dir / 'run.json'}"]


def test_its_data_is_summed_up(finished):
    read = read_page(finished("classify"))
    facts = read_facts(finished("classify"))["data"]
    assert sum(facts["images"].values()) == 40
    assert [sum(facts["counts"][part]) for part in ("train", "validation", "test")] == [*facts["images"].values()]
    for count in facts["images"].values():
        assert str(count) in read.of("td")


@pytest.mark.parametrize("task", TASKS)
def test_it_is_the_same_made_again(finished, tmp_path, task):
    run_dir = finished(task)
    before = {name: (run_dir / name).read_bytes() for name in ("report.html", "model_card.md")}
    heard = Heard()
    assert keras_azure.report(run_dir, observer=heard) == run_dir / "report.html"
    assert {name: (run_dir / name).read_bytes() for name in before} == before


def test_the_card_has_numbers_of_metrics_json_alone(run_dir):
    card = (run_dir / "model_card.md").read_text(encoding="utf-8")
    known = (run_dir / "metrics.json").read_text(encoding="utf-8")
    text = card.replace(run_dir.name, "")
    numbers = re.findall(r"(?<![\w.])-?\d[\d.]*(?:e[-+]?\d+)?", text)
    assert len(numbers) > 10
    for each in numbers:
        assert each.rstrip(".") in known, each


def test_the_card_is_as_the_hub_reads_it(run_dir):
    card = (run_dir / "model_card.md").read_text(encoding="utf-8")
    _, header, _ = card.split("---\n", 2)
    read = yaml.safe_load(header)
    facts = read_facts(run_dir)
    assert "license" not in read
    assert read.get("library_name") == ("keras" if (run_dir / "model.keras").exists() else None)
    (model,) = read["model-index"]
    assert model["name"] == run_dir.name
    (result,) = model["results"]
    assert result["dataset"]["split"] == "test"
    assert "/" not in result["dataset"]["name"]
    scores = facts["test_metrics"]
    found = [metric["value"] for metric in result["metrics"]]
    assert found == [value for name, value in scores.items() if name != "loss" or len(scores) == 1]


def test_it_is_made_again_without_its_data(finished, tmp_path):
    run_dir = shutil.copytree(finished("classify"), tmp_path / "moved")
    described = json.loads((run_dir / "run.json").read_text())
    described["data"] = f"folder(path={str(tmp_path / 'gone')!r})"
    (run_dir / "run.json").write_text(json.dumps(described))
    heard = Heard()
    keras_azure.report(run_dir, observer=heard)
    assert any(
        message.startswith("There are no images: the data cannot be read any more") for message in heard.messages
    )
    read = read_page(run_dir)
    assert "There are no images: the data cannot be read any more" in read.text
    assert read.all("img") == []


def test_images_of_other_data_are_left_out(finished, tmp_path):
    run_dir = shutil.copytree(finished("classify"), tmp_path / "moved")
    answers = Answers.load(run_dir / "predictions.npz")
    changed = Answers(answers.task, answers.names, answers.given, (answers.truth + 1) % 4, answers.samples)
    changed.save(run_dir / "predictions.npz")
    heard = Heard()
    keras_azure.report(run_dir, observer=heard)
    assert "Images are left out: the data is not what the run was tested on any more." in heard.messages
    assert "not what the run was tested on any more" in read_page(run_dir).text


def test_a_failing_report_loses_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_azure.reporting.writing.page", lambda *_: 1 / 0)
    heard = Heard()
    result = keras_azure.run("cnn(filters=(2,2),dense=4)", output=tmp_path / "run", **SETTINGS | {"observer": heard})
    assert result.epochs == 2
    told = [message for message in heard.messages if message.startswith("There is no report")]
    assert told == [
        "There is no report of the run: ZeroDivisionError: division by zero. "
        f"To try again: kaz report {tmp_path / 'run'}"
    ]
    assert (tmp_path / "run" / "metrics.json").exists()
    assert not (tmp_path / "run" / "report.html").exists()


def test_it_is_written_before_the_run_counts_as_finished(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "keras_azure.training.train.write_json",
        lambda path, facts: seen.append(sorted(each.name for each in path.parent.iterdir())),
    )
    keras_azure.run("cnn(filters=(2,2),dense=4)", output=tmp_path / "run", **SETTINGS)
    assert "report.html" in seen[-1]
    assert "model_card.md" in seen[-1]
    assert "metrics.json" not in seen[-1]


def made_up(tmp_path, classes: int, images: int, size: int, *, names=None) -> tuple[FinishedRun, Pictures]:
    """A run of many classes, which nobody trained."""
    rng = np.random.default_rng(0)
    names = tuple(names or (f"class {number}" for number in range(classes)))
    truth = np.arange(images) % classes
    given = rng.dirichlet(np.full(classes, 0.1), images).astype(np.float32)
    answers = Answers("classify", names, given, truth, np.arange(images))
    pixels = rng.integers(0, 255, (images, size, size, 3), np.uint8)
    dataset = ArrayDataset(names, {"train": (pixels, truth), "test": (pixels, truth)}, "noise")
    facts = {
        "test_metrics": {"loss": math.inf, "accuracy": 0.5},
        "class_names": [*names],
        "environment": {},
        "images_per_second": 10.0,
        "parameters": 1,
        "seconds": 1.0,
        "epochs": 1,
    }
    run = FinishedRun(tmp_path, RunConfig("cnn", data="digits"), facts, ({"epoch": 1, "loss": 0.5},), answers)
    return run, pictures_of(run, dataset, None)


def test_two_hundred_classes(tmp_path):
    run, pictures = made_up(tmp_path, 200, 2000, 96)
    html = page(run, pictures)
    read = Page(html)
    assert len(html.encode()) <= LARGEST_PAGE
    assert all(f"class {number}" in read.of("bdi", "th") for number in range(200))
    assert read.of("summary")[-1] == "The bins of the reliability curve"
    assert "The 20 largest wrong cells, with their share of the true class" in read.of("caption")
    assert any(attributes["alt"].startswith("Confusion matrix of 200 classes") for attributes in read.all("img"))
    assert read.all("details")


def test_what_there_is_no_room_for_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_azure.reporting.page.LARGEST_PAGE", 150_000)
    run, pictures = made_up(tmp_path, 30, 900, 128)
    html = page(run, pictures)
    assert len(html.encode()) <= 150_000
    assert re.search(r"\d+ images are left out: a page has", html)


def test_long_names_make_no_large_page(tmp_path):
    run, pictures = made_up(tmp_path, 40, 80, 8, names=[f"{number}" + "x" * 3_000 for number in range(40)])
    assert len(page(run, pictures).encode()) < 1_000_000


def test_a_page_is_never_larger(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_azure.reporting.page.LARGEST_PAGE", 1000)
    with pytest.raises(RunFailed, match="would be larger than 1000 bytes"):
        page(*made_up(tmp_path, 3, 30, 8))


def test_secrets_are_hidden(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_PASSWORD", "correct horse battery")
    run, pictures = made_up(tmp_path, 3, 30, 8, names=["a", "correct horse battery", "c\x1b[2J"])
    html = page(run, pictures)
    assert "correct horse" not in html
    assert "\x1b" not in html
    assert "***" in html


def test_a_model_that_gives_no_numbers_is_said(tmp_path):
    run, pictures = made_up(tmp_path, 3, 30, 8)
    run.answers.given[:] = np.nan
    with pytest.raises(RunFailed, match="something that is no number"):
        page(run, pictures)


def test_there_must_be_a_finished_run(tmp_path, finished, kaz):
    with pytest.raises(UsageError, match="There is no run in"):
        keras_azure.report(tmp_path)
    shutil.copy(finished("classify") / "run.json", tmp_path)
    with pytest.raises(UsageError, match="is not finished"):
        keras_azure.report(tmp_path)
    code, _, err = kaz("report", str(tmp_path))
    assert code == 2
    assert err.startswith("Error: The run in")


def test_it_is_made_again_when_the_model_is_calibrated(tmp_path):
    keras_azure.run("cnn(filters=(8,8),dense=32)", data="digits", output=tmp_path / "run", **SETTINGS | {"epochs": 3})
    before = read_page(tmp_path / "run").text
    keras_azure.evaluate(tmp_path / "run", calibrate=True, observer=Observer())
    temperature = read_facts(tmp_path / "run")["temperature"]
    assert "Calibrated with the temperature" not in before
    after = read_page(tmp_path / "run").text
    assert f"Calibrated with the temperature {number(temperature)}" in after
