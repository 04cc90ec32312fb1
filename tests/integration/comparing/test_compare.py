"""Runs that were trained, compared: the text, the page, and what a notebook shows."""

import json
import shutil
from pathlib import Path

import pytest
from fixtures.reports import Page

import keras_azure
from keras_azure.comparing.page import MOST_PICTURES
from keras_azure.description.events import Observer
from keras_azure.description.text_table import cells
from keras_azure.errors import OutputExists, RunFailed

TASKS = ("classify", "multilabel", "regress", "autoencoder", "features")


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[Path, Path]:
    """Two runs on the digits, which are not trained long."""
    folder = tmp_path_factory.mktemp("pair")
    settings = {"batch_size": 64, "tracking": False, "observer": Observer()}
    for name, epochs in (("one", 1), ("other", 2)):
        keras_azure.run("cnn(filters=(4,4),dense=8)", epochs=epochs, output=folder / name, **settings)
    return folder / "one", folder / "other"


@pytest.fixture
def page(pair, tmp_path) -> Page:
    keras_azure.compare(*pair, html=tmp_path / "page.html", observer=Observer())
    return Page((tmp_path / "page.html").read_text(encoding="utf-8"))


def test_scores_are_those_of_the_runs(pair):
    found = keras_azure.compare(*pair, observer=Observer())
    results = [keras_azure.read_result(run_dir) for run_dir in pair]
    for name in ("accuracy", "loss"):
        assert found.scores[name] == tuple(result.test_metrics[name] for result in results)
    change = found.pairs[0].changes["accuracy"]
    assert (change.first, change.other) == pytest.approx(found.scores["accuracy"])
    test = found.pairs[0].mcnemar
    assert change.difference * 360 == pytest.approx(test.other_only - test.first_only)
    assert [each.name for each in found.settings] == ["epochs"]
    assert {image.sample for image in found.images} <= set(range(360))


def test_the_page_has_all_of_it_and_needs_nothing_else(pair, page):
    assert page.of("h1") == ["Comparison of runs"]
    assert page.of("h2") == ["Result", "Settings", "Scores", "Curves", "Images", "Speed and cost", "Versions"]
    for said in ("McNemar's test", "95 % interval of that", "alone", "images/s", "macro F1"):
        assert said in page.text, said
    assert len(page.all("svg")) == 4  # loss and accuracy, in training and validation
    assert 0 < len(page.all("img")) <= MOST_PICTURES
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in page.all("img"))
    assert not page.all("script")
    addresses = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(address.startswith(("data:", "#")) for address in addresses)


def test_without_the_data_the_page_says_so(pair, tmp_path):
    moved = [shutil.copytree(run_dir, tmp_path / run_dir.name) for run_dir in pair]
    for run_dir in moved:
        described = json.loads((run_dir / "run.json").read_text())
        described["data"] = "folder(path='/no/such/folder')"
        (run_dir / "run.json").write_text(json.dumps(described))
    keras_azure.compare(*moved, html=tmp_path / "page.html", observer=Observer())
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.all("img") == []
    assert "There are no images: the data cannot be read any more" in page.text
    assert "Truth" in page.of("th")


def test_a_page_that_is_there_stays(pair, tmp_path, kaz):
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(OutputExists):
        keras_azure.compare(*pair, html=path, observer=Observer())
    code, _, err = kaz("compare", *map(str, pair), "--html", str(path))
    assert (code, path.read_text()) == (2, "mine")
    assert "--overwrite" in err
    code, _, err = kaz("compare", *map(str, pair), "--html", str(path), "--overwrite", "--tolerance", "0.99")
    assert (code, err.splitlines()[-1]) == (0, f"Written: {path}")
    assert path.read_text().startswith("<!DOCTYPE html>")
    with pytest.raises(RunFailed):
        keras_azure.compare(*pair, html=tmp_path / "no" / "folder.html", observer=Observer())


@pytest.mark.parametrize("task", TASKS)
def test_runs_of_all_tasks(finished, task, tmp_path, kaz):
    run_dir = finished(task)
    found = keras_azure.compare(run_dir, run_dir, html=tmp_path / "page.html", observer=Observer())
    assert found.worse_than == ()
    if task != "autoencoder":
        assert all(change.difference == 0 for change in found.pairs[0].changes.values())
    Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    Page(found._repr_html_())
    json.dumps(found.to_json(), allow_nan=False)
    assert max(map(cells, str(found).splitlines()[3:])) <= 80  # below the paths
    (listed,) = keras_azure.runs(run_dir)
    assert (listed.state, listed.metric, listed.score) == ("finished", found.metric, found.scores[found.metric][0])
    assert kaz("compare", str(run_dir), str(run_dir))[0] == 0
    Page(keras_azure.runs(run_dir)._repr_html_())


def test_a_notebook_shows_tables_and_curves(pair):
    page = Page(keras_azure.compare(*pair, observer=Observer())._repr_html_())
    assert len(page.all("svg")) == 4
    assert "McNemar's test" in page.text
    assert {"setting", "score"} <= set(page.of("th"))
